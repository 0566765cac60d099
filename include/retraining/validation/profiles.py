"""What a chunk's columns hold, computed once per chunk; profiles of many chunks add up to that of their window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import sqrt
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from retraining.data import chunks

MAX_CATEGORIES = 250
"""Columns with more different texts than this are not categories; their values are not counted."""


@dataclass(frozen=True)
class ColumnProfile:
    """A column of some rows. `mean` and `squares` (squared deviations from it) are of numbers and booleans."""

    type: str
    n_rows: int
    n_null: int
    minimum: float | str | None = None
    maximum: float | str | None = None
    mean: float | None = None
    squares: float | None = None
    categories: dict[str, int] | None = None

    @property
    def n_values(self) -> int:
        """Rows with a value."""
        return self.n_rows - self.n_null

    @property
    def standard_deviation(self) -> float | None:
        """The sample's standard deviation; None below two values."""
        return None if self.squares is None or self.n_values < 2 else sqrt(self.squares / (self.n_values - 1))


_FEW = 20
"""Texts that are nearly as many as rows are names, not categories; in a handful of rows that cannot be told."""

Profile = dict[str, ColumnProfile]


def profile(table: pa.Table, keys: Sequence[str] = ()) -> Profile:
    """Return the profile of a canonical table, by column; of keys, which may name persons, no value is kept."""
    return {
        name: _key(table.column(name)) if name in keys else _column(table.column(name)) for name in table.column_names
    }


def combine(parts: Iterable[Profile]) -> Profile:
    """Return the profile of several tables together; a column that some lack counts as null there."""
    found = list(parts)
    names = sorted({name for part in found for name in part})
    sizes = [max((c.n_rows for c in part.values()), default=0) for part in found]
    missing = [ColumnProfile("null", size, size) for size in sizes]
    return {name: reduce(_add, [p.get(name, gap) for p, gap in zip(found, missing, strict=True)]) for name in names}


def _key(column: pa.ChunkedArray) -> ColumnProfile:
    return ColumnProfile(chunks.logical_type(column.type), len(column), column.null_count)


def _column(column: pa.ChunkedArray) -> ColumnProfile:
    kind = chunks.logical_type(column.type)
    n_rows, n_null = len(column), column.null_count
    if n_null == n_rows:
        return ColumnProfile(kind, n_rows, n_null)
    if kind == "string":
        return ColumnProfile(kind, n_rows, n_null, categories=_categories(column))
    ends: dict[str, Any] = pc.min_max(column).as_py()
    if kind == "timestamp":
        return ColumnProfile(kind, n_rows, n_null, ends["min"].isoformat(), ends["max"].isoformat())
    numbers = column.cast(pa.float64())
    mean = float(pc.mean(numbers).as_py())
    squares = float(pc.variance(numbers).as_py()) * (n_rows - n_null)
    return ColumnProfile(kind, n_rows, n_null, float(ends["min"]), float(ends["max"]), mean, squares)


def _categories(column: pa.ChunkedArray) -> dict[str, int] | None:
    values = column.drop_null()
    counts = values.value_counts()
    if len(counts) > MAX_CATEGORIES or len(counts) * 2 > len(values) + _FEW:
        return None
    return {str(entry["values"]): int(entry["counts"]) for entry in counts.to_pylist()}


def _add(one: ColumnProfile, two: ColumnProfile) -> ColumnProfile:
    """Add two profiles. Means and squares: Chan, Golub and LeVeque (1979), Updating formulae for sample variances."""
    if not one.n_values or not two.n_values:
        some = one if one.n_values else two
        return ColumnProfile(
            some.type if some.n_values else one.type,
            one.n_rows + two.n_rows,
            one.n_null + two.n_null,
            *(some.minimum, some.maximum, some.mean, some.squares, some.categories),
        )
    mean = squares = None
    if one.mean is not None and two.mean is not None and one.squares is not None and two.squares is not None:
        n, gap = one.n_values + two.n_values, two.mean - one.mean
        mean = one.mean + gap * two.n_values / n
        squares = one.squares + two.squares + gap**2 * one.n_values * two.n_values / n
    return ColumnProfile(
        one.type if one.type == two.type else "mixed",
        one.n_rows + two.n_rows,
        one.n_null + two.n_null,
        _end(min, [one.minimum, two.minimum]),
        _end(max, [one.maximum, two.maximum]),
        mean,
        squares,
        _sum_categories(one.categories, two.categories),
    )


def _end(choose: Any, ends: Sequence[float | str | None]) -> float | str | None:
    kinds = {type(end) for end in ends}
    return choose(ends) if len(kinds) == 1 and None not in ends else None


def _sum_categories(one: dict[str, int] | None, two: dict[str, int] | None) -> dict[str, int] | None:
    if one is None or two is None:
        return None
    total = dict(Counter(one) + Counter(two))
    return total if len(total) <= MAX_CATEGORIES else None
