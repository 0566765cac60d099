"""What the care of the store asks of the ledger: everything at once, whatever its age."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import CompoundSelect, Select, select, union

from retraining.ledger import tables as t
from retraining.records import Chunk, PredictionSet, Release, digest_of, from_dict
from retraining.windows import to_utc

EVERY_MODEL = "*"
"""Under this name stand marks about stored objects, which models may share. No model can be called so."""
FREED, ERASED, ERASED_SET = "freed", "erased", "erased predictions"
"""Stages of such marks: of readings and objects that housekeeping freed, of chunks and predictions with erased rows."""

R = TypeVar("R")


@dataclass(frozen=True)
class StoredReading:
    """One reading of one partition: which chunks a source gave for it as of a time."""

    source_id: str
    start: datetime
    as_of: datetime
    chunks: tuple[Chunk, ...]


class Upkeep(ABC):
    """Whole tables, for those who look after the store. A mixin: `Ledger` brings the connection."""

    def known_models(self) -> list[str]:
        """Return every model the ledger has heard of, whether or not its YAML is still there."""
        heard = (t.champions, t.verdicts, t.requests, t.predictions, t.work)
        query = union(*(select(table.c.model) for table in heard)).subquery()
        return [
            row.model for row in self._all(select(query.c.model).order_by(query.c.model)) if row.model.isidentifier()
        ]

    def releases(self, model: str) -> list[Release]:
        """Return a model's releases, oldest first."""
        query = select(t.releases.c.body).where(t.releases.c.model == model).order_by(t.releases.c.row)
        return [from_dict(Release, row.body) for row in self._all(query)]

    def recorded(self, cls: type[R], model: str, stage: str) -> dict[str, R]:
        """Return all results of a stage by their keys, oldest first."""
        return {key: from_dict(cls, body) for key, body in self.finished_all(model, stage).items()}

    def every_reading(self) -> list[StoredReading]:
        """Return all readings of all sources, by source, partition and as-of time."""
        c = t.readings.c
        rows = self._all(select(c.source_id, c.start, c.as_of, c.body).order_by(c.source_id, c.start, c.as_of))
        return [
            StoredReading(
                row.source_id, to_utc(row.start), to_utc(row.as_of), tuple(from_dict(Chunk, b) for b in row.body)
            )
            for row in rows
        ]

    def present(self, sets: Sequence[PredictionSet]) -> list[PredictionSet]:
        """Return published sets as they are now: where rows were erased, the set of the others."""
        bodies = self.finished_keys(EVERY_MODEL, ERASED_SET, [digest_of(s.key) for s in sets])
        if not bodies:
            return list(sets)
        found = [bodies.get(digest_of(s.key)) for s in sets]
        return self.present([from_dict(PredictionSet, b) if b else s for s, b in zip(sets, found, strict=True)])

    @abstractmethod
    def finished_keys(self, model: str, stage: str, keys: Sequence[str]) -> dict[str, Any]:
        """Return the recorded results among the keys, as JSON values."""

    @abstractmethod
    def finished_all(self, model: str, stage: str) -> dict[str, Any]:
        """Return all recorded results of a stage, as JSON values by key, in the order they were recorded."""

    @abstractmethod
    def _all(self, query: Select[Any] | CompoundSelect[Any]) -> Sequence[Any]:
        """Return the rows a query finds."""
