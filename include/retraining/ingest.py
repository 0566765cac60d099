"""Ingest: read what is not known yet, store it by content, and freeze the window's snapshots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from retraining import chunks
from retraining.errors import NotEnoughData, SourceError, shown
from retraining.ledger import Ledger
from retraining.records import Chunk, Column, Snapshot, Window, digest_of, from_dict, short, to_dict
from retraining.sources import RowSource
from retraining.spec import FrozenSpec
from retraining.spec.model import Data
from retraining.store import Store
from retraining.windows import floor, nominal, partitions, step

Reading = tuple[datetime, tuple[Chunk, ...]]
"""The as-of time at which a partition was read, and the chunks it had."""

_READ_AT_ONCE = 120
"""Partitions per query: bounds memory, and still reads a year in three queries."""


@dataclass(frozen=True)
class Reader:
    """A model's source together with where its rows are kept."""

    frozen: FrozenSpec
    source: RowSource
    store: Store
    ledger: Ledger

    @property
    def data(self) -> Data:
        """The spec's data group."""
        return self.frozen.spec.data

    @property
    def source_id(self) -> str:
        """The digest of everything that decides which rows a partition has."""
        keys = {"source", "time_column", "key", "timezone", "target", "outcomes", "partition", "label_delay"}
        return digest_of([self.data.model_dump(mode="json", include=keys), self.frozen.sql])


@dataclass(frozen=True)
class Extent:
    """What was read: the chunks per partition, and how much work it was."""

    chunks: dict[datetime, tuple[Chunk, ...]]
    n_partitions_read: int
    n_chunks_written: int


def mature_end(data: Data, as_of: datetime) -> datetime:
    """Return the end of the last partition whose labels are all final at the as-of time."""
    return floor(as_of - data.label_delay, data.partition)


def read_window(reader: Reader, window: Window, as_of: datetime) -> Extent:
    """Return the chunks of a window as of a time, reading only partitions that are new or inside the look-back.

    A partition that was read at this very as-of time is not read again; older ones are taken from the newest
    reading at or before it. Late and corrected rows inside the look-back make new chunks; the old ones stay.
    """
    known = _trusted(reader, reader.ledger.readings(reader.source_id, window))
    fresh_from = _fresh_from(reader.data, as_of)
    found: dict[datetime, tuple[Chunk, ...]] = {}
    missing: list[Window] = []
    for part in partitions(window, reader.data.partition):
        seen = _final_as(reader.data, known.get(part.start, []), part, as_of)
        reading = _reading_for(seen, as_of, exact=part.start >= fresh_from)
        if reading is None:
            missing.append(part)
        else:
            found[part.start] = reading
    written = 0
    for batch in _batches(missing):
        stored, n_new = _read_batch(reader, batch, as_of)
        reader.ledger.add_readings(reader.source_id, as_of, stored)
        found.update(stored)
        written += n_new
    return Extent(dict(sorted(found.items())), len(missing), written)


def snapshot(reader: Reader, extent: Extent, window: Window, as_of: datetime, *, labels: bool) -> Snapshot:
    """Freeze the manifest of a window from chunks that were read.

    Raises
    ------
    NotEnoughData
        When the window has no rows at all.
    """
    inside = {start: found for start, found in extent.chunks.items() if window.start <= start < window.end}
    features = _of_kind(inside, "features")
    labelled = _of_kind(inside, "labels") if labels else ()
    if window.start < window.end and not features:
        raise NotEnoughData(
            f"{reader.frozen.model}: the source has no rows in {window}. Check the source and the as-of time."
        )
    columns = _columns(reader.store, [*features[-1:], *labelled[-1:]])
    identity = digest_of(
        {
            "chunks": sorted(c.id for c in (*features, *labelled)),
            "columns": [to_dict(c) for c in columns],
            "window": to_dict(window),
        }
    )
    empty = tuple(start for start, found in inside.items() if not found)
    manifest = Snapshot(
        identity, reader.frozen.model, window, as_of, reader.source_id, columns, features, labelled, empty
    )
    reader.store.write_json_once(f"snapshots/{identity}.json", to_dict(manifest))
    return manifest


def read_manifest(store: Store, snapshot_id: str) -> Snapshot:
    """Return a snapshot that was frozen."""
    return from_dict(Snapshot, store.read_json(f"snapshots/{snapshot_id}.json"))


def load(store: Store, manifest: Snapshot, data: Data) -> pa.Table:
    """Return a snapshot's rows by time and key, features joined with labels; every chunk's digest is checked.

    Raises
    ------
    NotEnoughData
        When the snapshot has no rows.
    """
    if not manifest.features:
        raise NotEnoughData(f"{manifest.model}, {manifest.describe()}: there are no rows.")
    rows = _read_all(store, manifest.features)
    if manifest.labels:
        rows = rows.join(_read_all(store, manifest.labels), keys=list(data.key), join_type="left outer")
    order = [data.time_column, *(name for name in data.key if name != data.time_column)]
    return rows.sort_by([(name, "ascending") for name in order])  # a join has no order; learning depends on it


