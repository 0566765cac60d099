"""Finished stages: the result of a piece of work under what it was made of, so that it is not done twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeVar

from sqlalchemy import ColumnElement, select

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected
from retraining.records import from_dict, to_dict

R = TypeVar("R")

Stage = Literal[
    "admission",
    "train",
    "candidate",
    "origin",
    "evaluate",
    "look",
    "validation",
    "preflight",
    "reproduce",
    "predict",
    "probation",
    "erase",
    "housekeeping",
    # Figures that are expensive, and could be computed again:
    "partition",
    "unique keys",
    "performance",
    "calibration",
]
"""What can be finished. `housekeeping` is of all models at once, and stands under `EVERY_MODEL`."""
EVERY_MODEL = "*"
"""The name under which work stands that is of no single model. No model can be called so."""


class Work(Connected):
    """A mixin of `Ledger`."""

    def finished(self, cls: type[R], model: str, stage: Stage, key: str) -> R | None:
        """Return the recorded result of a piece of work, so that it is not done twice."""
        return self._record(cls, select(t.work.c.body).where(*_of(model, stage), t.work.c.key == key))

    def finish(self, model: str, stage: Stage, key: str, record: object) -> None:
        """Record a result; the first one stays."""
        self._add(t.work, model=model, stage=stage, key=key, body=to_dict(record))

    def finish_many(self, model: str, stage: Stage, bodies: dict[str, dict[str, Any]]) -> None:
        """Record several results in one transaction; those that are already there stay."""
        self._add_many(t.work, [{"model": model, "stage": stage, "key": k, "body": bodies[k]} for k in sorted(bodies)])

    def finished_keys(self, model: str, stage: Stage, keys: Iterable[str]) -> dict[str, Any]:
        """Return the recorded results among the keys, as JSON values."""
        query = select(t.work.c.key, t.work.c.body).where(*_of(model, stage))
        return {row.key: row.body for row in self._among(query, t.work.c.key, keys)}

    def finished_all(self, model: str, stage: Stage) -> dict[str, Any]:
        """Return all recorded results of a stage, as JSON values by key, in the order they were recorded."""
        query = select(t.work.c.key, t.work.c.body).where(*_of(model, stage)).order_by(t.work.c.row)
        return {row.key: row.body for row in self._all(query)}

    def recorded(self, cls: type[R], model: str, stage: Stage) -> dict[str, R]:
        """Return all results of a stage by their keys, oldest first."""
        return {key: from_dict(cls, body) for key, body in self.finished_all(model, stage).items()}

    def newest(self, cls: type[R], model: str, stage: Stage) -> R | None:
        """Return the result that was recorded last for a stage."""
        return next((from_dict(cls, body) for body in self.newest_results(model, stage, 1)), None)

    def newest_results(self, model: str, stage: Stage, count: int) -> list[dict[str, Any]]:
        """Return the `count` results that were recorded last for a stage as JSON values, newest first."""
        query = select(t.work.c.body).where(*_of(model, stage)).order_by(t.work.c.row.desc()).limit(count)
        return [row.body for row in self._all(query)]


def _of(model: str, stage: Stage) -> tuple[ColumnElement[bool], ...]:
    return t.work.c.model == model, t.work.c.stage == stage
