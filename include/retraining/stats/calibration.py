"""Do predictions mean what they say? Calibration error on a holdout, comparable between two models.

Rows are put into up to ten groups of equal size by their prediction; in each, what was predicted is compared with what
happened. The error is the mean over rows of the groups' absolute differences: 0 is perfect, 1 the worst.

Of classes it is relative to how rare they are: a difference of 0.05 is little where half of the rows are positive, and
twice the truth where one in twenty is. It is divided by twice the share of the rarer class, which is 1 for halves.

- binary: probability against the share of positives (expected calibration error; Naeini, Cooper and Hauskrecht 2015,
  Obtaining Well Calibrated Probabilities Using Bayesian Binning; equal groups as in Nguyen and O'Connor 2015).
- multiclass: the same for each class's probability, all classes together (Kull et al. 2019, classwise error).
- regression by the squared error: mean residual in standard deviations of the target.
- regression by the absolute error: a model of the median is above half of the rows; twice the distance from that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retraining.records import CalibrationResult
from retraining.stats.bootstrap import paired_difference
from retraining.stats.metrics import Array, Metric, resampled

_MOST_GROUPS, _ROWS_PER_GROUP = 10, 100
"""Ten is the usual number. Shares in small groups vary by chance alone, which would look like an error: of a hundred
rows by up to a tenth."""
_RARE_PER_GROUP = 20
"""Rows of the rarer class per group, for the same reason: below, one row more is a twentieth of all there are."""
_NEAR = 0.01
"""A truth within this share of the target's standard deviation is met: many targets have one value that is common."""


def calibration_metric(task: str, metric_name: str) -> Metric:
    """Return the calibration error of a task as a metric, of which less is better."""
    if task == "multiclass":
        return Metric("calibration error", (task,), False, resample=_classwise)
    if task == "binary":
        return Metric("calibration error", (task,), False, resample=_probability)
    return Metric("calibration error", (task,), False, resample=_median if metric_name == "mae" else _mean)


def judge_calibration(
    task: str,
    metric_name: str,
    y: Array,
    candidate: Array,
    champion: Array | None,
    blocks: NDArray[np.int64],
    *,
    alpha: float,
    seed: int,
    days: NDArray[np.int64] | None = None,
) -> CalibrationResult | None:
    """Return both models' calibration errors and the candidate's gain; None where they are undefined."""
    metric = calibration_metric(task, metric_name)
    whole = np.ones((1, int(blocks.max()) + 1))
    if whole.shape[1] < 2:
        return None
    mine = float(resampled(metric, y, candidate, blocks, whole)[0])
    if champion is None:
        return CalibrationResult(mine, None, None)
    theirs = float(resampled(metric, y, champion, blocks, whole)[0])
    gain = paired_difference(metric, y, candidate, champion, blocks, alpha=alpha, seed=seed, days=days)
    return CalibrationResult(mine, theirs, gain)


def _probability(y: Array, p: Array, blocks: NDArray[np.int64], weights: Array) -> Array:
    rare = min(float(y.sum()), float(len(y) - y.sum()))
    if not rare:
        return np.full(len(weights), np.nan)  # one class says nothing of the other's probability
    return np.minimum(1.0, _error(p - y, p, blocks, weights, rare) / (2 * rare / len(y)))


def _mean(y: Array, p: Array, blocks: NDArray[np.int64], weights: Array) -> Array:
    spread = float(np.std(y)) or 1.0  # a constant target has no scale of its own
    return np.minimum(1.0, _error((p - y) / spread, p, blocks, weights))


def _median(y: Array, p: Array, blocks: NDArray[np.int64], weights: Array) -> Array:
    """A median has at most half of the rows on either side; rows that it meets are on none."""
    near = _NEAR * float(np.std(y))
    below, above = (y < p - near).astype(float), (y > p + near).astype(float)
    group, n_groups = _groups(p)
    sides = [_per_resample(side - 0.5, group, n_groups, blocks, weights) for side in (below, above)]
    counts = np.bincount(blocks, minlength=weights.shape[1])
    return np.asarray(2 * np.maximum(0.0, np.maximum(*sides)).sum(axis=1) / (weights @ counts))


def _classwise(y: Array, p: Array, blocks: NDArray[np.int64], weights: Array) -> Array:
    shares = np.array([np.mean(y == c) for c in range(p.shape[1])])
    rare = np.minimum(shares, 1 - shares)
    errors = [_error(p[:, c] - (y == c), p[:, c], blocks, weights, len(y) * r) for c, r in enumerate(rare)]
    return np.asarray(np.minimum(1.0, np.sum(errors, axis=0) / (2 * rare.sum())))


def _error(
    residuals: Array, p: Array, blocks: NDArray[np.int64], weights: Array, n_rare: float = float("inf")
) -> Array:
    """Return, per resample, the mean over rows of the absolute mean residual of each row's group."""
    group, n_groups = _groups(p, n_rare)
    counts = np.bincount(blocks, minlength=weights.shape[1])
    sums = _per_resample(residuals, group, n_groups, blocks, weights)
    return np.asarray(np.abs(sums).sum(axis=1) / (weights @ counts))


def _per_resample(
    values: Array, group: NDArray[np.int64], n_groups: int, blocks: NDArray[np.int64], weights: Array
) -> Array:
    """Return the sum of values of each group in each resample, shape (n_resamples, n_groups)."""
    n_blocks = weights.shape[1]
    sums = np.bincount(group * n_blocks + blocks, values, n_groups * n_blocks).reshape(n_groups, n_blocks)
    return np.asarray(weights @ sums.T)


def _groups(p: Array, n_rare: float = float("inf")) -> tuple[NDArray[np.int64], int]:
    """Return each row's group, by its prediction; equal predictions belong together, so a constant is one group."""
    n_groups = int(np.clip(min(len(p) // _ROWS_PER_GROUP, n_rare // _RARE_PER_GROUP), 1, _MOST_GROUPS))
    order = np.argsort(p, kind="stable")
    group = np.empty(len(p), dtype=np.int64)
    group[order] = np.arange(len(p)) * n_groups // len(p)
    group[order] = group[order][np.searchsorted(p[order], p[order], side="left")]
    return group, n_groups
