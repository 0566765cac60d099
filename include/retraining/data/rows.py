"""From what a source gave to the rows of a window: columns checked, times in UTC, keys unique, labels joined.

Rows without a time get one by a keyed hash of model, version of the table and key: of the same rows the same are
always in the training part and the same in the holdout, and a table that changed is split anew. Rows without a key are
named by their content.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from datetime import datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from retraining.data import chunks
from retraining.data.joins import join
from retraining.errors import SourceError
from retraining.records import EPOCH, N_BUCKETS, Window
from retraining.spec import FrozenSpec
from retraining.spec.data import HASHED_HOLDOUT, HASHED_TIME, HASHED_TRAINING, OURS, ROW_ID, Data, Labels

HASHED_TRAIN = Window(EPOCH, EPOCH + HASHED_TRAINING)
HASHED_TEST = Window(HASHED_TRAIN.end, HASHED_TRAIN.end + HASHED_HOLDOUT)
HASHED = Window(EPOCH, HASHED_TEST.end)
"""The days that rows without a time are spread over: they only order rows, and mean nothing else."""
PANDAS_INDEX = re.compile(r"__index_level_\d+__")
"""Where pandas keeps a data frame's index in Parquet: row numbers, never data."""
MOST_COLUMNS = 2_000
"""Checks and profiles look at each column of each partition: ten thousand columns took seven minutes for three days."""
_ID_CHARACTERS = 20
"""80 bits of a row's digest: among ten million rows two share them with a chance of one in ten billion."""


def locate(frozen: FrozenSpec, table: pa.Table, span: Window) -> pa.Table:
    """Return a span's rows with a time in UTC and a unique key.

    Raises
    ------
    SourceError
        When a column is missing, a time or key is missing or unusable, or a key appears twice.
    """
    data, where = frozen.spec.data, f"{frozen.model}, source, {span if frozen.spec.data.time_ordered else 'all rows'}"
    if table.num_columns == 0:
        raise SourceError(f"{where}: the source gave nothing, not even columns. Check data.source.")
    if table.num_columns > MOST_COLUMNS:
        raise SourceError(
            f"{where}: the source has {table.num_columns:,} columns, at most {MOST_COLUMNS:,} can be used. Select "
            "those that the model needs in a query (data.source.query)."
        )
    _doubled_names(table, where)
    for name in OURS:
        _reserved(table, name, where)
    table = table.drop([name for name in table.column_names if PANDAS_INDEX.fullmatch(name)])
    late = [] if data.labels else [data.target, *data.outcomes]
    chunks.require(table, [*([data.time_column] if data.time_column else []), *data.key, *late], where)
    table = _with_key(table, data, where)
    table = _with_time(table, frozen, where)
    table = between(table, data.time, span)
    _unique_key(table, data.keys, where)
    return table


def split_anew(frozen: FrozenSpec, table: pa.Table) -> pa.Table:
    """Spread rows without a time again, by a hash that the version of the table is part of; others are as they are.

    The version is the content of all rows with their labels, in whatever order. One fifth for all versions would be
    judged by over and over: each candidate is then one that suited those rows before. `evaluation.standin` says how a
    champion is compared that has learnt a row of today's fifth.
    """
    data = frozen.spec.data
    if data.time_ordered:
        return table
    index = table.column_names.index(HASHED_TIME)
    version = chunks.content_id(chunks.normalise(table.remove_column(index), data.keys))
    return table.set_column(index, HASHED_TIME, _hashed_times(f"{frozen.model}\n{version}", table, data))


def join_labels(data: Data, labels: Labels, rows: pa.Table, found: pa.Table, as_of: datetime, where: str) -> pa.Table:
    """Return rows with the target and outcomes of a second source, as known at a time; null where it has none.

    Raises
    ------
    SourceError
        When the labels lack a column, or a key has several labels and nothing says which is newer.
    """
    where = f"{where}, labels"
    recorded = [labels.recorded_at] if labels.recorded_at else []
    chunks.require(found, [*data.key, *data.known_late, *recorded], where)
    found = found.select([*data.key, *data.known_late, *recorded])
    if labels.recorded_at:
        found = _newest(found, data, labels.recorded_at, as_of, where)
    found = chunks.normalise(found, data.key)
    _unique_key(found, data.key, where)
    own = rows.drop([name for name in data.known_late if name in rows.column_names])
    if found.num_rows == 0 or own.num_rows == 0:
        for name in data.known_late:
            own = own.append_column(name, pa.nulls(own.num_rows))
        return own
    for name in data.key:
        index = own.column_names.index(name)
        own = own.set_column(index, name, chunks.canonical(name, own.column(name)))
        ours, theirs = own.schema.field(name).type, found.schema.field(name).type
        if chunks.logical_type(ours) != chunks.logical_type(theirs):
            raise SourceError(
                f"{where}: {name} holds {chunks.logical_type(theirs)} values, in the features "
                f"{chunks.logical_type(ours)} values, so nothing would match. Cast it in the query."
            )
    return join(chunks.with_types(own), chunks.with_types(found), data.key, "left outer")


def split(data: Data, rows: pa.Table, *, with_labels: bool) -> list[tuple[chunks.Kind, pa.Table]]:
    """Return the canonical tables of a partition: its features and, once final, its labels."""
    if rows.num_rows == 0:
        return []
    late = [name for name in data.known_late if name in rows.column_names]
    tables: list[tuple[chunks.Kind, pa.Table]] = [("features", chunks.normalise(rows.drop(late), data.keys))]
    if with_labels:
        tables.append(("labels", chunks.normalise(rows.select([*data.keys, *late]), data.keys)))
    return tables


