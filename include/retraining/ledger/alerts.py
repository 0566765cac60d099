"""What people are told: one alert per incident, and what was said about it again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, Table, select

from retraining.ledger import tables as t
from retraining.records import Alert, digest_of, from_dict, to_dict


class Alerts(ABC):
    """Alerts by model, kind and incident. A mixin: `Ledger` brings the connection."""

    def add_alert(self, alert: Alert) -> bool:
        """Record an alert; return whether its incident is new. The same words about the same time are one update."""
        row = {"model": alert.model, "kind": alert.kind, "as_of": alert.as_of, "body": to_dict(alert)}
        identity = [alert.model, alert.kind, alert.about]
        if self._add(t.alerts, key=digest_of(identity), **row):
            return True
        known = [a for a in self._told(alert.model, alert.kind) if a.about == alert.about]
        if (alert.as_of, alert.message) not in {(a.as_of, a.message) for a in known}:
            self._add(t.alerts, key=digest_of([*identity, alert.as_of.isoformat(), alert.message]), **row)
        return False

    def alerts(self, model: str) -> list[Alert]:
        """Return a model's alerts as they stand, oldest first: of each incident the newest update."""
        return [told[-1] for told in self.incidents(model)]

    def incidents(self, model: str) -> list[tuple[Alert, ...]]:
        """Return what was said about each incident of a model, oldest first."""
        found: dict[tuple[str, str], list[Alert]] = {}
        for alert in self._told(model):
            found.setdefault((alert.kind, alert.about), []).append(alert)
        return [tuple(told) for told in found.values()]

    def incident(self, model: str, kind: str, as_of: datetime, pause: timedelta, cause: str = "") -> str:
        """Name the incident that something seen at a time belongs to.

        It goes on when the same was said at most `pause` before; otherwise it begins now.
        """
        c = t.alerts.c
        recent = (c.as_of >= as_of - pause, c.as_of <= as_of)
        head = f"{cause} " if cause else ""
        told = [a for a in self._told(model, kind, *recent) if a.about.startswith(head)]
        newest = max(told, key=lambda a: a.as_of, default=None)
        return newest.about if newest else f"{head}{as_of.isoformat()}"

    def _told(self, model: str, kind: str | None = None, *where: Any) -> list[Alert]:
        c = t.alerts.c
        wanted = (c.model == model, *(() if kind is None else (c.kind == kind,)), *where)
        rows = self._all(select(c.body).where(*wanted).order_by(c.row))
        return [from_dict(Alert, row.body) for row in rows]

    @abstractmethod
    def _add(self, table: Table, **row: Any) -> bool:
        """Insert a row; return whether it was not there yet."""

    @abstractmethod
    def _all(self, query: Select[Any]) -> Sequence[Any]:
        """Return the rows a query finds."""
