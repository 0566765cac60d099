"""Approval: what a person is asked about a promotion that waits, and the record of the answer.

Whoever calls `record_answer` vouches for the name: in this project that is Airflow, which authenticated the user.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from retraining.errors import RequestError
from retraining.gate.champion import comparisons
from retraining.pages.markdown import plain, plain_table
from retraining.records import Approval, Deployment, Estimate, Evaluation, Verdict, short
from retraining.rollout.allowed import approvers_left, require_allowed, triggered
from retraining.rollout.champion import deploy, is_current
from retraining.workspace import Workspace

TIMEOUT = "timeout"
"""Who answered when nobody did."""


@dataclass(frozen=True)
class Question:
    """What people are asked about a verdict; empty `approvers` means any user that Airflow lets in.

    With `gate.four_eyes` who triggered the run is not among them, and is refused when the answer is recorded.
    """

    verdict_id: str
    model: str
    subject: str
    body: str
    approvers: tuple[str, ...]
    deadline: datetime


def question(workspace: Workspace, verdict_id: str, asked_at: datetime) -> Question:
    """Put a promotion that waits into words.

    Parameters
    ----------
    asked_at
        When the question is put to people; their time to answer begins then.

    Raises
    ------
    RequestError
        When there is nothing to ask (no such verdict, no release, or it was answered), or nobody may answer.
    """
    verdict = _waiting(workspace, verdict_id)
    gate = workspace.frozen(verdict.evaluation.spec_id).spec.gate
    deadline = asked_at + gate.approval_timeout
    subject = f"{verdict.model}: promote the challenger of {verdict.evaluation.as_of:%Y-%m-%d}?"
    approvers = approvers_left(workspace, verdict)
    body = _body(workspace, verdict, approvers, deadline)
    return Question(verdict.id, verdict.model, subject, body, approvers, deadline)


def record_answer(
    workspace: Workspace, verdict_id: str, *, approved: bool, by: str, user_id: str | None, reason: str
) -> Approval:
    """Record an answer; the first one stays, and giving the same one again has no effect.

    Parameters
    ----------
    by
        The user's name, or `TIMEOUT`.
    user_id
        The id by which Airflow authenticated the user, empty when it did not; None when the time was up, which can
        only be a no.

    Raises
    ------
    RequestError
        When the person may not answer, there is nothing to answer, or somebody answered otherwise before.
    """
    verdict = _promotion(workspace, verdict_id)
    if user_id is None:
        approved, by = False, TIMEOUT
    else:
        require_allowed(workspace, verdict, user_id, "an answer")
    workspace.ledger.add_approval(verdict.model, verdict.id, approved, by, reason)
    stands = workspace.ledger.approvals(verdict.model)[verdict.id]
    if (stands.approved, stands.by) != (approved, by):
        raise RequestError(f"verdict {short(verdict.id)} {_said(stands)}; the first answer stays.")
    return stands


def act_on_answer(workspace: Workspace, verdict_id: str) -> Deployment:
    """Deploy the release of a verdict that was approved; the champion is compared again. A no changes nothing."""
    verdict = _promotion(workspace, verdict_id)
    bound = workspace.ledger.release_of(verdict.id)
    return deploy(workspace, verdict, bound.id if bound else "", wait_for_approval=True, by="gate")


def _promotion(workspace: Workspace, verdict_id: str) -> Verdict:
    verdict = workspace.ledger.verdict(verdict_id)
    if verdict is None:
        raise RequestError(f"there is no verdict {verdict_id}. `history MODEL` lists the ids.")
    what = "a dry run" if verdict.dry_run else verdict.decision
    if what != "promote" or workspace.ledger.release_of(verdict.id) is None:
        raise RequestError(f"verdict {short(verdict.id)} is {what} without a release; there is nothing to approve.")
    return verdict


def _waiting(workspace: Workspace, verdict_id: str) -> Verdict:
    verdict = _promotion(workspace, verdict_id)
    answered = workspace.ledger.approvals(verdict.model).get(verdict.id)
    if answered is not None:
        raise RequestError(f"verdict {short(verdict.id)} {_said(answered)}; there is nothing left to ask.")
    done = workspace.ledger.outcome(verdict.id)
    if done is not None:
        raise RequestError(f"verdict {short(verdict.id)} is {done.outcome}: {done.detail}. There is nothing to ask.")
    return verdict


def _said(answer: Approval) -> str:
    return f"was answered {'yes' if answer.approved else 'no'} by {answer.by} on {answer.answered_at:%Y-%m-%d %H:%M}"


# --- the question in Markdown -------------------------------------------------------------------------------------


def _body(workspace: Workspace, verdict: Verdict, approvers: tuple[str, ...], deadline: datetime) -> str:
    spec, e = workspace.frozen(verdict.evaluation.spec_id).spec, verdict.evaluation
    bound = workspace.ledger.release_of(verdict.id)
    items = (*verdict.checklist, *(bound.checklist if bound else ()))
    late = "" if is_current(workspace, verdict) else "\n\n**The champion was replaced since: a yes changes nothing.**"
    return "\n\n".join(
        [
            f"**{verdict.model}**: {plain(spec.description)} Owner: {plain(spec.owner.business)}.{late}",
            plain_table(("", e.metric), _figures(e)),
            f"Holdout: {e.n_rows:,} rows, {e.window}; no model compared here was trained on them.",
            "### Checklist",
            plain_table(("", "item", "found", "limit"), [(i.outcome, i.name, i.figure, i.limit) for i in items]),
            "### What happens",
            f"- **Approve**: the challenger becomes the champion, unless another one did meanwhile.\n"
            f"- **Reject**: the champion stays.\n"
            f"- **No answer until {deadline:%Y-%m-%d %H:%M} UTC** counts as *Reject*.",
            f"Asked: {_asked(workspace, verdict, approvers)}. Verdict `{verdict.id}`.",
        ]
    )


def _asked(workspace: Workspace, verdict: Verdict, approvers: tuple[str, ...]) -> str:
    who = plain(", ".join(approvers)) or "anybody who may run this DAG"
    if not workspace.frozen(verdict.evaluation.spec_id).spec.gate.four_eyes:
        return who
    started = ", ".join(triggered(workspace, verdict).accounts)
    return f"{who}, but not {plain(started)}, who triggered the run" if started else who


def _figures(e: Evaluation) -> list[tuple[str, str]]:
    found = [("challenger", _shown(e.candidate, None))]
    return [*found, *((name, _shown(value, over)) for name, value, over in comparisons(e))]


def _shown(value: float | None, over: Estimate | None) -> str:
    figure = "not computed" if value is None else f"{value:.4f}"
    gain = "" if over is None else f"; gain over it {over.value:+.4f} ({over.lower:+.4f} to {over.upper:+.4f})"
    return figure + gain