def between(table: pa.Table, time_column: str, window: Window) -> pa.Table:
    """Return the rows whose time is in a window."""
    moment = table.column(time_column)
    kind = pa.timestamp("us", tz="UTC")
    late_enough = pc.greater_equal(moment, pa.scalar(window.start, kind))
    return table.filter(pc.and_(late_enough, pc.less(moment, pa.scalar(window.end, kind))))


def in_utc(column: pa.ChunkedArray, name: str, timezone: str, where: str) -> pa.ChunkedArray:
    """Return times in UTC; naive ones are of the given zone, where an ambiguous or missing hour is an error."""
    if pa.types.is_null(column.type) or len(column) == 0:  # nothing has no type of its own
        return pa.chunked_array([pa.nulls(len(column), pa.timestamp("us", tz="UTC"))])
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"))
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = _parsed(column)
    if not pa.types.is_timestamp(column.type):
        raise SourceError(f"{where}: {name} holds {column.type}, not times. Cast it in the query.")
    try:
        if column.type.tz is None:
            column = pc.assume_timezone(column, timezone, ambiguous="raise", nonexistent="raise")
        return column.cast(pa.timestamp("us", tz="UTC"), safe=False)
    except (pa.ArrowInvalid, ValueError) as error:
        raise SourceError(f"{where}: {name}: {' '.join(str(error).split())}. Give times with an offset.") from error


def _parsed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return ISO 8601 texts as times, all with an offset or all without; other texts as they are.

    SQLite has no type for times, so that its times are texts, and no query can cast them.
    """
    for kind in (pa.timestamp("us"), pa.timestamp("us", tz="UTC")):
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:  # not of this kind
            continue
    return column


def _doubled_names(table: pa.Table, where: str) -> None:
    doubled = sorted(name for name, count in Counter(table.column_names).items() if count > 1)
    if doubled:
        raise SourceError(f"{where}: the column {doubled[0]} appears twice. Name the columns apart in the query.")


def _with_key(table: pa.Table, data: Data, where: str) -> pa.Table:
    """Name rows by their features' content where the YAML names no key; equal rows are numbered."""
    if data.key:
        return table
    _reserved(table, ROW_ID, where)
    names = sorted(name for name in table.column_names if name not in data.known_late)
    columns = [chunks.canonical(name, table.column(name)).to_pylist() for name in names]
    seen: dict[str, int] = {}
    ids = []
    for values in zip(*columns, strict=True):
        digest = hashlib.sha256(repr(values).encode()).hexdigest()[:_ID_CHARACTERS]
        seen[digest] = seen.get(digest, 0) + 1
        ids.append(f"{digest}-{seen[digest]}")
    return table.append_column(ROW_ID, pa.array(ids, pa.string()))


def _with_time(table: pa.Table, frozen: FrozenSpec, where: str) -> pa.Table:
    data = frozen.spec.data
    if data.time_column is None:
        _reserved(table, HASHED_TIME, where)
        return table.append_column(HASHED_TIME, _hashed_times(frozen.model, table, data))
    index = table.column_names.index(data.time_column)
    moment = in_utc(table.column(index), data.time_column, data.timezone, where)
    if moment.null_count:
        raise SourceError(f"{where}: {moment.null_count} rows have no {data.time_column}. Drop them in the query.")
    return table.set_column(index, data.time_column, moment)


def _hashed_times(salt: str, table: pa.Table, data: Data) -> pa.Array:
    """Spread rows over the hashed days and their hours: a pure function of salt and key; equal rows stay together."""
    columns = [chunks.canonical(name, table.column(name)).to_pylist() for name in data.keys]
    if not data.key:
        columns = [[name.rpartition("-")[0] for name in columns[0]]]
    found = []
    for values in zip(*columns, strict=True):
        digest = hashlib.sha256(f"{salt}\n{values!r}".encode()).digest()
        hours, days = divmod(int.from_bytes(digest[:8]), N_BUCKETS)
        found.append(EPOCH + timedelta(days=days, hours=hours % 24))
    return pa.array(found, pa.timestamp("us", tz="UTC"))


def _reserved(table: pa.Table, name: str, where: str) -> None:
    if name in table.column_names:
        raise SourceError(f"{where}: the column name {name} is ours. Rename it in the query, or name it in the YAML.")


def _unique_key(table: pa.Table, key: tuple[str, ...], where: str) -> None:
    for name in key:
        if table.column(name).null_count:
            raise SourceError(
                f"{where}: {table.column(name).null_count} rows have no {name}, which is in data.key. Drop them in the "
                "query, or name other columns."
            )
    if table.num_rows == 0:
        return
    counts = table.group_by(list(key)).aggregate([([], "count_all")])
    doubled = counts.filter(pc.greater(counts.columns[-1], 1))  # by place: a key may have the count's name
    if doubled.num_rows:
        example = {name: str(column[0].as_py()) for name, column in zip(key, doubled.columns, strict=False)}
        raise SourceError(
            f"{where}: {doubled.num_rows} keys appear more than once (e.g. {example}). "
            "Nothing was stored. Make data.key unique or remove the doubles in the query."
        )


def _newest(found: pa.Table, data: Data, recorded_at: str, as_of: datetime, where: str) -> pa.Table:
    """Of several labels for a key, keep the one that was recorded last by the as-of time."""
    index = found.column_names.index(recorded_at)
    moment = in_utc(found.column(index), recorded_at, data.timezone, where)
    found = found.set_column(index, recorded_at, moment)
    found = found.filter(pc.less_equal(moment, pa.scalar(as_of, moment.type)))
    found = chunks.normalise(found, (recorded_at,))  # of two at one time, the order of values decides, not chance
    newest = ~pd.MultiIndex.from_arrays([found.column(k).to_pylist() for k in data.key]).duplicated(keep="last")
    return found.filter(pa.array(newest)).drop([recorded_at])
