"""Quarantine: rows that were set aside, dropped by a person, or taken in again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected
from retraining.records import from_dict, to_dict


@dataclass(frozen=True)
class Quarantined:
    """Rows of a partition that broke critical checks; `mark` is of the partition's content, `key` is where they are."""

    mark: str
    partition: datetime
    features_id: str
    n_rows: int
    n_partition: int
    checks: dict[str, int]
    key: str
    blocks: bool


@dataclass(frozen=True)
class Dropped:
    """That a person left rows out for good, and why."""

    by: str
    reason: str


@dataclass(frozen=True)
class TakenIn:
    """That a partition is whole again, and why; `features_id` is the content that is."""

    why: str
    features_id: str


class Quarantine(Connected):
    """A mixin of `Ledger`."""

    def set_aside(self, model: str, entries: Mapping[str, Quarantined]) -> None:
        """Record rows that were set aside by the id of their entry; what is already there stays."""
        rows = [
            {"model": model, "key": key, "mark": entries[key].mark, "body": to_dict(entries[key])}
            for key in sorted(entries)
        ]
        self._add_many(t.quarantined, rows)

    def quarantined(self, model: str) -> dict[str, Quarantined]:
        """Return what was ever set aside, by the id of its entry, in the order it was recorded."""
        c = t.quarantined.c
        rows = self._all(select(c.key, c.body).where(c.model == model).order_by(c.row))
        return {row.key: from_dict(Quarantined, row.body) for row in rows}

    def drop_quarantined(self, model: str, marks: Iterable[str], by: str, reason: str) -> None:
        """Record a person's word that rows stay out, by the marks of their partitions; the first word stays."""
        rows = [{"model": model, "mark": mark, "by": by, "reason": reason} for mark in sorted(set(marks))]
        self._add_many(t.quarantine_drops, rows)

    def dropped(self, model: str) -> dict[str, Dropped]:
        """Return which rows stay out, by the marks of their partitions."""
        c = t.quarantine_drops.c
        rows = self._all(select(c.mark, c.by, c.reason).where(c.model == model).order_by(c.row))
        return {row.mark: Dropped(row.by, row.reason) for row in rows}

    def take_in(self, model: str, ended: Mapping[str, TakenIn]) -> None:
        """Record which entries are over; what is already there stays."""
        rows = [
            {"model": model, "key": key, "why": ended[key].why, "features_id": ended[key].features_id}
            for key in sorted(ended)
        ]
        self._add_many(t.quarantine_ends, rows)

    def taken_in(self, model: str) -> dict[str, TakenIn]:
        """Return which entries are over, by their ids."""
        c = t.quarantine_ends.c
        rows = self._all(select(c.key, c.why, c.features_id).where(c.model == model).order_by(c.row))
        return {row.key: TakenIn(row.why, row.features_id) for row in rows}
