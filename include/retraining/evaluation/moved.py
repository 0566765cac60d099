"""Columns that moved: which features of the holdout are not what they were in the champion's training rows, and how.

This names a cause, where the figures only show an effect. A column's own season does not count: it has to leave the
range of a whole training window, or turn its meaning on most of the days.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats

from retraining.artifacts.features import matrix
from retraining.artifacts.outputs import PREDICTION
from retraining.artifacts.stored import ModelCard
from retraining.gate.rivals import MIN_DAYS
from retraining.records import Moved
from retraining.stats.metrics import Array
from retraining.train.reference import N_REFERENCE_ROWS
from retraining.train.rows import spread

MOST_MOVED = 5
"""Columns that are named: whoever reads about a sixth mends the source as a whole."""
_NULLS = 0.25
"""Change in the share of missing values: gaps of a sensor come and go, a quarter of all rows does not."""
_OUTSIDE = (0.005, 0.995)
"""The range of training rows that a median does not leave by season; on 38 weeks of flights two columns did once."""
_WIDER = 4.0
"""How many times wider the middle half of the values is, where it counts as moved."""
_UNSEEN = 0.1
"""Share of rows with a category of which the training rows have none."""
_TOLD, _TELLS = 0.2, 0.05
"""Rank correlations: a column that told the champion less has no sign to lose, and one that tells less now has none."""
_ERROR = 0.01
"""One-sided error of "its sign turned", by days: weather turns its relation to delays for a day, not for a week."""
_FEWEST = 50
"""Values on either side below which quantiles and correlations say little."""


def moved_columns(
    card: ModelCard, reference: pa.Table, rows: pa.Table, y: Array, times: NDArray[np.datetime64], where: str
) -> tuple[Moved, ...]:
    """Return the columns that moved, the most important first.

    Parameters
    ----------
    reference
        The champion's reference rows with its own predictions.
    rows, y, times
        The holdout rows, their truth and when they happened.
    """
    few = spread(len(y), N_REFERENCE_ROWS)
    before, after = (matrix(table, card.plan, where) for table in (reference, rows.take(few)))
    days = np.unique(times[few].astype("datetime64[D]"), return_inverse=True)[1]
    told = _told(card, reference)
    found = []
    for column in card.plan.columns:
        importance = card.importance.get(column, 0.0)
        if importance == 0 and card.importance:
            continue  # the champion does not look at it
        if column in card.plan.categorical:
            how = next(_category(before[column], after[column]), None)
        else:
            old, new = before[column].to_numpy(np.float64), after[column].to_numpy(np.float64)
            how = next(_number(old, new, told, None if told is None else y[few], days), None)
        if how is not None:
            found.append(Moved(column, *how, importance))
    return tuple(sorted(found, key=lambda m: -m.importance)[:MOST_MOVED])


def _told(card: ModelCard, reference: pa.Table) -> Array | None:
    """Return the champion's predictions of its reference rows, where one number says what is predicted."""
    if card.task == "multiclass" or PREDICTION not in reference.column_names:
        return None
    return np.asarray(reference.column(PREDICTION).cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _number(
    old: Array, new: Array, told: Array | None, y: Array | None, days: NDArray[np.intp]
) -> Iterator[tuple[Any, float, float]]:
    """Yield how a column of numbers moved, what explains most first."""
    had, has = np.isfinite(old), np.isfinite(new)
    yield from _nulls(1 - float(had.mean()), 1 - float(has.mean()))
    if had.sum() < _FEWEST or has.sum() < _FEWEST:
        return
    low, high = np.quantile(old[had], _OUTSIDE)
    middles = float(np.median(old[had])), float(np.median(new[has]))
    if not low <= middles[1] <= high:
        yield ("scale", *middles)
    widths = [float(np.subtract(*np.quantile(side, [0.75, 0.25]))) for side in (old[had], new[has])]
    if widths[0] > 0 and widths[1] > _WIDER * widths[0]:
        yield ("spread", widths[0], widths[1])
    if told is not None and y is not None:
        yield from _sign(old[had], told[had], new[has], y[has], days[has])


def _category(old: pd.Series[Any], new: pd.Series[Any]) -> Iterator[tuple[Any, float, float]]:
    yield from _nulls(float(old.isna().mean()), float(new.isna().mean()))
    unseen = float((new.notna() & ~new.isin(old.dropna().unique())).mean())
    if unseen >= _UNSEEN:
        yield "categories", 0.0, unseen


def _nulls(before: float, after: float) -> Iterator[tuple[Any, float, float]]:
    if abs(after - before) >= _NULLS:
        yield "nulls", before, after


def _sign(old: Array, told: Array, new: Array, y: Array, days: NDArray[np.intp]) -> Iterator[tuple[Any, float, float]]:
    """Yield a relation that turned, by Spearman's rank correlation with a jackknife over days.

    Rows of a day are alike, so that days are the unit (Efron and Stein 1981, The jackknife estimate of variance).
    """
    before, ranks = _correlation(stats.rankdata(old), told), stats.rankdata(new)
    after, each = _correlation(ranks, y), np.unique(days)
    if before * after >= 0 or abs(before) < _TOLD or abs(after) < _TELLS or len(each) < MIN_DAYS:
        return
    without = np.array([_correlation(ranks[days != day], y[days != day]) for day in each])
    error = np.sqrt((len(each) - 1) / len(each) * np.sum((without - without.mean()) ** 2))
    if abs(after) > stats.t.ppf(1 - _ERROR, len(each) - 1) * error:
        yield "sign", before, after


def _correlation(a: Array, b: Array) -> float:
    """Return Pearson's correlation; 0 where a side is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0
