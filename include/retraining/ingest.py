"""Ingest: read what is not known yet, store it by content, and freeze the window's snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa

from retraining import chunks, erasure, readings, rows
from retraining.errors import Damaged, NotEnoughData, SourceError, shown
from retraining.joins import join
from retraining.ledger import Ledger
from retraining.records import Chunk, Column, SetAside, Snapshot, Window, digest_of, from_dict, short, to_dict
from retraining.sources import RowSource
from retraining.spec import FrozenSpec, without_documentation
from retraining.spec.data import Data
from retraining.store import Store
from retraining.windows import floor, nominal, partitions, step

Reading = tuple[datetime, tuple[Chunk, ...]]
"""The as-of time at which a partition was read, and the chunks it had."""

SNAPSHOTS = "snapshots/"
"""Where the manifests of snapshots are kept."""

_FIRST_READ, _MOST_READ, _ROWS_AT_ONCE = 16, 400, 500_000
"""Partitions per query: a few at first, to learn how many rows they have, then as many as give half a million rows:
that bounds memory, and still reads a year of an ordinary table in two queries."""


@dataclass(frozen=True)
class Reader:
    """A model's source together with where its rows are kept."""

    frozen: FrozenSpec
    source: RowSource
    labels: RowSource | None
    store: Store
    ledger: Ledger

    @property
    def data(self) -> Data:
        """The spec's data group."""
        return self.frozen.spec.data

    @property
    def source_id(self) -> str:
        """The digest of everything that decides which rows a partition has."""
        keys = ("time_column", "key", "timezone", "target", "outcomes", "partition", "label_delay")
        data = self.data.model_dump(mode="json")
        sources = [without_documentation(data[name]) for name in ("source", "labels")]
        model = None if self.data.time_ordered else self.frozen.model  # part of the hash that orders rows
        return digest_of([{key: data[key] for key in keys}, sources, dict(self.frozen.files), model])


@dataclass(frozen=True)
class Extent:
    """What was read: the chunks per partition, and how much work it was."""

    chunks: dict[datetime, tuple[Chunk, ...]]
    n_partitions_read: int
    n_chunks_written: int


def mature_end(data: Data, as_of: datetime) -> datetime:
    """Return the end of the last partition whose labels are all final at the as-of time."""
    if not data.time_ordered:
        return rows.HASHED.end
    return floor(as_of - data.label_delay, data.partition)


def read_window(reader: Reader, window: Window, as_of: datetime) -> Extent:
    """Return the chunks of a window as of a time, reading only partitions that are new or inside the look-back.

    A partition that was read at this very as-of time is not read again; older ones are taken from the newest
    reading at or before it. Late and corrected rows inside the look-back make new chunks; the old ones stay.
    """
    known = readings.usable(reader.ledger, reader.source_id, reader.ledger.readings(reader.source_id, window))
    known = _trusted(reader, known)
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
    todo, most = missing, _FIRST_READ if reader.data.time_ordered else len(missing)
    while todo:
        batch = _next_batch(todo, most)
        stored, n_new = _read_batch(reader, batch, as_of)
        reader.ledger.add_readings(reader.source_id, as_of, stored)
        found.update(stored)
        written += n_new
        todo = todo[len(batch) :]
        n_rows = sum(c.n_rows for parts in stored.values() for c in parts if c.kind == "features")
        most = max(1, min(_MOST_READ, round(_ROWS_AT_ONCE * len(batch) / max(1, n_rows))))
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
    identity = snapshot_id((*features, *labelled), columns, window)
    empty = tuple(start for start, found in inside.items() if not found)
    manifest = Snapshot(
        identity, reader.frozen.model, window, as_of, reader.source_id, columns, features, labelled, empty
    )
    reader.store.write_json_once(snapshot_key(identity), to_dict(manifest))
    return manifest


