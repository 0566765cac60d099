"""The metrics a model can be chosen and judged by, and their exact value on resampled blocks of rows.

Predictions are the probability of the second class (binary), one column per class (multiclass) or a value
(regression); `y` holds class indices or values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retraining.errors import NotEnoughData, SpecError

Array = NDArray[np.float64]

_CLIP = 1e-15
"""Keeps the logarithm finite, as scikit-learn does for float64."""


def _log_loss(y: Array, p: Array) -> Array:
    chosen = p[np.arange(len(y)), y.astype(int)] if p.ndim == 2 else np.where(y == 1, p, 1 - p)
    return np.asarray(-np.log(np.clip(chosen, _CLIP, 1 - _CLIP)))


def _error(y: Array, p: Array) -> Array:
    labels = p.argmax(axis=1) if p.ndim == 2 else p >= 0.5
    return np.asarray(labels == y, dtype=np.float64)


@dataclass(frozen=True)
class Metric:
    """A metric: `per_row` where it is a mean over rows (`finish` is applied to the mean), else a ranking metric."""

    name: str
    tasks: tuple[str, ...]
    greater_is_better: bool
    per_row: Callable[[Array, Array], Array] | None = None
    root: bool = False
    resample: Callable[[Array, Array, NDArray[np.int64], Array], Array] | None = None
    """Computes the metric for each resample of blocks, where it is neither a mean over rows nor a ranking metric."""

    def finish(self, mean: Array) -> Array:
        """Turn mean row losses into the metric."""
        return np.sqrt(mean) if self.root else mean


METRICS = {
    m.name: m
    for m in (
        Metric("roc_auc", ("binary",), True),
        Metric("average_precision", ("binary",), True),
        Metric("log_loss", ("binary", "multiclass"), False, _log_loss),
        Metric("brier", ("binary",), False, lambda y, p: (p - y) ** 2),
        Metric("accuracy", ("binary", "multiclass"), True, _error),
        Metric("mae", ("regression",), False, lambda y, p: np.abs(p - y)),
        Metric("rmse", ("regression",), False, lambda y, p: (p - y) ** 2, root=True),
    )
}


def find_metric(name: str, task: str) -> Metric:
    """Return a metric that fits the task.

    Raises
    ------
    SpecError
        When there is no such metric or it does not fit.
    """
    fitting = [m.name for m in METRICS.values() if task in m.tasks]
    if name not in fitting:
        raise SpecError(f"training.metric: {name} does not fit the task {task}. Choose one of {', '.join(fitting)}.")
    return METRICS[name]


def value(metric: Metric, y: Array, p: Array) -> float:
    """Return the metric on rows.

    Raises
    ------
    NotEnoughData
        When there are no rows, or one class where two are needed.
    """
    if len(y) == 0:
        raise NotEnoughData(f"{metric.name} needs rows; there are none.")
    blocks = np.zeros(len(y), dtype=np.int64)
    result = float(resampled(metric, y, p, blocks, np.ones((1, 1)))[0])
    if np.isnan(result):
        raise NotEnoughData(f"{metric.name} is undefined on {len(y):,} rows of one class.")
    return result


def resampled(metric: Metric, y: Array, p: Array, blocks: NDArray[np.int64], weights: Array) -> Array:
    """Return the metric for each resample of blocks.

    Parameters
    ----------
    blocks
        Block index of each row, from 0, shape (n,).
    weights
        How often each resample holds each block, shape (n_resamples, n_blocks).

    Returns
    -------
    Shape (n_resamples,); NaN where a resample has one class only and the metric needs two.
    """
    n_blocks = weights.shape[1]
    if metric.resample is not None:
        return metric.resample(y, p, blocks, weights)
    if metric.per_row is not None:
        losses = np.bincount(blocks, metric.per_row(y, p), n_blocks)
        counts = np.bincount(blocks, minlength=n_blocks)
        return metric.finish((weights @ losses) / (weights @ counts))
    if metric.name == "roc_auc":
        return _resampled_auc(y, p, blocks, weights)
    return _resampled_average_precision(y, p, blocks, weights)


def _resampled_auc(y: Array, p: Array, blocks: NDArray[np.int64], weights: Array) -> Array:
    """The area under the ROC curve is a bilinear form in the block weights, so every resample is exact and cheap.

    With U[a, b] the number of pairs (positive in block a, negative in block b) ranked rightly, ties counted half, a
    resample's area is w'Uw / (w'P)(w'N) (Hanley and McNeil 1982 give the pair form for unit weights).
    """
    n_blocks = weights.shape[1]
    order = np.argsort(p, kind="stable")
    ranked, positive, owner = p[order], y[order] == 1, blocks[order]
    first = np.searchsorted(ranked, ranked, side="left")
    after = np.searchsorted(ranked, ranked, side="right")
    pairs = np.zeros((n_blocks, n_blocks))
    for b in range(n_blocks):
        below = np.concatenate([[0.0], np.cumsum(~positive & (owner == b))])
        half = (below[first[positive]] + below[after[positive]]) / 2
        pairs[:, b] = np.bincount(owner[positive], half, n_blocks)
    n_positive = weights @ np.bincount(owner[positive], minlength=n_blocks)
    n_negative = weights @ np.bincount(owner[~positive], minlength=n_blocks)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.einsum("ra,ab,rb->r", weights, pairs, weights, optimize=True) / (n_positive * n_negative))


def _resampled_average_precision(y: Array, p: Array, blocks: NDArray[np.int64], weights: Array) -> Array:
    """Average precision per resample, as the sum of precision times gain in recall at each distinct score."""
    order = np.argsort(-p, kind="stable")
    positive, owner = y[order] == 1, blocks[order]
    last = np.append(np.diff(p[order]) != 0, True)  # the last row of each distinct score
    results = np.empty(len(weights))
    for i, row in enumerate(weights):
        weight = row[owner]
        hits = np.cumsum(weight * positive)[last]
        total = np.cumsum(weight)[last]
        precision = np.divide(hits, total, out=np.zeros_like(hits), where=total > 0)
        results[i] = np.sum(np.diff(hits, prepend=0.0) * precision) / hits[-1] if hits[-1] > 0 else np.nan
    return results
