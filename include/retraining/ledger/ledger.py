"""What the pipeline reads from and adds to the ledger. There are no locks: unique keys decide who was first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Select, Table, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from retraining.errors import Unavailable
from retraining.ledger import tables as t
from retraining.ledger.database import first_line, open_engine
from retraining.ledger.origins import Origins
from retraining.ledger.people import People
from retraining.ledger.upkeep import Upkeep
from retraining.records import (
    Alert,
    Champion,
    Chunk,
    Deployment,
    Measurement,
    Override,
    PredictionSet,
    Release,
    Request,
    TriggerDecision,
    Verdict,
    Window,
    digest_of,
    from_dict,
    to_dict,
)
from retraining.windows import to_utc

R = TypeVar("R")


class Reading(NamedTuple):
    """The chunks a source gave for a partition as of a time, and when that was written down by the wall clock."""

    as_of: datetime
    chunks: tuple[Chunk, ...]
    made_at: datetime


class Ledger(Origins, People, Upkeep):
    """The append-only record of one installation."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    # --- work that is done ------------------------------------------------------------------------------------

    def finished(self, cls: type[R], model: str, stage: str, key: str) -> R | None:
        """Return the recorded result of a piece of work, so that it is not done twice."""
        where = (t.work.c.model == model, t.work.c.stage == stage, t.work.c.key == key)
        body = self._one(select(t.work.c.body).where(*where))
        return None if body is None else from_dict(cls, body)

    def finish(self, model: str, stage: str, key: str, record: object) -> None:
        """Record a result; the first one stays."""
        self._add(t.work, model=model, stage=stage, key=key, body=to_dict(record))

    def newest(self, cls: type[R], model: str, stage: str) -> R | None:
        """Return the result that was recorded last for a stage."""
        query = select(t.work.c.body).where(t.work.c.model == model, t.work.c.stage == stage)
        body = self._one(query.order_by(t.work.c.row.desc()).limit(1))
        return None if body is None else from_dict(cls, body)

    def finished_keys(self, model: str, stage: str, keys: Sequence[str]) -> dict[str, Any]:
        """Return the recorded results among the keys, as JSON values."""
        found: dict[str, Any] = {}
        for start in range(0, len(keys), 500):  # SQLite binds at most 999 variables in old builds
            batch = list(keys[start : start + 500])
            where = (t.work.c.model == model, t.work.c.stage == stage, t.work.c.key.in_(batch))
            found.update({row.key: row.body for row in self._all(select(t.work.c.key, t.work.c.body).where(*where))})
        return found

    def finished_all(self, model: str, stage: str) -> dict[str, Any]:
        """Return all recorded results of a stage, as JSON values by key, in the order they were recorded."""
        where = (t.work.c.model == model, t.work.c.stage == stage)
        query = select(t.work.c.key, t.work.c.body).where(*where).order_by(t.work.c.row)
        return {row.key: row.body for row in self._all(query)}

    def finish_many(self, model: str, stage: str, bodies: dict[str, dict[str, Any]]) -> None:
        """Record several results in one transaction; those that are already there stay."""
        known = self.finished_keys(model, stage, list(bodies))
        rows = [{"model": model, "stage": stage, "key": k, "body": b} for k, b in bodies.items() if k not in known]
        self._add_many(t.work, rows)

    # --- readings ---------------------------------------------------------------------------------------------

    def readings(self, source_id: str, window: Window) -> dict[datetime, list[Reading]]:
        """Return, per partition start, the readings of a source, oldest as-of first."""
        c = t.readings.c
        query = select(c.start, c.as_of, c.body, c.recorded_at).where(
            c.source_id == source_id, c.start >= window.start, c.start < window.end
        )
        found: dict[datetime, list[Reading]] = {}
        for row in self._all(query.order_by(c.start, c.as_of)):
            chunks = tuple(from_dict(Chunk, body) for body in row.body)
            reading = Reading(to_utc(row.as_of), chunks, to_utc(row.recorded_at))
            found.setdefault(to_utc(row.start), []).append(reading)
        return found

    def add_readings(self, source_id: str, as_of: datetime, chunks: dict[datetime, tuple[Chunk, ...]]) -> None:
        """Record which chunks a source gave for each partition as of a time."""
        known = {
            start
            for start, seen in self.readings(source_id, _span(chunks)).items()
            if any(reading.as_of == as_of for reading in seen)
        }
        self._add_many(
            t.readings,
            [
                {"source_id": source_id, "start": start, "as_of": as_of, "body": [to_dict(c) for c in found]}
                for start, found in sorted(chunks.items())
                if start not in known
            ],
        )

    # --- verdicts, releases -----------------------------------------------------------------------------------

    def add_verdict(self, verdict: Verdict, serves: Sequence[str]) -> Verdict:
        """Record a verdict and, unless it is a dry run, the requests it serves; return the one that stands."""
        window = verdict.evaluation.window
        row = {
            "id": verdict.id,
            "model": verdict.model,
            "decision": verdict.decision,
            "as_of": verdict.evaluation.as_of,
            "holdout_start": window.start,
            "holdout_end": window.end,
            "dry_run": verdict.dry_run,
            "body": to_dict(verdict),
        }
        with self._transaction() as connection:
            known = connection.execute(select(t.verdicts.c.body).where(t.verdicts.c.id == verdict.id)).scalar()
            if known is None:
                _insert(connection, t.verdicts, row)
            if not verdict.dry_run:
                for request in serves:
                    if not connection.execute(select(t.served.c.row).where(t.served.c.request_id == request)).first():
                        _insert(connection, t.served, {"request_id": request, "verdict_id": verdict.id})
        return verdict if known is None else from_dict(Verdict, known)

    def verdict(self, verdict_id: str) -> Verdict | None:
        """Return a verdict by its id or by an unambiguous beginning of it."""
        query = select(t.verdicts.c.body).where(t.verdicts.c.id.startswith(verdict_id, autoescape=True)).limit(2)
        rows = self._all(query)
        return from_dict(Verdict, rows[0].body) if len(rows) == 1 else None

    def verdicts(self, model: str) -> list[Verdict]:
        """Return a model's verdicts, oldest first."""
        query = select(t.verdicts.c.body).where(t.verdicts.c.model == model).order_by(t.verdicts.c.row)
        return [from_dict(Verdict, row.body) for row in self._all(query)]

    def verdicts_near(self, model: str, window: Window) -> list[Verdict]:
        """Return the verdicts whose holdout is the window, follows it, or ends with it, oldest first."""
        c = t.verdicts.c
        near = c.holdout_start.in_((window.start, window.end)) | (c.holdout_end == window.end)
        query = select(c.body).where(c.model == model, near).order_by(c.row)
        return [from_dict(Verdict, row.body) for row in self._all(query)]

    def looks_at(self, model: str, window: Window) -> int:
        """Count the verdicts that judged rows of this window before; each further look widens the interval.

        One that came to no checklist (too few rows, say) could not have promoted, and is no look.
        """
        c = t.verdicts.c
        judged = c.decision.in_(("promote", "reject", "inconclusive"))
        where = (c.model == model, judged, c.holdout_start < window.end, c.holdout_end > window.start)
        return sum(bool(row.body["checklist"]) for row in self._all(select(t.verdicts.c.body).where(*where)))

    def add_release(self, release: Release) -> Release:
        """Bind a release to its verdict, once; return the one that stands."""
        row = {"model": release.model, "verdict_id": release.verdict_id, "release_id": release.id}
        self._add(t.releases, **row, body=to_dict(release))
        return self.release_of(release.verdict_id) or release

    def release_of(self, verdict_id: str) -> Release | None:
        """Return the release bound to a verdict."""
        body = self._one(select(t.releases.c.body).where(t.releases.c.verdict_id == verdict_id))
        return None if body is None else from_dict(Release, body)

    # --- champions --------------------------------------------------------------------------------------------

    def champion(self, model: str, sequence: int | None = None) -> Champion | None:
        """Return the champion (or an earlier one by its sequence)."""
        query = select(t.champions.c.body).where(t.champions.c.model == model)
        if sequence is not None:
            query = query.where(t.champions.c.sequence == sequence)
        body = self._one(query.order_by(t.champions.c.sequence.desc()).limit(1))
        return None if body is None else from_dict(Champion, body)

    def champions(self, model: str) -> list[Champion]:
        """Return a model's champion history, oldest first."""
        query = select(t.champions.c.body).where(t.champions.c.model == model).order_by(t.champions.c.sequence)
        return [from_dict(Champion, row.body) for row in self._all(query)]

    def models(self) -> list[str]:
        """Return the models that have or had a champion."""
        return [row.model for row in self._all(select(t.champions.c.model).distinct().order_by(t.champions.c.model))]

    def move_champion(
        self, champion: Champion, deployment: Deployment | None = None, override: Override | None = None
    ) -> bool:
        """Insert the next champion with what made it one; return False when another run took that sequence first."""
        row = {
            "model": champion.model,
            "sequence": champion.sequence,
            "verdict_id": champion.verdict_id,
            "release_id": champion.release_id,
            "body": to_dict(champion),
        }
        try:
            with self._transaction() as connection:
                _insert(connection, t.champions, row)
                if deployment is not None and champion.verdict_id is not None:
                    _insert(connection, t.outcomes, _outcome(champion.verdict_id, deployment))
                if override is not None:
                    keys = {"model": override.model, "verdict_id": override.verdict_id}
                    _insert(connection, t.overrides, {**keys, "body": to_dict(override)})
        except IntegrityError:
            return False
        return True

    def add_outcome(self, verdict_id: str, deployment: Deployment) -> None:
        """Record what became of a promote verdict; the first outcome stays."""
        self._add(t.outcomes, **_outcome(verdict_id, deployment))

    def outcome(self, verdict_id: str) -> Deployment | None:
        """Return what became of a promote verdict."""
        body = self._one(select(t.outcomes.c.body).where(t.outcomes.c.verdict_id == verdict_id))
        return None if body is None else from_dict(Deployment, body)

    def add_alias(self, model: str, sequence: int, version: int) -> None:
        """Record that the registry's alias was set for this entry of the history."""
        self._add(t.aliases, model=model, sequence=sequence, version=version)

    def alias_was_set(self, model: str, sequence: int) -> bool:
        """Tell whether the alias was ever set for this entry of the history."""
        where = (t.aliases.c.model == model, t.aliases.c.sequence == sequence)
        return self._one(select(t.aliases.c.row).where(*where)) is not None

    # --- requests ---------------------------------------------------------------------------------------------

    def add_request(self, request: Request) -> None:
        """Open a request; doing so twice has no second effect."""
        self._add(t.requests, id=request.id, model=request.model, as_of=request.as_of, body=to_dict(request))

    def open_requests(self, model: str) -> list[Request]:
        """Return the requests no verdict has served yet, newest as-of first."""
        c = t.requests.c
        unserved = select(c.body).outerjoin(t.served, t.served.c.request_id == c.id).where(t.served.c.row.is_(None))
        query = unserved.where(c.model == model).order_by(c.as_of.desc(), c.row.desc())
        return [from_dict(Request, row.body) for row in self._all(query)]

    def requests(self, model: str) -> list[tuple[Request, str | None]]:
        """Return all requests, oldest first, each with the verdict that served it."""
        c = t.requests.c
        query = select(c.body, t.served.c.verdict_id).outerjoin(t.served, t.served.c.request_id == c.id)
        rows = self._all(query.where(c.model == model).order_by(c.row))
        return [(from_dict(Request, row.body), row.verdict_id) for row in rows]

    # --- what is watched --------------------------------------------------------------------------------------

    def add_predictions(self, record: PredictionSet) -> PredictionSet:
        """Publish a partition's predictions, once; return the set that stands."""
        self._add(t.predictions, model=record.model, start=record.window.start, body=to_dict(record))
        return self.predictions(record.model, record.window)[0]

    def predictions(self, model: str, window: Window) -> list[PredictionSet]:
        """Return the published sets whose partition starts in the window, oldest first."""
        c = t.predictions.c
        query = select(c.body).where(c.model == model, c.start >= window.start, c.start < window.end)
        return self.present([from_dict(PredictionSet, row.body) for row in self._all(query.order_by(c.start))])

    def all_predictions(self, model: str) -> list[PredictionSet]:
        """Return all published sets of a model, oldest first."""
        query = select(t.predictions.c.body).where(t.predictions.c.model == model).order_by(t.predictions.c.start)
        return self.present([from_dict(PredictionSet, row.body) for row in self._all(query)])

    def add_measurement(self, record: Measurement) -> Measurement:
        """Record a measurement, once per as-of time; return the one that stands."""
        self._add(t.measurements, model=record.model, as_of=record.as_of, body=to_dict(record))
        body = self._one(
            select(t.measurements.c.body).where(
                t.measurements.c.model == record.model, t.measurements.c.as_of == record.as_of
            )
        )
        return from_dict(Measurement, body)

    def measurements(self, model: str, before: datetime, count: int) -> list[Measurement]:
        """Return the newest `count` measurements with an as-of time before the given one, newest first."""
        c = t.measurements.c
        query = select(c.body).where(c.model == model, c.as_of < before).order_by(c.as_of.desc()).limit(count)
        return [from_dict(Measurement, row.body) for row in self._all(query)]

    def measurement(self, model: str, as_of: datetime) -> Measurement | None:
        """Return the measurement of an as-of time."""
        c = t.measurements.c
        body = self._one(select(c.body).where(c.model == model, c.as_of == as_of))
        return None if body is None else from_dict(Measurement, body)

    def add_decision(self, record: TriggerDecision) -> TriggerDecision:
        """Record a trigger decision, once per as-of time; return the one that stands."""
        row = {"id": record.id, "model": record.model, "as_of": record.as_of, "outcome": record.outcome}
        self._add(t.decisions, **row, body=to_dict(record))
        return self.decision(record.model, record.as_of) or record

    def decision(self, model: str, as_of: datetime) -> TriggerDecision | None:
        """Return the trigger decision of an as-of time."""
        c = t.decisions.c
        body = self._one(select(c.body).where(c.model == model, c.as_of == as_of))
        return None if body is None else from_dict(TriggerDecision, body)

    def decisions(self, model: str, before: datetime | None = None) -> list[TriggerDecision]:
        """Return a model's trigger decisions, oldest as-of first."""
        c = t.decisions.c
        query = select(c.body).where(c.model == model).order_by(c.as_of)
        if before is not None:
            query = query.where(c.as_of < before)
        return [from_dict(TriggerDecision, row.body) for row in self._all(query)]

    def add_alert(self, alert: Alert) -> bool:
        """Record an alert once per (model, kind, as-of, text); return whether it is new."""
        key = digest_of(to_dict(alert))
        return self._add(t.alerts, key=key, model=alert.model, kind=alert.kind, as_of=alert.as_of, body=to_dict(alert))

    def alerts(self, model: str) -> list[Alert]:
        """Return a model's alerts, oldest first."""
        query = select(t.alerts.c.body).where(t.alerts.c.model == model).order_by(t.alerts.c.row)
        return [from_dict(Alert, row.body) for row in self._all(query)]

    # --- plumbing ---------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except OperationalError as error:
            raise Unavailable(f"ledger {self._engine.url}: {first_line(error.orig)}. Nothing was recorded.") from error

    def _add(self, table: Table, **row: Any) -> bool:
        try:
            with self._transaction() as connection:
                _insert(connection, table, row)
        except IntegrityError:
            return False
        return True

    def _add_many(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Add rows in one transaction; when another process added some of them meanwhile, one by one."""
        if not rows:
            return
        now = datetime.now(UTC)
        try:
            with self._transaction() as connection:
                connection.execute(insert(table), [{**row, "recorded_at": now} for row in rows])
        except IntegrityError:
            for row in rows:
                self._add(table, **row)

    def _all(self, query: Select[Any]) -> Sequence[Any]:
        with self._transaction() as connection:
            return connection.execute(query).all()

    def _one(self, query: Select[Any]) -> Any:
        with self._transaction() as connection:
            return connection.execute(query).scalar()


def _insert(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    connection.execute(insert(table).values(**row, recorded_at=datetime.now(UTC)))


def _outcome(verdict_id: str, deployment: Deployment) -> dict[str, Any]:
    return {"model": deployment.model, "verdict_id": verdict_id, "body": to_dict(deployment)}


def _span(chunks: dict[datetime, Any]) -> Window:
    return Window(min(chunks), max(chunks) + timedelta(seconds=1))