def without(
    store: Store,
    snapshot: Snapshot,
    replaced: Mapping[datetime, tuple[Chunk, ...]],
    set_aside: tuple[SetAside, ...],
) -> Snapshot:
    """Freeze a snapshot in which some partitions are replaced by chunks that lack rows that were set aside."""

    def chosen(kind: str, known: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
        found = [[c for c in replaced[k.start] if c.kind == kind] if k.start in replaced else [k] for k in known]
        return tuple(c for some in found for c in some)

    features, labels = chosen("features", snapshot.features), chosen("labels", snapshot.labels)
    identity = snapshot_id((*features, *labels), snapshot.columns, snapshot.window)
    manifest = replace(snapshot, id=identity, features=features, labels=labels, raw_id=snapshot.id, set_aside=set_aside)
    store.write_json_once(snapshot_key(identity), to_dict(manifest))
    return manifest


def snapshot_id(parts: Iterable[Chunk], columns: Iterable[Column], window: Window) -> str:
    """Return the digest of what makes a snapshot: its chunks, its columns and its window."""
    return digest_of(
        {
            "chunks": sorted(c.id for c in parts),
            "columns": [to_dict(c) for c in columns],
            "window": to_dict(window),
        }
    )


def snapshot_key(identity: str) -> str:
    """Return the store key of a manifest."""
    return f"{SNAPSHOTS}{identity}.json"


def read_manifest(store: Store, identity: str) -> Snapshot:
    """Return a snapshot that was frozen.

    Raises
    ------
    Damaged
        When its manifest is missing, or is not what was frozen.
    """
    key = snapshot_key(identity)
    altered = f"store {store.url}: {key} was altered. Restore it from a backup of the store."
    try:
        found = from_dict(Snapshot, store.read_json(key))
    except ValueError as error:
        raise Damaged(altered) from error
    if snapshot_id((*found.features, *found.labels), found.columns, found.window) != identity:
        raise Damaged(altered)
    return found


def load(store: Store, manifest: Snapshot, data: Data) -> pa.Table:
    """Return a snapshot's rows by time and key, features joined with labels; every chunk's digest is checked.

    Raises
    ------
    NotEnoughData
        When the snapshot has no rows.
    """
    if not manifest.features:
        raise NotEnoughData(f"{manifest.model}, {manifest.describe()}: there are no rows.")
    table = _read_all(store, manifest.features)
    if manifest.labels:
        table = join(table, _read_all(store, manifest.labels), data.keys, "left outer")
    order = [data.time, *(name for name in data.keys if name != data.time)]
    return table.sort_by([(name, "ascending") for name in order])  # a join has no order; learning depends on it


def distrust(ledger: Ledger, snapshot: Snapshot, starts: Iterable[datetime]) -> None:
    """Have partitions read again by the next run: their rows broke a check, and may be mended at their source."""
    broken = set(starts)
    if not broken:
        return
    span = Window(min(broken), max(broken) + timedelta(seconds=1))
    seen = {start: r for start, r in ledger.readings(snapshot.source_id, span).items() if start in broken}
    held: dict[datetime, set[str]] = {}
    for chunk in (*snapshot.features, *snapshot.labels):
        held.setdefault(chunk.start, set()).add(chunk.id)
    marks = {
        _mark(snapshot.source_id, start, found): {"snapshot": snapshot.id}
        for start, usable in readings.usable(ledger, snapshot.source_id, seen).items()
        for _, found in usable
        if held.get(start, set()) <= {c.id for c in found}
    }
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
    if not data.time_ordered:
        return rows.HASHED.start
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


def _next_batch(parts: list[Window], most: int) -> list[Window]:
    """Return the first of the partitions that follow each other, at most so many."""
    batch = [parts[0]]
    for part in parts[1:most]:
        if part.start != batch[-1].end:
            break
        batch.append(part)
    return batch


def _read_batch(reader: Reader, batch: list[Window], as_of: datetime) -> tuple[dict[datetime, tuple[Chunk, ...]], int]:
    span = Window(batch[0].start, batch[-1].end)
    where = f"{reader.frozen.model}, source, {span}, as of {as_of.isoformat()}"
    table = rows.locate(reader.frozen, reader.source.read(span), span)
    table = erasure.without_erased(reader.store, reader.ledger, reader.frozen.model, table, where)
    table = _labelled(reader, table, span, as_of)
    mature = mature_end(reader.data, as_of)
    stored: dict[datetime, tuple[Chunk, ...]] = {}
    n_new = 0
    for part in batch:
        inside = rows.between(table, reader.data.time, part)
        found = []
        try:
            tidied = rows.split(reader.data, inside, with_labels=part.end <= mature)
        except SourceError as error:
            raise SourceError(f"{where}: {error}") from error
        for kind, tidy in tidied:
            chunk, new = chunks.write(reader.store, tidy, kind, part.start, reader.data.target)
            found.append(chunk)
            n_new += new
        stored[part.start] = tuple(found)
    return stored, n_new


def _labelled(reader: Reader, table: pa.Table, span: Window, as_of: datetime) -> pa.Table:
    """Join the labels of a second source, unless all of the span is too young to have any."""
    described = reader.data.labels
    if described is None or reader.labels is None or span.start >= mature_end(reader.data, as_of):
        return table
    where = f"{reader.frozen.model}, source, {span}"
    return rows.join_labels(reader.data, described, table, reader.labels.read(span), as_of, where)


def _of_kind(inside: dict[datetime, tuple[Chunk, ...]], kind: str) -> tuple[Chunk, ...]:
    return tuple(c for _, found in sorted(inside.items()) for c in found if c.kind == kind)


def _columns(store: Store, newest: list[Chunk]) -> tuple[Column, ...]:
    fields = {f.name: chunks.logical_type(f.type) for c in newest for f in chunks.read(store, c).schema}
    return tuple(Column(name, kind) for name, kind in sorted(fields.items()))


def _read_all(store: Store, parts: tuple[Chunk, ...]) -> pa.Table:
    tables = [chunks.read(store, chunk) for chunk in parts]
    try:
        return chunks.with_types(pa.concat_tables(tables, promote_options="permissive").combine_chunks())
    except pa.ArrowTypeError as error:
        retyped = _retyped(tables)
        days = ", ".join(f"{parts[i].start:%Y-%m-%d}" for i in retyped[1])
        raise SourceError(
            f"column {shown(retyped[0])} changes its type inside the window ({days}, chunk "
            f"{short(parts[retyped[1][0]].id)}). Cast it in the query."
        ) from error


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
    if not data.time_ordered:
        return rows.HASHED_TRAIN, rows.HASHED_TEST, rows.HASHED_TRAIN
    unit = nominal(data.partition)
    end = mature_end(data, as_of)
    start = step(end, data.partition, -max(1, round(holdout / unit)))
    if cutoff is not None:
        start = min(max(start, cutoff), end)
    length = max(1, round(training / unit))
    train = Window(step(start, data.partition, -length), start)
    return train, Window(start, end), Window(step(end, data.partition, -length), end)
