"""Which candidate is chosen: the simplest of the best, and of different windows by the newest fold. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from retraining.records import Tried
from retraining.stats.blocks import block_index
from retraining.stats.bootstrap import paired_difference
from retraining.stats.metrics import Array, Metric
from retraining.train.folds import OutOfFold


class Comparison:
    """Compares predictions on the same out-of-fold rows."""

    def __init__(self, metric: Metric, y: Array, times: NDArray[np.datetime64], length: timedelta) -> None:
        self.metric, self._y, self._times, self._length = metric, y, times, length

    def standard_error(self, new: OutOfFold, old: OutOfFold) -> float:
        """Return the standard error of the difference in the metric, by blocks of time."""
        y, times = self._y[new.rows], self._times[new.rows]
        blocks = block_index(times, times.min().astype(datetime).replace(tzinfo=UTC), self._length)
        return paired_difference(self.metric, y, new.p, old.p, blocks, alpha=0.05, seed=0).standard_error


def best_of_the_windows(
    tried: Sequence[Tried],
    outs: Sequence[OutOfFold],
    compare: Comparison,
    newest: Callable[[NDArray[np.int64]], NDArray[np.bool_]],
) -> tuple[int, str]:
    """Return the candidate to fit, and why: within a window over all folds, between windows by the newest fold alone.

    A short window pays where something changed, and only the newest rows can say so; on older ones the long one wins by
    having more to learn from. So the best of each window meet on the newest fold, the longest first, and a shorter one
    must be better by more than one standard error.
    """
    windows = dict.fromkeys(t.reach for t in tried)
    groups = sorted(windows, key=lambda reach: reach.window or timedelta.max, reverse=True)
    found = []
    for reach in groups:
        among = [i for i, t in enumerate(tried) if t.reach == reach]
        best, why = simplest_of_the_best([tried[i].score.name for i in among], [outs[i] for i in among], compare)
        found.append((among[best], why))
    if len(found) == 1:
        return found[0]
    few = [outs[i].newest(newest(outs[i].rows)) for i, _ in found]
    chosen, why = simplest_of_the_best([tried[i].score.name for i, _ in found], few, compare)
    return found[chosen][0], f"{found[chosen][1]}; of different windows, on the newest fold: {why}"


def simplest_of_the_best(names: Sequence[str], outs: Sequence[OutOfFold], compare: Comparison) -> tuple[int, str]:
    """Return the first, that is simplest, candidate within one standard error of the best, and why it is chosen.

    The standard error is that of the paired difference on the same out-of-fold rows, by blocks of time: candidates
    err on the same days, so their difference is known far better than either score.
    Source: Breiman, Friedman, Olshen and Stone, Classification and Regression Trees (1984), section 3.4.3.
    """
    metric, sign = compare.metric.name, 1.0 if compare.metric.greater_is_better else -1.0
    best = max(range(len(outs)), key=lambda i: sign * outs[i].mean)
    for index, out in enumerate(outs[:best]):
        error = compare.standard_error(outs[best], out)
        if sign * (outs[best].mean - out.mean) <= error:
            return index, (
                f"{names[index]}: {metric} {out.mean:.4f}, within one standard error ({error:.4f}) of "
                f"{names[best]} ({outs[best].mean:.4f}) and simpler"
            )
    return best, f"{names[best]}: best {metric} {outs[best].mean:.4f} of {len(outs)} candidates"
