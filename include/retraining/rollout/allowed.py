"""Allowed: who may answer, override and roll back. It is checked where it is done, whatever rights a scheduler gave.

Accounts are login names: what Airflow authenticated, or on the command line the name of the process's user id. The keys
`gate.approvers` and `gate.four_eyes` count as they were frozen when the run was admitted.
"""

from __future__ import annotations

from dataclasses import dataclass

from retraining.errors import RequestError
from retraining.records import Admission, Verdict, from_dict, short
from retraining.workspace import Workspace


@dataclass(frozen=True)
class Triggered:
    """Which accounts triggered the runs that a verdict came from; `unknown` when one is not recorded."""

    accounts: tuple[str, ...]
    unknown: bool


def require_named(account: str, what: str) -> str:
    """Return the account without the spaces around it.

    Raises
    ------
    RequestError
        When there is none.
    """
    if not account.strip():
        raise RequestError(
            f"{what} needs a named person, and nobody knows who this is. Use a login of Airflow, or the command line "
            "under an account of the operating system. Nothing was changed."
        )
    return account.strip()


def require_allowed(workspace: Workspace, verdict: Verdict, account: str, what: str) -> None:
    """Refuse an account that may not decide about a verdict: not an approver, or the one who triggered its run.

    Raises
    ------
    RequestError
        Then, with what to do.
    """
    account = require_named(account, what)
    gate = workspace.frozen(verdict.evaluation.spec_id).spec.gate
    about = f"verdict {short(verdict.id)}"
    if gate.approvers and account not in gate.approvers:
        raise RequestError(
            f"{verdict.model}: {account} is not among gate.approvers ({', '.join(gate.approvers)}) of {about}. "
            "Nothing was recorded; the champion stays. One of them can do it."
        )
    if gate.four_eyes and account in _known(triggered(workspace, verdict), verdict).accounts:
        raise RequestError(
            f"{verdict.model}: {account} triggered the run of {about}, and gate.four_eyes asks for a second person. "
            "Nothing was recorded; the champion stays. Somebody else can do it."
        )


def approvers_left(workspace: Workspace, verdict: Verdict) -> tuple[str, ...]:
    """Return which of `gate.approvers` may answer about a verdict; empty means anybody else than who triggered its run.

    Raises
    ------
    RequestError
        When nobody is left, or it is not known who triggered the run: no answer could count.
    """
    gate = workspace.frozen(verdict.evaluation.spec_id).spec.gate
    if not gate.four_eyes:
        return gate.approvers
    found = _known(triggered(workspace, verdict), verdict)
    left = tuple(name for name in gate.approvers if name not in found.accounts)
    if gate.approvers and not left:
        raise RequestError(
            f"{verdict.model}: every one of gate.approvers ({', '.join(gate.approvers)}) triggered the run of verdict "
            f"{short(verdict.id)}, and gate.four_eyes asks for a second person. Add one, and retrain as of a later "
            "time."
        )
    return left


def triggered(workspace: Workspace, verdict: Verdict) -> Triggered:
    """Return who triggered the runs that judged what a verdict is about: same model, spec and as-of time.

    The champion's own recipe, judged in place of a replacement, has a spec of its own: its run is that of the
    replacement.
    """
    e = verdict.evaluation
    replaced = None if e.instead_of is None else workspace.ledger.verdict(e.instead_of)
    spec_id = e.spec_id if replaced is None else replaced.evaluation.spec_id
    bodies = workspace.ledger.finished_all(verdict.model, "admission").values()
    runs = [from_dict(Admission, body) for body in bodies if body["spec_id"] == spec_id and not body["dry_run"]]
    runs = [run for run in runs if run.as_of == e.as_of]
    accounts = sorted({run.by for run in runs if run.by})
    return Triggered(tuple(accounts), not runs or any(run.trigger == "person" and not run.by for run in runs))


def _known(found: Triggered, verdict: Verdict) -> Triggered:
    if found.unknown:
        raise RequestError(
            f"{verdict.model}: who triggered the run of verdict {short(verdict.id)} is not recorded, and "
            "gate.four_eyes asks for somebody else. Nothing was recorded; the champion stays. Retrain as of a later "
            "time, by the schedule or after a login."
        )
    return found
