"""Do predictions mean what they say? Calibration error on a holdout, comparable between two models.

Rows are put into ten groups of equal size by their prediction; in each, what was predicted is compared with what
happened. The error is the mean over rows of the groups' absolute differences: 0 is perfect, 1 the worst.

- binary: probability against the share of positives (expected calibration error; Naeini, Cooper and Hauskrecht 2015,
  Obtaining Well Calibrated Probabilities Using Bayesian Binning; equal groups as in Nguyen and O'Connor 2015).
- multiclass: the same for each class's probability, averaged over classes (Kull et al. 2019, classwise error).
- regression by the squared error: mean residual in standard deviations of the target.
- regression by the absolute error: a model of the median is above half of the rows; twice the distance from that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retraining.bootstrap import paired_difference
from retraining.metrics import Array, Metric, resampled
from retraining.records import CalibrationResult

N_GROUPS = 10
"""The usual number: with some hundred rows a group still holds enough to see an error of a few hundredths."""


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
    return _error(p - y, p, blocks, weights)


def _mean(y: Array, p: Array, blocks: NDArray[np.int64], weights: Array) -> Array:
    spread = float(np.std(y)) or 1.0  # a constant target has no scale of its own
    return np.minimum(1.0, _error((p - y) / spread, p, blocks, weights))


def _median(y: Array, p: Array, blocks: NDArray[np.int64], weights: Array) -> Array:
    return _error(np.sign(p - y), p, blocks, weights)


def _classwise(y: Array, p: Array, blocks: NDArray[np.int64], weights: Array) -> Array:
    classes = range(p.shape[1])
    return np.asarray(np.mean([_error(p[:, c] - (y == c), p[:, c], blocks, weights) for c in classes], axis=0))


def _error(residuals: Array, p: Array, blocks: NDArray[np.int64], weights: Array) -> Array:
    """Return, per resample, the mean over rows of the absolute mean residual of each row's group."""
    n_blocks = weights.shape[1]
    order = np.argsort(p, kind="stable")
    group = np.empty(len(p), dtype=np.int64)
    group[order] = np.arange(len(p)) * N_GROUPS // len(p)
    # equal predictions belong together: a constant model is one group
    first = np.searchsorted(p[order], p[order], side="left")
    group[order] = group[order][first]
    sums = np.bincount(group * n_blocks + blocks, residuals, N_GROUPS * n_blocks).reshape(N_GROUPS, n_blocks)
    counts = np.bincount(blocks, minlength=n_blocks)
    return np.asarray(np.abs(weights @ sums.T).sum(axis=1) / (weights @ counts))
