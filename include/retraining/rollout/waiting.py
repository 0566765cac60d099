"""Waiting: which promotions nothing has become of yet, what each waits for, and how that is given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from retraining.errors import Damaged
from retraining.records import Champion, Verdict, short
from retraining.workspace import Workspace

if TYPE_CHECKING:
    from retraining.spec import Spec


@dataclass(frozen=True)
class Waiting:
    """A promotion that waits: `what` for, in a few words, and `how` to answer it or to let it go on."""

    model: str
    verdict_id: str
    as_of: datetime
    what: str
    how: str


def needs_approval(spec: Spec, *, warned: bool) -> bool:
    """Tell whether a promotion waits for a person; `warned` says whether its checklist has a warning."""
    if spec.mode == "suggest" or spec.gate.approval == "required":
        return True
    return spec.gate.approval == "on_warning" and warned


def has_warning(verdict: Verdict) -> bool:
    """Tell whether an item of a verdict's checklist is a warning."""
    return any(item.outcome == "warn" for item in verdict.checklist)


def waiting(workspace: Workspace, model: str) -> tuple[Waiting, ...]:
    """Return the promotions of a model that wait, oldest first."""
    promotions = workspace.ledger.without_outcome(model).get(model, [])
    return waiting_of(workspace, promotions, workspace.ledger.champion(model) if promotions else None)


def waiting_of(workspace: Workspace, promotions: Iterable[Verdict], champion: Champion | None) -> tuple[Waiting, ...]:
    """Return which promotions of which nothing has become yet wait.

    Those that were judged against an earlier champion are left out: whatever is answered, they are superseded.
    """
    sequence = champion.sequence if champion else None
    found = (_waits(workspace, v) for v in promotions if v.evaluation.champion_sequence == sequence)
    return tuple(one for one in found if one is not None)


def waits_for(workspace: Workspace, verdict: Verdict) -> Waiting | None:
    """Return what a verdict waits for, None when it does not wait."""
    return next((one for one in waiting(workspace, verdict.model) if one.verdict_id == verdict.id), None)


def how_to_answer(verdict: Verdict) -> str:
    """Say how a person answers a promotion that waits."""
    return (
        f"Answer it in Airflow under Browse > Required Actions; where `retrain__{verdict.model}` did not ask, trigger "
        f"the DAG `approve` with verdict {short(verdict.id)} first. Without Airflow: set `mode: auto` (and "
        "gate.approval: none) in the YAML and run again."
    )


def _waits(workspace: Workspace, verdict: Verdict) -> Waiting | None:
    release = workspace.ledger.release_of(verdict.id)
    if release is None or release.blocking:
        return None  # `deploy` refuses it as soon as it gets there
    what, how = _what(workspace, verdict)
    return Waiting(verdict.model, verdict.id, verdict.evaluation.as_of, what, how)


def _what(workspace: Workspace, verdict: Verdict) -> tuple[str, str]:
    answer = workspace.ledger.approval(verdict.id)
    if answer is not None:
        said = f"the answer was {'yes' if answer[0] else 'no'}, by {answer[1]}"
        return f"for its deployment: {said}", "Clear the task `deploy` of its run of the DAG `approve`."
    if _asks(workspace, verdict):
        return "for a person's answer", how_to_answer(verdict)
    again = f"`python -m retraining run {verdict.model} --as-of {verdict.evaluation.as_of:%Y-%m-%dT%H:%M}`"
    return "for its run to go on", f"If that ended, clear its failed task in Airflow, or start it again: {again}."


def _asks(workspace: Workspace, verdict: Verdict) -> bool:
    try:
        spec = workspace.frozen(verdict.evaluation.spec_id).spec
    except (Damaged, ValueError):  # lost, or frozen by a version with other keys: the likelier answer
        return True
    return needs_approval(spec, warned=has_warning(verdict))
