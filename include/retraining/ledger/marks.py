"""Marks on what is stored: readings and objects that housekeeping freed, and readings that a model distrusts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import select

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected


class Marks(Connected):
    """A mixin of `Ledger`. The ledger only grows: a reading is never taken back, but a mark says not to use it."""

    def free_readings(self, keys: Iterable[str], as_of: datetime) -> None:
        """Mark readings whose chunks go, whichever models share them."""
        self._add_many(t.freed, [{"key": key, "as_of": as_of, "item": None} for key in sorted(set(keys))])

    def free_items(self, items: Mapping[str, str], as_of: datetime) -> None:
        """Mark items of the store that go, by their keys."""
        self._add_many(t.freed, [{"key": key, "as_of": as_of, "item": items[key]} for key in sorted(items)])

    def freed(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys whose reading or item was freed."""
        return {row.key for row in self._among(select(t.freed.c.key), t.freed.c.key, keys)}

    def distrust(self, model: str, keys: Iterable[str], snapshot_id: str) -> None:
        """Mark readings that a model's next run reads again; `snapshot_id` is what broke a check."""
        rows = [{"model": model, "key": key, "snapshot_id": snapshot_id} for key in sorted(set(keys))]
        self._add_many(t.distrusted, rows)

    def distrusted(self, model: str, keys: Iterable[str]) -> set[str]:
        """Return those of the keys whose reading a model distrusts."""
        c = t.distrusted.c
        return {row.key for row in self._among(select(c.key).where(c.model == model), c.key, keys)}
