"""Readings: which chunks a source gave for a partition as of a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, select

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected
from retraining.records import Chunk, Window, from_dict, to_dict
from retraining.windows import to_utc


class Reading(NamedTuple):
    """The chunks a source gave for a partition as of a time, and when that was written down by the wall clock."""

    as_of: datetime
    chunks: tuple[Chunk, ...]
    made_at: datetime


@dataclass(frozen=True)
class StoredReading:
    """One reading of one partition: which chunks a source gave for it as of a time."""

    source_id: str
    start: datetime
    as_of: datetime
    chunks: tuple[Chunk, ...]


class Readings(Connected):
    """A mixin of `Ledger`."""

    def add_readings(self, source_id: str, as_of: datetime, chunks: dict[datetime, tuple[Chunk, ...]]) -> None:
        """Record which chunks a source gave for each partition as of a time; what is already there stays."""
        rows = [
            {"source_id": source_id, "start": start, "as_of": as_of, "body": [to_dict(c) for c in found]}
            for start, found in sorted(chunks.items())
        ]
        self._add_many(t.readings, rows)

    def readings(self, source_id: str, window: Window) -> dict[datetime, list[Reading]]:
        """Return, per partition start, the readings of a source, oldest as-of first."""
        c = t.readings.c
        query = _query().where(c.source_id == source_id, c.start >= window.start, c.start < window.end)
        found: dict[datetime, list[Reading]] = {}
        for row in self._all(query):
            reading = Reading(to_utc(row.as_of), _chunks(row.body), to_utc(row.recorded_at))
            found.setdefault(to_utc(row.start), []).append(reading)
        return found

    def source_ids(self) -> list[str]:
        """Return the sources that were ever read."""
        c = t.readings.c
        return [row.source_id for row in self._all(select(c.source_id).distinct().order_by(c.source_id))]

    def readings_of(self, source_id: str) -> list[StoredReading]:
        """Return all readings of one source, by partition and as-of time."""
        return self._stored(_query().where(t.readings.c.source_id == source_id))

    def every_reading(self) -> list[StoredReading]:
        """Return all readings of all sources, by source, partition and as-of time."""
        return self._stored(_query())

    def _stored(self, query: Select[Any]) -> list[StoredReading]:
        rows = self._all(query)
        return [StoredReading(r.source_id, to_utc(r.start), to_utc(r.as_of), _chunks(r.body)) for r in rows]


def _query() -> Select[Any]:
    c = t.readings.c
    return select(c.source_id, c.start, c.as_of, c.body, c.recorded_at).order_by(c.source_id, c.start, c.as_of)


def _chunks(body: list[Any]) -> tuple[Chunk, ...]:
    return tuple(from_dict(Chunk, one) for one in body)
