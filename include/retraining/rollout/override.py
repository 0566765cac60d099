"""Override: the single way to promote against the gate, by a named person with a reason; it shows for ever."""

from __future__ import annotations

from retraining.data import snapshots
from retraining.errors import DeployRefused, RequestError, given_reason
from retraining.evaluation.finalist import candidate_of
from retraining.pages.verdicts import card
from retraining.records import Champion, Override, Release, Verdict, short
from retraining.rollout.alias import sync_alias
from retraining.rollout.allowed import require_allowed
from retraining.rollout.binding import bound_release, check_verdict
from retraining.rollout.champion import is_current, next_champion
from retraining.rollout.waiting import waits_for
from retraining.workspace import Workspace


def override(workspace: Workspace, verdict_id: str, *, by: str, account: str, reason: str) -> Champion:
    """Promote the recipe of a verdict that the gate did not promote; doing so twice has no second effect.

    Parameters
    ----------
    by
        The person who answers for it.
    account
        The login under which the name was given: Airflow's user, or the operating system's. It is what
        `gate.approvers` and `gate.four_eyes` are about.

    Raises
    ------
    RequestError
        When the name or the reason is missing, the account may not, or the verdict is not one that can be overridden.
    DeployRefused
        When the verdict was altered, or the release fails its preflight: integrity is not a matter of opinion.
    """
    by, reason = by.strip(), given_reason(reason, "an override")
    if not by:
        raise RequestError("an override needs the name of who answers for it, which is kept for ever: --by.")
    verdict = workspace.ledger.verdict(verdict_id)
    if verdict is None:
        raise RequestError(f"there is no verdict {verdict_id}. `history MODEL` lists the ids.")
    require_allowed(workspace, verdict, account, "an override")
    done = workspace.ledger.overrides(verdict.model).get(verdict.id)
    if done is not None:
        return _again(workspace, done)
    check_verdict(workspace, verdict)
    problem = _why_not(workspace, verdict)
    if problem:
        raise RequestError(f"{verdict.model}: verdict {short(verdict.id)} {problem}. The champion stays.")
    release = bound_release(workspace, verdict, _release(workspace, verdict).id)
    tags = {"override_by": by, "override_reason": reason, "override_of": verdict.decision}
    champion = next_champion(workspace, verdict, release, "override", by, reason, tags)
    made = Override(
        verdict.model,
        verdict.id,
        verdict.decision,
        release.id,
        champion.sequence,
        by,
        account,
        reason,
        champion.created_at,
    )
    if not workspace.ledger.move_champion(champion, override=made):
        raise DeployRefused(f"{verdict.model}: another run moved the champion meanwhile. It stays.")
    sync_alias(workspace, verdict.model, verdict.evaluation.as_of)
    card.keep(workspace, verdict)
    return champion


def _again(workspace: Workspace, done: Override) -> Champion:
    """Return what an override came to, and complete its alias if it was killed before that."""
    champion = workspace.ledger.champion(done.model, done.sequence)
    live = workspace.ledger.champion(done.model)
    if champion is None or live is None:
        raise DeployRefused(f"{done.model}: the champion of override {short(done.verdict_id)} is not in the ledger.")
    if champion == live:
        sync_alias(workspace, done.model, champion.as_of)
    verdict = workspace.ledger.verdict(done.verdict_id)
    if verdict is not None:
        card.keep(workspace, verdict)
    return champion


def _why_not(workspace: Workspace, verdict: Verdict) -> str | None:
    """Say why a verdict cannot be overridden, None when it can."""
    ledger, e = workspace.ledger, verdict.evaluation
    if verdict.dry_run:
        return "is a dry run: run it again without, then override that verdict"
    if verdict.decision in ("superseded", "nothing_new"):
        return f"is {verdict.decision}: there is nothing to override"
    if verdict.decision == "promote":
        answer, outcome = ledger.approval(verdict.id), ledger.outcome(verdict.id)
        if answer is not None and not answer[0]:
            return f"was answered no, by {answer[1]}: an override is against the gate, not against a person. Retrain"
        if outcome is None or outcome.outcome != "refused":
            waits = waits_for(workspace, verdict)
            more = f". It waits {waits.what}. {waits.how.rstrip('.')}" if waits else ""
            return f"is a promotion{f' ({outcome.outcome})' if outcome else ''}: it needs no override{more}"
    if not e.n_rows:
        return "had an empty holdout: nothing was measured that could be overridden"
    if not is_current(workspace, verdict):
        return "was judged against an earlier champion: retrain, and override that verdict"
    return None


def _release(workspace: Workspace, verdict: Verdict) -> Release:
    """Make the release of a verdict's recipe, or return it when it was made before."""
    from retraining.rollout.release import release  # imports scikit-learn, which takes seconds

    e, trained = verdict.evaluation, candidate_of(workspace.ledger, verdict)
    if trained is None:
        raise RequestError(
            f"{verdict.model}: what verdict {short(verdict.id)} was trained on is not in the ledger. Retrain."
        )
    holdout, refit = (snapshots.read_manifest(workspace.store, key) for key in (e.holdout_id, e.refit_id))
    frozen = workspace.frozen(e.spec_id)
    return release(workspace, frozen, trained, verdict, holdout, refit, against_gate=True)
