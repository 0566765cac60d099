"""The metrics a model can be chosen and judged by, and their exact value on resampled blocks of rows.

Predictions are the probability of the second class (binary), one column per class (multiclass) or a value
(regression); `y` holds class indices or values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retraining.errors import NotEnoughData, SpecError

Array = NDArray[np.float64]

_CLIP = 1e-15
"""Keeps the logarithm finite, as scikit-learn does for float64."""
_RUN = 8
"""Rows per run when pairs are counted: near the least total work for 20 to 100 blocks, where runs cost n * _RUN."""
_CELLS = 2**17
"""Numbers in a temporary table: 1 MB, so that a table stays in the processor's cache and memory stays bounded."""
_TABLES = 8
"""So many of them at once, at most, where each block's share of a table is to fill one."""
_WHOLE_IN_SINGLE = 2**24
"""Whole numbers up to here, and so their sums, are exact in single precision."""


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
    if np.all(weights == weights[0, 0]):  # the rows as they are: one block says the same
        blocks, weights = np.zeros_like(blocks), np.ones((len(weights), 1))
    n_blocks, positive = weights.shape[1], y == 1
    pairs = _right_pairs(p, positive, blocks, n_blocks)
    n_positive = weights @ np.bincount(blocks[positive], minlength=n_blocks)
    n_negative = weights @ np.bincount(blocks[~positive], minlength=n_blocks)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(((weights @ pairs) * weights).sum(axis=1) / (n_positive * n_negative))


def _right_pairs(p: Array, positive: NDArray[np.bool_], blocks: NDArray[np.int64], n_blocks: int) -> Array:
    """Count rightly ranked pairs by (block of the positive, block of the negative), ties half; shape (n, n) blocks.

    Ranked rows are cut into short runs of different scores, and runs of one tied score. Pairs of different runs are
    a matrix product of counts, pairs within a run are counted one distance at a time: n * n_blocks / _RUN additions
    instead of n * n_blocks. All counts are whole or half numbers, so the sums are exact.
    """
    order = np.argsort(p)  # the order of tied rows does not matter
    score, hit, owner = p[order], positive[order], blocks[order]
    new = np.append(True, score[1:] != score[:-1])
    single = new & np.append(new[1:], True)
    starts = new & ~(single & np.append(False, single[:-1]) & (np.arange(len(p)) % _RUN != 0))
    run = np.cumsum(starts) - 1
    tied = np.where(single[starts], 0.0, 0.5)[:, None]
    pairs, below = np.zeros((n_blocks, n_blocks)), np.zeros(n_blocks)
    step = max(1, _CELLS // n_blocks)
    for first in range(0, len(tied), step):
        count = min(step, len(tied) - first)
        rows = slice(*np.searchsorted(run, [first, first + count]))
        cell = (run[rows] - first) * n_blocks + owner[rows]
        here = hit[rows]
        hits, misses = (
            np.bincount(cell[some], minlength=count * n_blocks).reshape(count, n_blocks).astype(float)
            for some in (here, ~here)
        )
        through = below + np.cumsum(misses, axis=0)
        pairs += hits.T @ (through - misses + tied[first : first + count] * misses)
        below = through[-1]
    for distance in range(1, _RUN):
        right = np.flatnonzero(hit[distance:] & ~hit[:-distance] & (run[distance:] == run[:-distance]))
        right = right[single[right]]
        both = owner[right + distance] * n_blocks + owner[right]
        pairs += np.bincount(both, minlength=n_blocks**2).reshape(n_blocks, n_blocks)
    return pairs


def _resampled_average_precision(y: Array, p: Array, blocks: NDArray[np.int64], weights: Array) -> Array:
    """Average precision per resample: the sum of precision times gain in recall at each distinct score of a positive.

    Where no positive has the score, recall gains nothing; so only the positives' scores are looked at, and of those
    only the ones of blocks that a resample holds (of a bootstrap's, 63 %).
    """
    n_blocks = weights.shape[1]
    place, hit, owner = _ranked(y, p, blocks)
    parts = [(place[rows], owner[rows]) for rows in (hit, ~hit)]
    holding = [np.flatnonzero(weights[:, block]) for block in range(n_blocks)]
    exact = weights.astype(_counting_type(weights, len(y)))
    before, total = np.zeros((2, n_blocks, 1)), np.zeros(len(weights))
    n_places = int(place[hit].max(initial=-1)) + 1
    step = max(1, min(n_blocks * _CELLS // len(weights), _TABLES * _CELLS // n_blocks))  # a block has one in n_blocks
    for first in range(0, n_places, step):
        counts = np.stack([_counts(*part, first, min(step, n_places - first), n_blocks) for part in parts])
        gained, through = counts[0], before + np.cumsum(counts, axis=2)
        hits, seen = through[0].astype(exact.dtype), through.sum(axis=0).astype(exact.dtype)
        for block, some in enumerate(holding):
            for here in _pieces(np.flatnonzero(gained[block]), _CELLS // max(1, len(some))):
                drawn = exact[some]
                precision = np.divide(drawn @ hits[:, here], drawn @ seen[:, here], dtype=np.float64)
                total[some] += weights[some, block] * (precision @ gained[block, here])
        before = through[:, :, -1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(total / (weights @ before[0, :, 0]))


def _ranked(
    y: Array, p: Array, blocks: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.int64]]:
    """Return rows by falling score: place, whether positive, and block. Places number the scores that positives have;
    a row between two of them belongs to the lower."""
    order = np.argsort(-p)  # the order of tied rows does not matter
    score, hit = p[order], y[order] == 1
    group = np.cumsum(np.append(False, score[1:] != score[:-1]))
    wanted = np.bincount(group, hit) > 0
    return (np.cumsum(wanted) - wanted)[group], hit, blocks[order]


def _counting_type(weights: Array, n_rows: int) -> type[np.floating[Any]]:
    """Return a type in which every count of drawn rows is exact: single precision, where it is, takes half the time."""
    whole = bool(np.all(weights == np.rint(weights)))
    return np.float32 if whole and weights.max(initial=0) * n_rows <= _WHOLE_IN_SINGLE else np.float64


def _pieces(places: NDArray[np.intp], size: int) -> list[NDArray[np.intp]]:
    return [places[i : i + max(1, size)] for i in range(0, len(places), max(1, size))]


def _counts(place: NDArray[np.intp], owner: NDArray[np.int64], first: int, count: int, n_blocks: int) -> Array:
    """Count rows, sorted by place, by (block, place) for `count` places from `first` on."""
    rows = slice(*np.searchsorted(place, [first, first + count]))
    cell = owner[rows] * count + place[rows] - first
    return np.bincount(cell, minlength=n_blocks * count).reshape(n_blocks, count).astype(float)
