"""The state of a model in one record: champion, newest verdict and decision, open requests, staleness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from retraining.calendars import shortest_interval
from retraining.gate.probation import state_of
from retraining.ledger import Ledger
from retraining.records import Champion, Probation, Request, TriggerDecision, Verdict
from retraining.rollout.waiting import Waiting, waiting_of
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace

_MISSED_RUNS = 2
"""A model is stale after two missed retrainings: one may be down for maintenance."""
_SHORTEST = timedelta(days=1)
"""Retrainings that are due more often than daily are missed by the day."""


@dataclass(frozen=True)
class Status:
    """What is known of a model now; `waiting` holds the promotions that wait, oldest first."""

    model: str
    mode: str
    champion: Champion | None
    verdict: Verdict | None
    decision: TriggerDecision | None
    requests: tuple[Request, ...]
    n_alerts: int
    stale: str | None
    waiting: tuple[Waiting, ...]
    probation: str | None
    """What becomes of the champion's probation, in a few words."""


@dataclass(frozen=True)
class Known:
    """What the ledger knows of models, by their names; `judged` is when they were last, by as-of and up to a time."""

    judged: Mapping[str, datetime]
    champions: Mapping[str, Champion]
    verdicts: Mapping[str, Verdict]
    decisions: Mapping[str, TriggerDecision]
    requests: Mapping[str, Sequence[Request]]
    alerts: Mapping[str, int]
    promotions: Mapping[str, Sequence[Verdict]]
    """Released promotions of which nothing has become yet."""
    probations: Mapping[str, Probation]
    """The newest look at any release of a model."""

    @classmethod
    def of_all(cls, ledger: Ledger, now: datetime) -> Known:
        """Ask about all models at once: as many queries as for one."""
        return cls(
            judged=ledger.last_verdict_times(now),
            champions=ledger.champions_now(),
            verdicts=ledger.newest_verdicts(),
            decisions=ledger.newest_decisions(),
            requests=ledger.open_requests_by_model(),
            alerts=ledger.alert_counts(),
            promotions=ledger.without_outcome(),
            probations=ledger.newest_probations(),
        )

    @classmethod
    def of(cls, ledger: Ledger, model: str, now: datetime) -> Known:
        """Ask about one model."""
        champion, verdict = ledger.champion(model), ledger.newest_verdict(model)
        decision, judged = ledger.newest_decision(model), ledger.last_verdict_time(model, now)
        look = ledger.newest(Probation, model, "probation")
        return cls(
            judged={model: judged} if judged else {},
            champions={model: champion} if champion else {},
            verdicts={model: verdict} if verdict else {},
            decisions={model: decision} if decision else {},
            requests={model: ledger.open_requests(model)},
            alerts=ledger.alert_counts(model),
            promotions=ledger.without_outcome(model),
            probations={model: look} if look else {},
        )


def status(workspace: Workspace, frozen: FrozenSpec, now: datetime, known: Known | None = None) -> Status:
    """Return a model's state.

    Parameters
    ----------
    now
        Only matters for staleness: verdicts as of a later time do not count.
    known
        What was read of all models at once; default: this one is read.
    """
    model = frozen.model
    known = known or Known.of(workspace.ledger, model, now)
    champion, verdict = known.champions.get(model), known.verdicts.get(model)
    return Status(
        model=model,
        mode=frozen.spec.mode,
        champion=champion,
        verdict=verdict,
        decision=known.decisions.get(model),
        requests=tuple(known.requests.get(model, ())),
        n_alerts=known.alerts.get(model, 0),
        stale=_stale(frozen, known.judged.get(model), champion, now),
        waiting=waiting_of(workspace, known.promotions.get(model, ()), champion),
        probation=state_of(champion, known.probations.get(model), frozen.spec),
    )


def _stale(frozen: FrozenSpec, judged: datetime | None, champion: Champion | None, now: datetime) -> str | None:
    """Say since when a model is stale: neither a dry run nor a run about the past makes it fresh."""
    if frozen.spec.retrain.schedule is None:
        return None
    if judged is not None:
        what, since = "last verdict", judged
    elif champion is not None:
        what, since = "adopted champion", champion.as_of
    else:
        return "was never retrained"
    age = now - since
    if age <= _SHORTEST * _MISSED_RUNS:
        return None
    limit = _allowed(frozen.spec.retrain.schedule)
    return f"{what} is {age.days} days old, the schedule allows {limit.days}" if age > limit else None


@cache
def _allowed(schedule: str) -> timedelta:
    """Return how old the last verdict may be; most models of a fleet share a schedule."""
    return max(shortest_interval(schedule), _SHORTEST) * _MISSED_RUNS
