"""The state of a model in one record: champion, newest verdict and decision, open requests, staleness."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from retraining.checking import shortest_interval
from retraining.records import Champion, Request, TriggerDecision, Verdict
from retraining.rollout.waiting import Waiting, waiting
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


def status(workspace: Workspace, frozen: FrozenSpec, now: datetime) -> Status:
    """Return a model's state; `now` only matters for staleness."""
    model, ledger = frozen.model, workspace.ledger
    verdicts, decisions = ledger.verdicts(model), ledger.decisions(model)
    verdict, champion = verdicts[-1] if verdicts else None, ledger.champion(model)
    return Status(
        model=model,
        mode=frozen.spec.mode,
        champion=champion,
        verdict=verdict,
        decision=decisions[-1] if decisions else None,
        requests=tuple(ledger.open_requests(model)),
        n_alerts=len(ledger.alerts(model)),
        stale=_stale(frozen, verdict, champion, now),
        waiting=waiting(workspace, model),
    )


def _stale(frozen: FrozenSpec, verdict: Verdict | None, champion: Champion | None, now: datetime) -> str | None:
    if frozen.spec.retrain.schedule is None:
        return None
    if verdict is not None:
        what, since = "last verdict", verdict.evaluation.as_of
    elif champion is not None:
        what, since = "adopted champion", champion.as_of
    else:
        return "was never retrained"
    age = now - since
    if age <= _SHORTEST * _MISSED_RUNS:
        return None
    limit = max(shortest_interval(frozen.spec.retrain.schedule), _SHORTEST) * _MISSED_RUNS
    return f"{what} is {age.days} days old, the schedule allows {limit.days}" if age > limit else None
