"""The champion history: who was champion, what made it one, and whether the registry's alias followed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, select

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected, models_in
from retraining.records import Champion, Deployment, Override, to_dict


class Champions(Connected):
    """A mixin of `Ledger`."""

    def champion(self, model: str, sequence: int | None = None) -> Champion | None:
        """Return the champion (or an earlier one by its sequence)."""
        c = t.champions.c
        query = select(c.body).where(c.model == model).order_by(c.sequence.desc()).limit(1)
        return self._record(Champion, query if sequence is None else query.where(c.sequence == sequence))

    def champions(self, model: str) -> list[Champion]:
        """Return a model's champion history, oldest first."""
        c = t.champions.c
        return self._records(Champion, select(c.body).where(c.model == model).order_by(c.sequence))

    def models(self) -> list[str]:
        """Return the models that have or had a champion."""
        found = models_in(t.champions)
        return [row.model for row in self._all(select(found.c.model).where(found.c.model.is_not(None)))]

    def move_champion(
        self, champion: Champion, deployment: Deployment | None = None, override: Override | None = None
    ) -> bool:
        """Insert the next champion with what made it one; return False when another run took that sequence first."""
        rows = [(t.champions, _row(champion))]
        if deployment is not None and champion.verdict_id is not None:
            rows.append((t.outcomes, _outcome(champion.verdict_id, deployment)))
        if override is not None:
            keys = {"model": override.model, "verdict_id": override.verdict_id}
            rows.append((t.overrides, {**keys, "body": to_dict(override)}))
        return self._all_or_none(rows)

    def add_outcome(self, verdict_id: str, deployment: Deployment) -> None:
        """Record what became of a promote verdict; the first outcome stays."""
        self._add(t.outcomes, **_outcome(verdict_id, deployment))

    def outcome(self, verdict_id: str) -> Deployment | None:
        """Return what became of a promote verdict."""
        return self._record(Deployment, select(t.outcomes.c.body).where(t.outcomes.c.verdict_id == verdict_id))

    def add_alias(self, model: str, sequence: int, version: int) -> None:
        """Record that the registry's alias was set for this entry of the history."""
        self._add(t.aliases, model=model, sequence=sequence, version=version)

    def alias_was_set(self, model: str, sequence: int) -> bool:
        """Tell whether the alias was ever set for this entry of the history."""
        where = (t.aliases.c.model == model, t.aliases.c.sequence == sequence)
        return self._one(select(t.aliases.c.row).where(*where)) is not None

    def _all_or_none(self, rows: list[tuple[Table, dict[str, Any]]]) -> bool:
        """Add rows that belong together; when another writer was first with one of them, add none."""
        with self._writing() as connection:
            for table, row in rows:
                if not self._insert(connection, table, row):
                    connection.rollback()
                    return False
        return True


def _row(champion: Champion) -> dict[str, Any]:
    return {
        "model": champion.model,
        "sequence": champion.sequence,
        "verdict_id": champion.verdict_id,
        "release_id": champion.release_id,
        "body": to_dict(champion),
    }


def _outcome(verdict_id: str, deployment: Deployment) -> dict[str, Any]:
    return {"model": deployment.model, "verdict_id": verdict_id, "body": to_dict(deployment)}
