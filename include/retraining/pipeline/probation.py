"""Probation as a stage: daily by the monitor, and once more by a retraining before it judges the same rows."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from retraining.gate.probation import announced, trial_of
from retraining.pipeline.requests import end_requests
from retraining.records import Probation, short
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace


def judge(workspace: Workspace, frozen: FrozenSpec, as_of: datetime, by: Literal["monitor", "retrain"]) -> str | None:
    """Look at the release on probation and act; return what it came to, None where there is nothing to say."""
    history = workspace.ledger.champions(frozen.model)
    trial = trial_of(history, frozen.spec)
    if trial is None and not (history and history[-1].kind == "return"):
        return None
    from retraining.rollout.probation import judge as look  # what reads rows and predicts

    found = look(workspace, frozen, as_of, by)
    if found is None:
        return announced(trial) if trial else None
    if found.returns:
        _end_requests(workspace, found)
    return said(workspace, found)


def last_look(workspace: Workspace, frozen: FrozenSpec, as_of: datetime) -> str | None:
    """Look before a retraining judges the same rows; return why the run ends with that, None where it goes on.

    A run that took the release back ends so however often it is run again.
    """
    text = judge(workspace, frozen, as_of, "retrain")
    if text is None:
        return None
    found = workspace.ledger.newest(Probation, frozen.model, "probation")
    mine = found is not None and found.returns and found.by == "retrain" and found.as_of == as_of
    return text if mine and _is_back(workspace, found) else None


def said(workspace: Workspace, look: Probation) -> str:
    """Say what a look came to, and what was done."""
    if not _is_back(workspace, look):
        return look.sentence
    now = workspace.ledger.champion(look.model, look.sequence + 1)
    version = "" if now is None else f"; version {now.version} ({short(now.release_id)}) is the champion again"
    return f"{look.sentence}; taken back{version}"


def _is_back(workspace: Workspace, look: Probation | None) -> bool:
    after = None if look is None else workspace.ledger.champion(look.model, look.sequence + 1)
    return look is not None and look.returns and after is not None and after.kind == "return"


def _end_requests(workspace: Workspace, look: Probation) -> None:
    """Close the requests from before a take-back: what the release did wrong is mended, and cooldowns start anew."""
    if _is_back(workspace, look):
        reason = f"champion {look.sequence} was taken back: the reason is looked at anew"
        end_requests(workspace, look.model, look.as_of, reason, by="probation", until=look.as_of)
