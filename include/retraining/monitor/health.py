"""Health of a day's rows: what a distance cannot see. Missing values are dropped before it, unknown categories have no
place in it, and rows that came late have no prediction.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from retraining.artifacts.features import FeaturePlan
from retraining.artifacts.outputs import PREDICTION
from retraining.errors import shown
from retraining.monitor.drift import comparable

_NULL_STEP = 0.25
"""A rise of the missing share by a quarter of all rows is broken plumbing rather than weather."""
_BY_CHANCE = 0.001
"""A column that is mostly missing may miss a whole small day by chance; once in three years is not worth a call."""
_UNSEEN_SHARE = 0.05
"""One row in twenty with a category the champion never saw: more than new routes or products bring in a day."""
_LATE_SHARE = 0.05
"""Late rows belong to a feed; with more than one in twenty, scoring runs before the day is there, and what is watched
is not what was served. It is also the share of labels that may be missing by default."""


def findings(plan: FeaturePlan, current: pa.Table, reference: pa.Table) -> Iterator[str]:
    """Name what is wrong with a day's rows, in sentences."""
    for column in plan.columns:
        yield from _missing(column, current, reference)
    for column in plan.categorical:
        yield from _unseen(plan, column, current, reference)
    late = current.column(PREDICTION).null_count
    if late > max(1, _LATE_SHARE * current.num_rows):
        yield f"{late} of {current.num_rows} rows have no published prediction: they came after the day was scored"


def _missing(column: str, current: pa.Table, reference: pa.Table) -> Iterator[str]:
    now, before = _null_share(current, column), _null_share(reference, column)
    if now - before > _NULL_STEP or (now == 1 and before**current.num_rows < _BY_CHANCE):
        yield f"{column}: {now:.0%} missing, {before:.0%} in training"
    elif before == 1 and now < 1:
        yield f"{column}: {1 - now:.0%} of rows have a value, none had one in training"


def _unseen(plan: FeaturePlan, column: str, current: pa.Table, reference: pa.Table) -> Iterator[str]:
    known = pc.unique(comparable(plan, column, reference.column(column)))
    seen = comparable(plan, column, current.column(column)).drop_null()
    unseen = seen.filter(pc.invert(pc.is_in(seen, known)))
    if len(seen) and len(unseen) / len(seen) > _UNSEEN_SHARE:
        examples = shown(pc.unique(unseen).to_pylist(), 3)
        yield f"{column}: {len(unseen) / len(seen):.0%} of rows have values never seen in training (e.g. {examples})"


def _null_share(table: pa.Table, column: str) -> float:
    return float(table.column(column).null_count / max(1, table.num_rows))