def distrust(ledger: Ledger, snapshot: Snapshot, starts: Iterable[datetime]) -> None:
    """Have partitions read again by the next run: their rows broke a check, and may be mended at their source."""
    marks = {}
    for start in starts:
        parts = tuple(c for c in (*snapshot.features, *snapshot.labels) if c.start == start)
        for known in ledger.readings(snapshot.source_id, Window(start, start + timedelta(seconds=1))).get(start, []):
            if {c.id for c in parts} <= {c.id for c in known[1]}:
                marks[_mark(snapshot.source_id, start, known[1])] = {"snapshot": snapshot.id}
    ledger.finish_many(snapshot.model, "distrusted", marks)


def _mark(source_id: str, start: datetime, found: tuple[Chunk, ...]) -> str:
    return digest_of([source_id, start.isoformat(), sorted(c.id for c in found)])


def _trusted(reader: Reader, known: dict[datetime, list[Reading]]) -> dict[datetime, list[Reading]]:
    """Leave out readings whose rows broke a blocking check."""
    marks = {_mark(reader.source_id, start, found) for start, seen in known.items() for _, found in seen}
    bad = reader.ledger.finished_keys(reader.frozen.model, "distrusted", sorted(marks))
    if not bad:
        return known
    return {
        start: [(when, found) for when, found in seen if _mark(reader.source_id, start, found) not in bad]
        for start, seen in known.items()
    }


def _final_as(data: Data, seen: list[Reading], part: Window, as_of: datetime) -> list[Reading]:
    """Leave out readings made before the partition's labels were final, once they are."""
    if part.end > mature_end(data, as_of):
        return seen
    return [(when, found) for when, found in seen if part.end <= mature_end(data, when)]


def _fresh_from(data: Data, as_of: datetime) -> datetime:
    """Return the start of the look-back: partitions from here on are read again as of each new time."""
    labels = mature_end(data, as_of)
    return min(
        step(floor(as_of, data.partition), data.partition, -data.look_back),
        step(labels, data.partition, -data.look_back),
    )


def _reading_for(seen: list[Reading], as_of: datetime, *, exact: bool) -> tuple[Chunk, ...] | None:
    if exact:
        return next((found for when, found in seen if when == as_of), None)
    earlier = [found for when, found in seen if when <= as_of]
    if earlier:
        return earlier[-1]
    return seen[0][1] if seen else None  # replaying the past: the reading nearest to it


def _batches(parts: list[Window]) -> Iterable[list[Window]]:
    batch: list[Window] = []
    for part in parts:
        if batch and (part.start != batch[-1].end or len(batch) >= _READ_AT_ONCE):
            yield batch
            batch = []
        batch.append(part)
    if batch:
        yield batch


def _read_batch(reader: Reader, batch: list[Window], as_of: datetime) -> tuple[dict[datetime, tuple[Chunk, ...]], int]:
    span = Window(batch[0].start, batch[-1].end)
    rows = _located(reader, reader.source.read(span), span)
    mature = mature_end(reader.data, as_of)
    stored: dict[datetime, tuple[Chunk, ...]] = {}
    n_new = 0
    for part in batch:
        tables = _split(reader.data, _between(rows, reader.data.time_column, part), with_labels=part.end <= mature)
        found = []
        for kind, table in tables:
            chunk, new = chunks.write(reader.store, table, kind, part.start, reader.data.target)
            found.append(chunk)
            n_new += new
        stored[part.start] = tuple(found)
    return stored, n_new


def _located(reader: Reader, table: pa.Table, span: Window) -> pa.Table:
    """Check the columns, put the time column into UTC, keep the span's rows, and refuse doubled keys."""
    data, where = reader.data, f"{reader.frozen.model}, source, {span}"
    if table.num_columns == 0:
        raise SourceError(f"{where}: the source gave nothing, not even columns. Check data.source.")
    chunks.require(table, [data.time_column, *data.key, data.target, *data.outcomes], where)
    index = table.column_names.index(data.time_column)
    moment = _in_utc(table.column(index), data, where)
    if moment.null_count:
        raise SourceError(f"{where}: {moment.null_count} rows have no {data.time_column}. Drop them in the query.")
    table = table.set_column(index, data.time_column, moment)
    table = _between(table, data.time_column, span)
    _unique_key(table, data, where)
    return table


