"""Training-serving skew: rows about to be scored against what the champion was trained on, before they are scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from retraining.artifacts.features import FeaturePlan
from retraining.artifacts.stored import StoredModel
from retraining.data.chunks import logical_type
from retraining.errors import shown

NOTED = 0.05
"""One row in twenty outside what was trained on is said aloud; `score.max_skew` decides what blocks."""
_MARGIN = 0.5
"""Numbers may leave the trained range by half of its width: a hotter day than any before is weather, not skew."""


@dataclass(frozen=True)
class Skew:
    """A column whose rows differ from training: `share` is of its rows, 1 when the column itself does not fit."""

    column: str
    share: float
    detail: str

    def __str__(self) -> str:
        return f"{self.column}: {self.detail}"


def find(model: StoredModel, rows: pa.Table) -> list[Skew]:
    """Return the columns of some rows that differ from the champion's training rows, worst first."""
    found = [*_schema(model.card.plan, rows)]
    if not found:
        found = [s for s in _ranges(model.card.plan, model.drift_reference(), rows) if s.share > NOTED]
    return sorted(found, key=lambda s: (-s.share, s.column))


def _schema(plan: FeaturePlan, rows: pa.Table) -> Iterator[Skew]:
    for name in plan.columns:
        if name not in rows.column_names:
            yield Skew(name, 1.0, "is missing")
        elif name in plan.numeric and logical_type(rows.schema.field(name).type) in ("string", "timestamp"):
            yield Skew(name, 1.0, f"holds {logical_type(rows.schema.field(name).type)} values, was trained on numbers")


def _ranges(plan: FeaturePlan, reference: pa.Table, rows: pa.Table) -> Iterator[Skew]:
    for name in plan.columns:
        known, column = reference.column(name), rows.column(name)
        values = column.drop_null()
        if known.null_count == len(known):
            continue  # there was nothing to learn a range from
        if len(values) == 0:
            if known.null_count < len(known) / 2:
                yield Skew(name, 1.0, f"is missing in every row, in training in {known.null_count / len(known):.0%}")
        elif name in plan.numeric:
            yield _outside(name, known.drop_null(), values)
        else:
            yield _unseen(name, known, values)


def _outside(name: str, known: pa.ChunkedArray, values: pa.ChunkedArray) -> Skew:
    ends = pc.min_max(known.cast(pa.float64())).as_py()
    room = _MARGIN * (ends["max"] - ends["min"])
    numbers = values.cast(pa.float64())
    outside = numbers.filter(pc.or_(pc.less(numbers, ends["min"] - room), pc.greater(numbers, ends["max"] + room)))
    share = len(outside) / len(values)
    text = (
        f"{share:.0%} of rows lie far outside {ends['min']:g} to {ends['max']:g} (e.g. {outside[0].as_py():g})"
        if len(outside)
        else ""
    )
    return Skew(name, share, text)


def _unseen(name: str, known: pa.ChunkedArray, values: pa.ChunkedArray) -> Skew:
    texts, seen = pc.cast(values, pa.string()), pc.cast(pc.unique(known), pa.string())
    unseen = texts.filter(pc.invert(pc.is_in(texts, value_set=seen)))
    share = len(unseen) / len(values)
    return Skew(
        name,
        share,
        f"{share:.0%} of rows have values never seen in training (e.g. {shown(set(unseen.to_pylist()), 3)})",
    )
