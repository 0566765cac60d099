"""What is watched day by day: predictions, measurements and trigger decisions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from retraining.ledger import tables as t
from retraining.ledger.connection import begins_with
from retraining.ledger.erasures import Erasures
from retraining.ledger.requests import row_of
from retraining.records import Measurement, PredictionSet, Request, TriggerDecision, Window, to_dict


class Watched(Erasures):
    """A mixin of `Ledger`."""

    def add_predictions(self, record: PredictionSet) -> PredictionSet:
        """Publish a partition's predictions, once; return the set that stands."""
        self._add(t.predictions, model=record.model, start=record.window.start, body=to_dict(record))
        return self.predictions(record.model, record.window)[0]

    def predictions(self, model: str, window: Window) -> list[PredictionSet]:
        """Return the published sets whose partition starts in the window, oldest first."""
        c = t.predictions.c
        query = select(c.body).where(c.model == model, c.start >= window.start, c.start < window.end)
        return self.present(self._records(PredictionSet, query.order_by(c.start)))

    def all_predictions(self, model: str) -> list[PredictionSet]:
        """Return all published sets of a model, oldest first."""
        c = t.predictions.c
        return self.present(self._records(PredictionSet, select(c.body).where(c.model == model).order_by(c.start)))

    def add_measurement(self, record: Measurement) -> Measurement:
        """Record a measurement, once per as-of time; return the one that stands."""
        self._add(t.measurements, model=record.model, as_of=record.as_of, body=to_dict(record))
        return self.measurement(record.model, record.as_of) or record

    def measurement(self, model: str, as_of: datetime) -> Measurement | None:
        """Return the measurement of an as-of time."""
        c = t.measurements.c
        return self._record(Measurement, select(c.body).where(c.model == model, c.as_of == as_of))

    def measurements(self, model: str, since: datetime, before: datetime) -> list[Measurement]:
        """Return the measurements with an as-of time from `since` to before the other one, newest first."""
        c = t.measurements.c
        query = select(c.body).where(c.model == model, c.as_of >= since, c.as_of < before)
        return self._records(Measurement, query.order_by(c.as_of.desc()))

    def add_decision(self, record: TriggerDecision, asks: Request | None = None) -> TriggerDecision:
        """Record a trigger decision with the request it opens, once per as-of time; return the one that stands.

        A decision that is already there keeps what it came to: made again, it opens nothing.
        """
        row = {"id": record.id, "model": record.model, "as_of": record.as_of, "outcome": record.outcome}
        with self._writing() as connection:
            is_new = self._insert(connection, t.decisions, {**row, "body": to_dict(record)})
            if is_new and asks is not None:
                self._insert(connection, t.requests, row_of(asks))
        return self.decision(record.model, record.as_of) or record

    def decision(self, model: str, as_of: datetime) -> TriggerDecision | None:
        """Return the trigger decision of an as-of time."""
        c = t.decisions.c
        return self._record(TriggerDecision, select(c.body).where(c.model == model, c.as_of == as_of))

    def decision_by_id(self, decision_id: str) -> TriggerDecision | None:
        """Return a trigger decision by its id or by the beginning of it; of several, the newest."""
        c = t.decisions.c
        query = select(c.body).where(begins_with(c.id, decision_id)).order_by(c.row.desc()).limit(1)
        return self._record(TriggerDecision, query)

    def decisions(self, model: str, before: datetime | None = None) -> list[TriggerDecision]:
        """Return a model's trigger decisions, oldest as-of first."""
        c = t.decisions.c
        query = select(c.body).where(c.model == model).order_by(c.as_of)
        return self._records(TriggerDecision, query if before is None else query.where(c.as_of < before))
