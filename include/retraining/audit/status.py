"""The state of a model in one record: champion, newest verdict and decision, open requests, staleness."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from retraining.calendars import shortest_interval
from retraining.records import Champion, Request, TriggerDecision, Verdict
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace

_MISSED_RUNS = 2
"""A model is stale after two missed retrainings: one may be down for maintenance."""


@dataclass(frozen=True)
class Status:
    """What is known of a model now."""

    model: str
    mode: str
    champion: Champion | None
    verdict: Verdict | None
    decision: TriggerDecision | None
    requests: tuple[Request, ...]
    n_alerts: int
    stale: str | None


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
        stale=_stale(frozen, ledger.last_judged(model, now), champion, now),
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
    limit = max(shortest_interval(frozen.spec.retrain.schedule), timedelta(days=1)) * _MISSED_RUNS
    return f"{what} is {age.days} days old, the schedule allows {limit.days}" if age > limit else None
