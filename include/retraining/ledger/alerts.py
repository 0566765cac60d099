"""What people are told: one alert per incident, and what was said about it again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected
from retraining.records import Alert, digest_of, from_dict, to_dict


class Alerts(Connected):
    """A mixin of `Ledger`: alerts by model, kind and incident."""

    def add_alert(self, alert: Alert) -> bool:
        """Record an alert; return whether its incident is new. The same words about the same time are one update."""
        identity = _incident_id(alert.model, alert.kind, alert.about)
        row = {"model": alert.model, "kind": alert.kind, "as_of": alert.as_of, "incident_id": identity}
        row["body"] = to_dict(alert)
        if self._add(t.alerts, key=identity, **row):
            return True
        known = {(a.as_of, a.message) for a in self._alerts(t.alerts.c.incident_id == identity)}
        if (alert.as_of, alert.message) not in known:
            self._add(t.alerts, key=digest_of([identity, alert.as_of.isoformat(), alert.message]), **row)
        return False

    def alerts(self, model: str) -> list[Alert]:
        """Return a model's alerts as they stand, oldest first: of each incident the newest update."""
        return [told[-1] for told in self.incidents(model)]

    def incidents(self, model: str) -> list[tuple[Alert, ...]]:
        """Return what was said about each incident of a model, oldest first."""
        return _by_incident(self._alerts(t.alerts.c.model == model))

    def newest_incidents_of(self, model: str, count: int) -> list[tuple[Alert, ...]]:
        """Return what was said about the `count` incidents of a model that were told of last, oldest first."""
        c = t.alerts.c
        newest = select(c.incident_id).where(c.model == model).group_by(c.incident_id)
        ids = [row.incident_id for row in self._all(newest.order_by(func.max(c.row).desc()).limit(count))]
        rows = sorted(self._among(select(c.row, c.body), c.incident_id, ids), key=lambda row: row.row)
        return _by_incident([from_dict(Alert, row.body) for row in rows])

    def alert_counts(self, model: str | None = None) -> dict[str, int]:
        """Return how many incidents one model, or each, has been alerted of."""
        c = t.alerts.c
        query = select(c.model, func.count(c.incident_id.distinct()).label("n")).group_by(c.model)
        return {row.model: row.n for row in self._all(query if model is None else query.where(c.model == model))}

    def incident(self, model: str, kind: str, as_of: datetime, pause: timedelta, cause: str = "") -> str:
        """Name the incident that something seen at a time belongs to.

        It goes on when the same was said at most `pause` before; otherwise it begins now.
        """
        c = t.alerts.c
        head = f"{cause} " if cause else ""
        recent = self._alerts(c.model == model, c.kind == kind, c.as_of >= as_of - pause, c.as_of <= as_of)
        newest = max((a for a in recent if a.about.startswith(head)), key=lambda a: a.as_of, default=None)
        return newest.about if newest else f"{head}{as_of.isoformat()}"

    def _alerts(self, *where: Any) -> list[Alert]:
        c = t.alerts.c
        return [from_dict(Alert, row.body) for row in self._all(select(c.body).where(*where).order_by(c.row))]


def _incident_id(model: str, kind: str, about: str) -> str:
    return digest_of([model, kind, about])


def _by_incident(alerts: list[Alert]) -> list[tuple[Alert, ...]]:
    found: dict[tuple[str, str], list[Alert]] = {}
    for alert in alerts:
        found.setdefault((alert.kind, alert.about), []).append(alert)
    return [tuple(told) for told in found.values()]
