"""What people said: answers to promotions that waited, overrides of the gate, and requests they closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, Table, select

from retraining.ledger import tables as t
from retraining.records import Approval, Closing, Override, from_dict, to_dict
from retraining.windows import to_utc


class People(ABC):
    """Approvals, overrides and closings. A mixin: `Ledger` brings the connection, and adds overrides with champions."""

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

    def add_closing(self, closing: Closing) -> Closing:
        """Record that a request was closed, once; return the closing that stands."""
        self._add(t.closings, request_id=closing.request_id, model=closing.model, body=to_dict(closing))
        return self.closings(closing.model)[closing.request_id]

    def closings(self, model: str) -> dict[str, Closing]:
        """Return a model's closed requests by their id, oldest first."""
        query = select(t.closings.c.body).where(t.closings.c.model == model).order_by(t.closings.c.row)
        found = [from_dict(Closing, row.body) for row in self._all(query)]
        return {closing.request_id: closing for closing in found}

    @abstractmethod
    def _add(self, table: Table, **row: Any) -> bool:
        """Insert a row; return whether it was not there yet."""

    @abstractmethod
    def _all(self, query: Select[Any]) -> Sequence[Any]:
        """Return the rows a query finds."""
