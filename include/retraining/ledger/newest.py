"""What is newest, of one model or of all at once: each one query, whose answer does not grow with the history."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, FromClause, Select, Table, func, select, true

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected, models_in
from retraining.ledger.requests import only_open
from retraining.records import Champion, Probation, Request, TriggerDecision, Verdict, from_dict
from retraining.windows import to_utc

R = TypeVar("R")
Where = Callable[[FromClause], ColumnElement[bool]]


def _serious(verdicts: FromClause) -> ColumnElement[bool]:
    return verdicts.c.dry_run.is_(False)


def _anything(_: FromClause) -> ColumnElement[bool]:
    return true()


def _is_probation(work: FromClause) -> ColumnElement[bool]:
    return work.c.stage == "probation"


_SERIOUS = _serious(t.verdicts)


class Newest(Connected):
    """A mixin of `Ledger`. Functions named after many return one record, or one list, per model."""

    # --- all models -------------------------------------------------------------------------------------------

    def newest_verdicts(self, *, dry_runs: bool = True) -> dict[str, Verdict]:
        """Return the verdict that was recorded last for each model."""
        return self._newest(Verdict, t.verdicts, "row", where=_anything if dry_runs else _serious)

    def last_verdict_times(self, until: datetime | None = None) -> dict[str, datetime]:
        """Return the newest as-of time, not after `until`, of each model's verdicts that were not dry runs."""
        names, inner = models_in(t.verdicts), t.verdicts.alias()
        newest = select(func.max(inner.c.as_of)).where(inner.c.model == names.c.model, _serious(inner))
        newest = newest if until is None else newest.where(inner.c.as_of <= until)
        rows = self._all(select(names.c.model, newest.scalar_subquery().label("as_of")))
        return {row.model: to_utc(row.as_of) for row in rows if row.as_of}

    def waiting_verdicts(self) -> dict[str, list[Verdict]]:
        """Return the promotions of which nothing became yet, oldest first: they wait, or their run is under way."""
        c = t.verdicts.c
        query = select(c.model, c.body).outerjoin(t.outcomes, t.outcomes.c.verdict_id == c.id)
        query = query.where(c.decision == "promote", _SERIOUS, t.outcomes.c.row.is_(None))
        return self._grouped(Verdict, query.order_by(c.row))

    def without_outcome(self, model: str | None = None) -> dict[str, list[Verdict]]:
        """Return the released promotions of one model, or of all, of which nothing has become yet, oldest first."""
        c = t.verdicts.c
        query = select(c.model, c.body).join(t.releases, t.releases.c.verdict_id == c.id)
        for became in (t.outcomes, t.overrides, t.champions):
            query = query.outerjoin(became, became.c.verdict_id == c.id).where(became.c.row.is_(None))
        query = query.where(c.decision == "promote", _SERIOUS).order_by(c.row)
        return self._grouped(Verdict, query if model is None else query.where(c.model == model))

    def newest_decisions(self) -> dict[str, TriggerDecision]:
        """Return each model's trigger decision of the newest as-of time."""
        return self._newest(TriggerDecision, t.decisions, "as_of")

    def newest_probations(self) -> dict[str, Probation]:
        """Return the newest look at each model's releases on probation."""
        return self._newest(Probation, t.work, "row", where=_is_probation)

    def champions_now(self) -> dict[str, Champion]:
        """Return the champion of each model that has one."""
        return self._newest(Champion, t.champions, "sequence")

    def open_requests_by_model(self) -> dict[str, list[Request]]:
        """Return the requests that no verdict has served and nobody has closed, newest as-of first."""
        c = t.requests.c
        return self._grouped(Request, only_open(select(c.model, c.body)).order_by(c.as_of.desc(), c.row.desc()))

    # --- one model --------------------------------------------------------------------------------------------

    def newest_verdict(self, model: str, *, dry_runs: bool = True) -> Verdict | None:
        """Return the verdict that was recorded last for a model."""
        return next(iter(self.newest_verdicts_of(model, 1, dry_runs=dry_runs)), None)

    def newest_verdicts_of(self, model: str, count: int, *, dry_runs: bool = True) -> list[Verdict]:
        """Return the `count` verdicts that were recorded last, newest first."""
        c = t.verdicts.c
        query = select(c.body).where(c.model == model)
        query = query if dry_runs else query.where(_SERIOUS)
        return self._records(Verdict, query.order_by(c.row.desc()).limit(count))

    def verdicts_before(self, model: str, time: datetime, count: int) -> list[Verdict]:
        """Return the `count` newest verdicts whose holdouts ended by a time, newest holdout first; no dry runs."""
        c = t.verdicts.c
        query = select(c.body).where(c.model == model, c.holdout_end <= time, _SERIOUS)
        return self._records(Verdict, query.order_by(c.holdout_end.desc(), c.row.desc()).limit(count))

    def last_verdict_time(self, model: str, until: datetime | None = None) -> datetime | None:
        """Return the newest as-of time, not after `until`, of a model's verdicts that were not dry runs."""
        c = t.verdicts.c
        query = select(func.max(c.as_of)).where(c.model == model, _SERIOUS)
        found = self._one(query if until is None else query.where(c.as_of <= until))
        return None if found is None else to_utc(found)

    def newest_decision(self, model: str) -> TriggerDecision | None:
        """Return a model's trigger decision of the newest as-of time."""
        return next(iter(self.newest_decisions_of(model, 1)), None)

    def newest_decisions_of(self, model: str, count: int) -> list[TriggerDecision]:
        """Return a model's `count` trigger decisions with the newest as-of times, newest first."""
        c = t.decisions.c
        return self._records(
            TriggerDecision, select(c.body).where(c.model == model).order_by(c.as_of.desc()).limit(count)
        )

    # --- plumbing ---------------------------------------------------------------------------------------------

    def _newest(self, cls: type[R], table: Table, by: str, *, where: Where = _anything) -> dict[str, R]:
        """Return, per model, the record with the largest value of a column: one step into an index per model."""
        names, inner = models_in(table), table.alias()
        top = select(inner.c.row).where(inner.c.model == names.c.model, where(inner)).order_by(inner.c[by].desc())
        rows = select(top.limit(1).scalar_subquery()).select_from(names)
        query = select(table.c.model, table.c.body).where(table.c.row.in_(rows)).order_by(table.c.model)
        return {row.model: from_dict(cls, row.body) for row in self._all(query)}

    def _grouped(self, cls: type[R], query: Select[Any]) -> dict[str, list[R]]:
        return grouped((row.model, from_dict(cls, row.body)) for row in self._all(query))


def grouped(pairs: Iterable[tuple[str, R]]) -> dict[str, list[R]]:
    """Return the values of each key, in their order."""
    found: dict[str, list[R]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found
