"""What people said: answers to promotions that waited, overrides of the gate, and requests they closed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected
from retraining.records import Approval, Closing, Override, to_dict
from retraining.windows import to_utc


class People(Connected):
    """A mixin of `Ledger`; `Champions.move_champion` adds overrides, with their champion."""

    def add_approval(self, model: str, verdict_id: str, approved: bool, by: str, reason: str) -> None:
        """Record the answer to a verdict; the first answer stays."""
        self._add(t.approvals, model=model, verdict_id=verdict_id, approved=approved, by=by, reason=reason)

    def approval(self, verdict_id: str) -> tuple[bool, str] | None:
        """Return (approved, by whom) for a verdict, or None while nobody answered."""
        found = self.approval_of(verdict_id)
        return None if found is None else (found.approved, found.by)

    def approval_of(self, verdict_id: str) -> Approval | None:
        """Return the answer to a verdict, or None while nobody answered."""
        rows = self._all(select(t.approvals).where(t.approvals.c.verdict_id == verdict_id))
        return _approval(rows[0]) if rows else None

    def approvals(self, model: str) -> dict[str, Approval]:
        """Return the answers about a model by verdict, oldest first."""
        rows = self._all(select(t.approvals).where(t.approvals.c.model == model).order_by(t.approvals.c.row))
        return {row.verdict_id: _approval(row) for row in rows}

    def override_of(self, verdict_id: str) -> Override | None:
        """Return the override of a verdict, or None."""
        return self._record(Override, select(t.overrides.c.body).where(t.overrides.c.verdict_id == verdict_id))

    def overrides(self, model: str) -> dict[str, Override]:
        """Return a model's overrides by verdict, oldest first."""
        c = t.overrides.c
        found = self._records(Override, select(c.body).where(c.model == model).order_by(c.row))
        return {override.verdict_id: override for override in found}

    def add_closing(self, closing: Closing) -> Closing:
        """Record that a request was closed, once; return the closing that stands."""
        self._add(t.closings, request_id=closing.request_id, model=closing.model, body=to_dict(closing))
        return self.closings(closing.model)[closing.request_id]

    def closings(self, model: str) -> dict[str, Closing]:
        """Return a model's closed requests by their id, oldest first."""
        c = t.closings.c
        found = self._records(Closing, select(c.body).where(c.model == model).order_by(c.row))
        return {closing.request_id: closing for closing in found}

    def recording_times(self, model: str, newest: int | None = None) -> dict[str, datetime]:
        """Return when a model's verdicts, decisions and requests were written down, by their ids.

        Parameters
        ----------
        newest
            Only of so many of each that were written last.
        """
        found: dict[str, datetime] = {}
        for c in (t.verdicts.c, t.decisions.c, t.requests.c):
            rows = self._all(select(c.id, c.recorded_at).where(c.model == model).order_by(c.row.desc()).limit(newest))
            found |= {row.id: to_utc(row.recorded_at) for row in rows}
        return found


def _approval(row: Any) -> Approval:
    return Approval(row.model, row.verdict_id, bool(row.approved), row.by, row.reason, to_utc(row.recorded_at))
