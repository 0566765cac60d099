"""Look at a table: its columns over the whole of it, and a sample of rows to judge them by.

Everything is read the way the pipeline reads it, by the same `FileSource`; nothing is kept.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retraining.data import chunks
from retraining.data.rows import PANDAS_INDEX
from retraining.errors import RequestError, RetrainingError, shown
from retraining.records import Window
from retraining.scaffold.timeline import Timeline
from retraining.sources import Places
from retraining.sources.base import quoted_name
from retraining.sources.files import FileSource
from retraining.stats.telling import told

Kind = Literal["number", "boolean", "string", "timestamp", "null", "other"]

SAMPLE_ROWS = 200_000
"""Rows that columns are judged by: a value held by one row in ten thousand is still seen twenty times."""
MOST_VALUES = 50
"""Values that are counted one by one; a column with more of them has no list of values."""
NULL_TEXTS = ("NA", "N/A", "n/a", "#N/A", "NULL", "null", "None", "none", "?", "-", ".")
"""Texts that stand for a missing value in many CSV files."""
_ANY = Window(datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC))
"""Our queries name no window."""


@dataclass(frozen=True)
class Column:
    """What was seen of a column. `n_null`, `minimum`, `maximum` are of the whole table, the rest of the sample."""

    name: str
    kind: Kind
    n_null: int
    n_there: int
    """Rows of the sample that have a value."""
    n_distinct: int
    counts: tuple[tuple[Any, int], ...]
    """Value and rows, ordered by value; empty when there are more than `MOST_VALUES`."""
    minimum: float | None = None
    maximum: float | None = None
    mean: float = 0.0
    deviation: float = 0.0
    """Mean and standard deviation of a number."""
    whole: bool = False
    """Whether all numbers are whole."""
    counting: bool = False
    """Whether it numbers the rows: 0, 1, 2 and so on, in any order."""
    zoned: bool = False
    """Whether times carry an offset."""
    most_rows: int = 0
    """Rows of the most frequent value."""
    example: str = ""
    problem: str = ""
    """Why the pipeline cannot keep it."""


@dataclass(frozen=True)
class Table:
    """A table that was looked at."""

    url: str
    """The file, pattern or URL as it was read."""
    nulls: tuple[str, ...]
    """Texts that mean a missing value, where numbers need it."""
    n_rows: int
    sample: pa.Table
    columns: tuple[Column, ...]

    @property
    def n_sample(self) -> int:
        """Rows of the sample."""
        return int(self.sample.num_rows)

    def column(self, name: str) -> Column:
        """Return a column that exists."""
        return next(c for c in self.columns if c.name == name)

    def tells(self, name: str, target: str, *, classes: bool) -> float:
        """Return how far a column alone tells the target on rows not looked at, 0 to 1."""
        return told(self.sample.column(name), self.sample.column(target), classes=classes)


def look(url: str, models: Path) -> Table:
    """Read a table's columns and a sample of its rows.

    Raises
    ------
    RequestError
        When it cannot be read, or has no rows.
    Unavailable
        When its store does not answer.
    """
    source = _Asked(url, (), models)
    sample = source.ask(_SAMPLE)
    nulls = _null_texts(sample) if ".csv" in Path(url).suffixes else ()
    if nulls:
        source = _Asked(url, nulls, models)
        sample = source.ask(_SAMPLE)
    if sample.num_rows == 0 or sample.num_columns == 0:
        raise RequestError(f"--data {url}: has no rows. Nothing was written; name a file with rows to learn from.")
    sample = sample.drop([name for name in sample.column_names if PANDAS_INDEX.fullmatch(name)])
    whole = source.ask(_summary(sample.schema)).to_pylist()[0]
    columns = tuple(_column(sample, index, whole) for index in range(sample.num_columns))
    return Table(url, nulls, whole["n_rows"], sample, columns)


def n_not_unique(table: Table, names: tuple[str, ...], models: Path) -> int:
    """Return how many rows of the whole table share their values of some columns with another row, or lack one."""
    listed = ", ".join(quoted_name(n) for n in names)
    missing = " or ".join(f"{quoted_name(n)} is null" for n in names)
    sql = (
        f"select coalesce(sum(n) filter (n > 1 or missing), 0)::bigint as n from (select count(*) as n, "  # noqa: S608 - quoted names
        f"bool_or({missing}) as missing from data group by {listed})"
    )
    return int(_Asked(table.url, table.nulls, models).ask(sql).column("n")[0].as_py())


def timeline(table: Table, time: str, target: str, classes: tuple[Any, ...], models: Path) -> Timeline:
    """Return the rows of the whole table by hour."""
    value = f"{quoted_name(target)}" if classes else f"case when {_has_value(table, target)} then 1 end"
    sql = (
        f"select date_trunc('hour', {quoted_name(time)}::timestamptz::timestamp) as hour, {value} as label, "  # noqa: S608 - quoted names
        "count(*)::bigint as n from data group by all order by 1"
    )
    found = _Asked(table.url, table.nulls, models).ask(sql)
    hours = found.column("hour").cast(pa.timestamp("us")).to_numpy()
    return Timeline.of(hours, found.column("label").to_pylist(), found.column("n").to_pylist(), classes or (1,))


_SAMPLE = f"select * from data using sample reservoir({SAMPLE_ROWS} rows) repeatable (0)"  # noqa: S608 - a constant


@dataclass(frozen=True)
class _Asked:
    """The table as `data` in SQL."""

    url: str
    nulls: tuple[str, ...]
    models: Path

    def ask(self, sql: str) -> pa.Table:
        try:
            with tempfile.TemporaryDirectory() as cache:
                places = Places(self.models, Path(cache))
                return FileSource({"data": self.url}, sql, self.nulls, places).read(_ANY)
        except RetrainingError as error:
            text = str(error).replace("Check data.source.files.", "Check --data.").removeprefix(f"source {self.url}: ")
            raise RequestError(f"--data {self.url}: {text} Nothing was written.") from error


def _summary(schema: pa.Schema) -> str:
    """Count and measure every column of the whole table in one query."""
    parts = ["count(*)::bigint as n_rows"]
    for index, field in enumerate(schema):
        name = quoted_name(field.name)
        floating = pa.types.is_floating(field.type)
        there = f"{name} is not null and not isnan({name})" if floating else f"{name} is not null"
        parts.append(f"count(*) filter ({there})::bigint as n_{index}")
        if _is_number(field.type):
            finite = f" filter (isfinite({name}::double))"
            parts += [f"{how}({name}::double){finite} as {how}_{index}" for how in ("min", "max")]
            parts.append(f"count(*) filter (isinf({name}::double))::bigint as inf_{index}")
    return f"select {', '.join(parts)} from data"  # noqa: S608 - quoted names


def _column(sample: pa.Table, index: int, whole: dict[str, Any]) -> Column:
    name, raw = sample.column_names[index], sample.column(index)
    n_null = whole["n_rows"] - whole[f"n_{index}"]
    try:
        values = chunks.canonical(name, raw)
    except RetrainingError as error:
        return Column(name, "other", n_null, 0, 0, (), problem=str(error))
    if whole.get(f"inf_{index}"):
        return Column(name, "other", n_null, 0, 0, (), problem=f"column {name} holds infinite values")
    logical = chunks.logical_type(values.type)
    kind: Kind = "number" if logical in ("number", "integer") else logical  # type: ignore[assignment]  # the other names are the same
    if kind == "null":
        return Column(name, kind, n_null, 0, 0, ())
    counted = values.drop_null().value_counts()
    counts = counted.field("counts")
    few = len(counted) <= MOST_VALUES
    pairs = sorted(zip(counted.field("values").to_pylist(), counts.to_pylist(), strict=True)) if few else []
    common = {
        "n_null": n_null,
        "n_there": len(values) - values.null_count,
        "n_distinct": len(counted),
        "counts": tuple(pairs),
        "most_rows": pc.max(counts).as_py() or 0,
        "example": str(values.drop_null()[0].as_py()),
    }
    if kind == "number":
        numbers = values.drop_null().to_numpy().astype(np.float64)
        limits = {"minimum": whole[f"min_{index}"], "maximum": whole[f"max_{index}"]}
        whole_numbers = bool(np.all(numbers == np.round(numbers)))
        apart = len(counted) == len(values) and limits["maximum"] - limits["minimum"] == whole["n_rows"] - 1
        return Column(
            name,
            kind,
            whole=whole_numbers,
            mean=float(np.mean(numbers)),
            deviation=float(np.std(numbers)),
            counting=whole_numbers and apart,
            **limits,
            **common,
        )
    zoned = pa.types.is_timestamp(raw.type) and raw.type.tz is not None
    return Column(name, kind, zoned=zoned, **common)


def _null_texts(sample: pa.Table) -> tuple[str, ...]:
    """Return the null texts that keep a column of numbers or times from being one."""
    texts = [f.name for f in sample.schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
    found: set[str] = set()
    with duckdb.connect() as connection:
        connection.register("sample", sample)
        for name in map(quoted_name, texts):
            some, *rest = connection.execute(
                f"select list(distinct {name}) filter ({name} in $nulls), "  # noqa: S608 - quoted names
                f"count(*) filter ({name} not in $nulls), "
                f"count(*) filter ({name} not in $nulls and try_cast({name} as double) is not null), "
                f"count(*) filter ({name} not in $nulls and try_cast({name} as timestamp) is not null) from sample",
                {"nulls": list(NULL_TEXTS)},
            ).fetchone() or (None, 0, 0, 0)
            if some and rest[0] and rest[0] in rest[1:]:
                found |= set(some)
    return tuple(sorted(found))


def _has_value(table: Table, name: str) -> str:
    floating = pa.types.is_floating(table.sample.schema.field(name).type)
    there = f"{quoted_name(name)} is not null"
    return f"{there} and not isnan({quoted_name(name)})" if floating else there


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def shown_columns(table: Table) -> str:
    """Name a table's columns the way messages do."""
    return shown((c.name for c in table.columns), MOST_VALUES)