def _in_utc(column: pa.ChunkedArray, data: Data, where: str) -> pa.ChunkedArray:
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"))
    if not pa.types.is_timestamp(column.type):
        raise SourceError(f"{where}: {data.time_column} holds {column.type}, not times. Cast it in the query.")
    if column.type.tz is None:
        try:
            column = pc.assume_timezone(column, data.timezone, ambiguous="raise", nonexistent="raise")
        except (pa.ArrowInvalid, ValueError) as error:
            raise SourceError(f"{where}: {data.time_column}: {error}. Give times with an offset.") from error
    return column.cast(pa.timestamp("us", tz="UTC"), safe=False)


def _between(table: pa.Table, time_column: str, window: Window) -> pa.Table:
    moment = table.column(time_column)
    kind = pa.timestamp("us", tz="UTC")
    late_enough = pc.greater_equal(moment, pa.scalar(window.start, kind))
    return table.filter(pc.and_(late_enough, pc.less(moment, pa.scalar(window.end, kind))))


def _unique_key(table: pa.Table, data: Data, where: str) -> None:
    for name in data.key:
        if table.column(name).null_count:
            raise SourceError(f"{where}: {table.column(name).null_count} rows have no {name}, which is in data.key.")
    if table.num_rows == 0:
        return
    counts = table.group_by(list(data.key)).aggregate([([], "count_all")])
    doubled = counts.filter(pc.greater(counts.column("count_all"), 1))
    if doubled.num_rows:
        example = {k: str(v) for k, v in doubled.slice(0, 1).drop(["count_all"]).to_pylist()[0].items()}
        raise SourceError(
            f"{where}: {doubled.num_rows} keys appear more than once (e.g. {example}). "
            "Nothing was stored. Make data.key unique or remove the doubles in the query."
        )


def _split(data: Data, rows: pa.Table, *, with_labels: bool) -> list[tuple[Literal["features", "labels"], pa.Table]]:
    if rows.num_rows == 0:
        return []
    known_late = [data.target, *data.outcomes]
    tables: list[tuple[Literal["features", "labels"], pa.Table]] = [
        ("features", chunks.normalise(rows.drop(known_late), data.key))
    ]
    if with_labels:
        tables.append(("labels", chunks.normalise(rows.select([*data.key, *known_late]), data.key)))
    return tables


def _of_kind(inside: dict[datetime, tuple[Chunk, ...]], kind: str) -> tuple[Chunk, ...]:
    return tuple(c for _, found in sorted(inside.items()) for c in found if c.kind == kind)


def _columns(store: Store, newest: list[Chunk]) -> tuple[Column, ...]:
    fields = {f.name: chunks.logical_type(f.type) for c in newest for f in chunks.read(store, c).schema}
    return tuple(Column(name, kind) for name, kind in sorted(fields.items()))


def _read_all(store: Store, parts: tuple[Chunk, ...]) -> pa.Table:
    tables = [chunks.read(store, chunk) for chunk in parts]
    try:
        return _typed(pa.concat_tables(tables, promote_options="permissive").combine_chunks())
    except pa.ArrowTypeError as error:
        retyped = _retyped(tables)
        days = ", ".join(f"{parts[i].start:%Y-%m-%d}" for i in retyped[1])
        raise SourceError(
            f"column {shown(retyped[0])} changes its type inside the window ({days}, chunk "
            f"{short(parts[retyped[1][0]].id)}). Cast it in the query."
        ) from error


def _typed(table: pa.Table) -> pa.Table:
    """Make columns without a single value numbers: they have no type of their own, and a join takes none without."""
    fields = [f.with_type(pa.float64()) if pa.types.is_null(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields))


def _retyped(tables: list[pa.Table]) -> tuple[list[str], list[int]]:
    kinds: dict[str, str] = {}
    names: set[str] = set()
    where: list[int] = []
    for index, table in enumerate(tables):
        for field in table.schema:
            kind = chunks.logical_type(field.type)
            if kind != "null" and kinds.setdefault(field.name, kind) != kind:
                names.add(field.name)
                where.append(index)
    return sorted(names), sorted(set(where))[:3]


def plan_windows(
    data: Data, training: timedelta, holdout: timedelta, as_of: datetime, cutoff: datetime | None
) -> tuple[Window, Window, Window]:
    """Return the train, holdout and refit windows of a retraining as of a time.

    The holdout is the newest mature partitions, and starts after the champion's cut-off; it may be empty.
    """
    unit = nominal(data.partition)
    end = mature_end(data, as_of)
    start = step(end, data.partition, -max(1, round(holdout / unit)))
    if cutoff is not None:
        start = min(max(start, cutoff), end)
    length = max(1, round(training / unit))
    train = Window(step(start, data.partition, -length), start)
    return train, Window(start, end), Window(step(end, data.partition, -length), end)
