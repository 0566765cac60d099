"""Binding: is a verdict what the gate made, and a release the one it stands for? Recomputed before anything moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from typing import get_args

from retraining.artifacts import stored
from retraining.errors import DeployRefused
from retraining.gate import Judgement, Policy, decide, release_checklist, verdict_id
from retraining.records import Decision, Evaluation, Item, Release, Verdict, short
from retraining.workspace import Workspace


def check_verdict(workspace: Workspace, verdict: Verdict) -> None:
    """Compare a verdict with the ledger, with the evaluation it was made from, and with what the gate decides now.

    Raises
    ------
    DeployRefused
        When one of them differs; the message names what does.
    """
    known = workspace.ledger.verdict(verdict.id)
    if known is None or known.model != verdict.model:
        what = f"there is no verdict {short(verdict.id)} in the ledger"
        raise DeployRefused(f"{verdict.model}: {what}. The champion stays.")
    if known != verdict:
        raise _altered(known, _differences(known, verdict))
    made = _made_from(workspace, known)
    if made is None:
        raise _altered(known, ["the evaluation it was made from is not in the ledger"])
    if made != known:
        raise _altered(known, _differences(made, known))
    again = judge_again(workspace, known.evaluation)
    if again.decision != known.decision:
        why = f"decision: {known.decision} is recorded, and the gate decides {again.decision}: {again.reasons[-1]}"
        raise _altered(known, [why])
    if _outcomes(again.checklist) != _outcomes(known.checklist):
        raise _altered(known, ["checklist"])


def judge_again(workspace: Workspace, evaluation: Evaluation) -> Judgement:
    """Decide once more on a recorded evaluation, by the policy of the spec that was frozen for it."""
    return decide(evaluation, Policy.of(workspace.frozen(evaluation.spec_id).spec))


def bound_release(workspace: Workspace, verdict: Verdict, release_id: str) -> Release:
    """Return the release that a verdict is bound to, after comparing it with the artifact itself.

    Raises
    ------
    DeployRefused
        When it is another one, or was not made of this verdict's recipe and data; the message names what differs.
    Damaged
        When the artifact cannot be read back as it was stored.
    """
    bound = workspace.ledger.release_of(verdict.id)
    if bound is None or bound.id != release_id:
        raise DeployRefused(
            f"{verdict.model}: release {short(release_id)} is not the one verdict {short(verdict.id)} is bound to "
            f"({short(bound.id) if bound else 'none'}). The champion stays."
        )
    evaluation, card = verdict.evaluation, stored.read_card(workspace.store, bound.id)
    pairs = {
        "model": (card.model, bound.model, verdict.model),
        "verdict": (bound.verdict_id, verdict.id),
        "spec": (card.spec_id, evaluation.spec_id),
        "recipe": (card.recipe_id, evaluation.recipe_id),
        "snapshot": (card.snapshot_id, bound.snapshot_id, _released_snapshot(workspace, evaluation)),
        "cut-off": (card.cutoff, bound.cutoff),
    }
    wrong = [name for name, values in pairs.items() if any(value != values[0] for value in values)]
    if not _measured(workspace, bound, evaluation) <= _outcomes(bound.checklist):
        wrong.append("checklist")
    if wrong:
        raise DeployRefused(
            f"{verdict.model}: release {short(bound.id)} is not what verdict {short(verdict.id)} is bound to: "
            f"{', '.join(wrong)} differ{'' if len(wrong) > 1 else 's'}. The champion stays. {_ADVICE}"
        )
    return bound


_ADVICE = "Was the ledger changed by hand? Restore it from a backup, or retrain."


def _released_snapshot(workspace: Workspace, evaluation: Evaluation) -> str:
    """Return the snapshot the release must be fitted on: the refit's, or the candidate's own without a refit."""
    if workspace.frozen(evaluation.spec_id).spec.gate.refit:
        return evaluation.refit_id
    return stored.read_card(workspace.store, evaluation.candidate_id).snapshot_id


def _outcomes(items: Iterable[Item]) -> set[tuple[str, str]]:
    """Return what a checklist came to; its sentences may be worded differently by another version."""
    return {(item.name, item.outcome) for item in items}


def _measured(workspace: Workspace, bound: Release, evaluation: Evaluation) -> set[tuple[str, str]]:
    """Return what the release's recorded measurements come to."""
    policy = Policy.of(workspace.frozen(evaluation.spec_id).spec)
    return _outcomes(release_checklist(bound.flip_share, bound.served, (), policy))


def _made_from(workspace: Workspace, known: Verdict) -> Verdict | None:
    """Return the verdict as the gate made it: its id leads to its evaluation, decision and whether it was a dry run.

    Evaluations are recorded before the gate decides. A verdict that was altered afterwards still has the id of what it
    was, or else an id that nothing recorded gives. Where a champion could not be read and was restored, two
    evaluations lead to one id; then the verdict must be of one of them.
    """
    found = list(_candidates(workspace, known))
    return known if known in found else next(iter(found), None)


def _candidates(workspace: Workspace, known: Verdict) -> Iterator[Verdict]:
    for evaluation in workspace.ledger.recorded(Evaluation, known.model, "evaluate").values():
        for decision in get_args(Decision):
            for dry_run in (False, True):
                if verdict_id(evaluation, decision, dry_run=dry_run) == known.id:
                    changed = {"model": evaluation.model, "decision": decision, "dry_run": dry_run}
                    yield replace(known, evaluation=evaluation, **changed)


def _differences(one: Verdict, other: Verdict) -> list[str]:
    """Name the fields in which two verdicts differ, those of their evaluations by their own names."""
    outer = [f.name for f in fields(Verdict) if f.name != "evaluation"]
    found = [name for name in outer if getattr(one, name) != getattr(other, name)]
    inner = [f.name for f in fields(Evaluation)]
    return found + [name for name in inner if getattr(one.evaluation, name) != getattr(other.evaluation, name)]


def _altered(verdict: Verdict, what: list[str]) -> DeployRefused:
    return DeployRefused(
        f"{verdict.model}: verdict {short(verdict.id)} is not what the gate recorded: {', '.join(what)}. "
        f"The champion stays. {_ADVICE}"
    )
