"""What people said: answers to promotions that waited, and overrides of the gate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CompoundSelect, Select, Table, select, union_all

from retraining.ledger import tables as t
from retraining.records import Approval, Override, Verdict, from_dict
from retraining.windows import to_utc


class People(ABC):
    """Approvals and overrides. A mixin: `Ledger` brings the connection, and adds overrides with their champion."""

    def add_approval(self, model: str, verdict_id: str, approved: bool, by: str, reason: str) -> None:
        """Record the answer to a verdict; the first answer stays."""
        self._add(t.approvals, model=model, verdict_id=verdict_id, approved=approved, by=by, reason=reason)

    def approval(self, verdict_id: str) -> tuple[bool, str] | None:
        """Return (approved, by whom) for a verdict, or None while nobody answered."""
        rows = self._all(select(t.approvals).where(t.approvals.c.verdict_id == verdict_id))
        return (bool(rows[0].approved), str(rows[0].by)) if rows else None

    def approvals(self, model: str) -> dict[str, Approval]:
        """Return the answers about a model by verdict, oldest first."""
        rows = self._all(select(t.approvals).where(t.approvals.c.model == model).order_by(t.approvals.c.row))
        return {
            r.verdict_id: Approval(r.model, r.verdict_id, bool(r.approved), r.by, r.reason, to_utc(r.recorded_at))
            for r in rows
        }

    def overrides(self, model: str) -> dict[str, Override]:
        """Return a model's overrides by verdict, oldest first."""
        query = select(t.overrides.c.body).where(t.overrides.c.model == model).order_by(t.overrides.c.row)
        found = [from_dict(Override, row.body) for row in self._all(query)]
        return {override.verdict_id: override for override in found}

    def without_outcome(self, models: Sequence[str]) -> list[Verdict]:
        """Return the released promotions of some models of which nothing has become yet, oldest first."""
        c = t.verdicts.c
        query = select(c.body).join(t.releases, t.releases.c.verdict_id == c.id)
        for became in (t.outcomes, t.overrides, t.champions):
            query = query.outerjoin(became, became.c.verdict_id == c.id).where(became.c.row.is_(None))
        query = query.where(c.model.in_(models), c.decision == "promote", c.dry_run.is_(False)).order_by(c.row)
        return [from_dict(Verdict, row.body) for row in self._all(query)]

    def recording_times(self, model: str) -> dict[str, datetime]:
        """Return when a model's verdicts, decisions and requests were written down, by their ids."""
        parts = [
            select(c.id, c.recorded_at).where(c.model == model) for c in (t.verdicts.c, t.decisions.c, t.requests.c)
        ]
        return {row.id: to_utc(row.recorded_at) for row in self._all(union_all(*parts))}

    @abstractmethod
    def _add(self, table: Table, **row: Any) -> bool:
        """Insert a row; return whether it was not there yet."""

    @abstractmethod
    def _all(self, query: Select[Any] | CompoundSelect[Any]) -> Sequence[Any]:
        """Return the rows a query finds."""
