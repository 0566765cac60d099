"""Ingest: read what is not known yet, and store it by content."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from retraining.data import chunks, erasure, readings, rows
from retraining.data.plan import mature_end
from retraining.errors import SourceError
from retraining.ledger import Ledger, Reading
from retraining.records import Chunk, Snapshot, Window, digest_of
from retraining.sources import RowSource
from retraining.spec import FrozenSpec, without_documentation
from retraining.spec.data import Data
from retraining.store import Store
from retraining.windows import CLOCKS_DIFFER, floor, partitions, step

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
        return source_id_of(self.frozen)


@dataclass(frozen=True)
class Extent:
    """What was read: the chunks per partition, and how much work it was."""

    chunks: dict[datetime, tuple[Chunk, ...]]
    n_partitions_read: int
    n_chunks_written: int


def source_id_of(frozen: FrozenSpec) -> str:
    """Return the digest of everything in a spec that decides which rows a partition has."""
    keys = ("time_column", "key", "timezone", "target", "outcomes", "partition", "label_delay")
    data = frozen.spec.data.model_dump(mode="json")
    sources = [without_documentation(data[name]) for name in ("source", "labels")]
    model = None if frozen.spec.data.time_ordered else frozen.model  # part of the hash that orders rows
    return digest_of([{key: data[key] for key in keys}, sources, dict(frozen.files), model])


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
    erased = erasure.erased_ids(reader.store) if todo else frozenset()
    while todo:
        batch = _next_batch(todo, most)
        stored, n_new = _read_batch(reader, batch, as_of, erased)
        reader.ledger.add_readings(reader.source_id, as_of, stored)
        found.update(stored)
        written += n_new
        todo = todo[len(batch) :]
        n_rows = sum(c.n_rows for parts in stored.values() for c in parts if c.kind == "features")
        most = max(1, min(_MOST_READ, round(_ROWS_AT_ONCE * len(batch) / max(1, n_rows))))
    return Extent(dict(sorted(found.items())), len(missing), written)


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
        _mark(snapshot.source_id, start, r.chunks)
        for start, usable in readings.usable(ledger, snapshot.source_id, seen).items()
        for r in usable
        if held.get(start, set()) <= {c.id for c in r.chunks}
    }
    ledger.distrust(snapshot.model, marks, snapshot.id)


def _mark(source_id: str, start: datetime, found: tuple[Chunk, ...]) -> str:
    return digest_of([source_id, start.isoformat(), sorted(c.id for c in found)])


def _trusted(reader: Reader, known: dict[datetime, list[Reading]]) -> dict[datetime, list[Reading]]:
    """Leave out readings whose rows broke a blocking check."""
    marks = {_mark(reader.source_id, start, r.chunks) for start, seen in known.items() for r in seen}
    bad = reader.ledger.distrusted(reader.frozen.model, marks)
    if not bad:
        return known
    return {
        start: [r for r in seen if _mark(reader.source_id, start, r.chunks) not in bad] for start, seen in known.items()
    }


def _final_as(data: Data, seen: list[Reading], part: Window, as_of: datetime) -> list[Reading]:
    """Leave out readings made before the partition was over, and once its labels are final, those made before that.

    A reading may be made later than its as-of time, in a replay of the past; but made earlier, it knew no more.
    """
    if not data.time_ordered:
        return seen
    known_at = [(min(r.as_of, r.made_at + CLOCKS_DIFFER), r) for r in seen]
    end = part.end
    return [r for when, r in known_at if end <= (mature_end(data, when) if end <= mature_end(data, as_of) else when)]


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
        return next((r.chunks for r in seen if r.as_of == as_of), None)
    earlier = [r.chunks for r in seen if r.as_of <= as_of]
    if earlier:
        return earlier[-1]
    return seen[0].chunks if seen else None  # replaying the past: the reading nearest to it


def _next_batch(parts: list[Window], most: int) -> list[Window]:
    """Return the first of the partitions that follow each other, at most so many."""
    batch = [parts[0]]
    for part in parts[1:most]:
        if part.start != batch[-1].end:
            break
        batch.append(part)
    return batch


def _read_batch(
    reader: Reader, batch: list[Window], as_of: datetime, erased: frozenset[str]
) -> tuple[dict[datetime, tuple[Chunk, ...]], int]:
    span = Window(batch[0].start, batch[-1].end)
    where = f"{reader.frozen.model}, source, {span}, as of {as_of.isoformat()}"
    table = rows.locate(reader.frozen, reader.source.read(span), span)
    table = erasure.without_erased(reader.store, reader.ledger, reader.frozen, table, where)
    table = rows.split_anew(reader.frozen, _labelled(reader, table, span, as_of))
    mature = mature_end(reader.data, as_of)
    if erased:
        table = _without_shared(reader, table, batch, mature, where, erased)
    stored: dict[datetime, tuple[Chunk, ...]] = {}
    n_new = 0
    for part in batch:
        found = []
        for kind, tidy in _tidied(reader, table, part, mature, where):
            chunk, new = chunks.write(reader.store, tidy, kind, part.start, reader.data.target)
            found.append(chunk)
            n_new += new
        stored[part.start] = tuple(found)
    return stored, n_new


def _tidied(
    reader: Reader, table: pa.Table, part: Window, mature: datetime, where: str
) -> list[tuple[chunks.Kind, pa.Table]]:
    inside = rows.between(table, reader.data.time, part)
    try:
        return rows.split(reader.data, inside, with_labels=part.end <= mature)
    except SourceError as error:
        raise SourceError(f"{where}: {error}") from error


def _without_shared(
    reader: Reader, table: pa.Table, batch: list[Window], mature: datetime, where: str, erased: frozenset[str]
) -> pa.Table:
    """Drop persons who were erased from another model's chunks that have the very rows of some of these."""
    tidied = (tidy for part in batch for _, tidy in _tidied(reader, table, part, mature, where))
    gone = [tidy for tidy in tidied if chunks.content_id(tidy) in erased]
    for tidy in gone:
        erasure.inherit(reader.store, reader.ledger, reader.frozen, tidy)
    left = erasure.without_erased(reader.store, reader.ledger, reader.frozen, table, where) if gone else table
    if left.num_rows == table.num_rows:
        return table  # what is still erased is refused when it is written
    return _without_shared(reader, left, batch, mature, where, erased)


def _labelled(reader: Reader, table: pa.Table, span: Window, as_of: datetime) -> pa.Table:
    """Join the labels of a second source, unless all of the span is too young to have any."""
    described = reader.data.labels
    if described is None or reader.labels is None or span.start >= mature_end(reader.data, as_of):
        return table
    where = f"{reader.frozen.model}, source, {span}"
    return rows.join_labels(reader.data, described, table, reader.labels.read(span), as_of, where)
