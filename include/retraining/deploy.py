"""Deploy: preflight, the insert into the champion history, then the registry's alias.

The ledger is the truth. The insert names the next sequence under a unique key, so that of two concurrent runs one
wins and the other is superseded; the alias follows, and is completed by whoever finds it missing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from retraining import artifacts
from retraining.errors import DeployRefused, RequestError
from retraining.gate import verdict_id
from retraining.preflight import preflight
from retraining.records import Alert, Champion, Deployment, Release, Verdict, short
from retraining.verdicts import card
from retraining.workspace import Workspace


def deploy(workspace: Workspace, verdict: Verdict, release_id: str, *, wait_for_approval: bool, by: str) -> Deployment:
    """Make a released recipe the champion; doing so twice has no second effect.

    Raises
    ------
    DeployRefused
        When there is no promote verdict bound to this very release, or its preflight fails.
    """
    release = _check_binding(workspace, verdict, release_id)
    done = workspace.ledger.outcome(verdict.id)
    if done is not None:
        if done.outcome == "deployed":
            sync_alias(workspace, verdict.model, verdict.evaluation.as_of)
            card.keep(workspace, verdict)
        return done
    if release.blocking:
        return _refused(workspace, verdict, release)
    if wait_for_approval:
        answer = workspace.ledger.approval(verdict.id)
        if answer is None:
            return Deployment(verdict.model, "waiting", None, None, f"verdict {short(verdict.id)} waits for a person")
        if not answer[0]:
            raise DeployRefused(
                f"{verdict.model}: {answer[1]} refused verdict {short(verdict.id)}. The champion stays."
            )
        by = answer[1]
    return _move(workspace, verdict, release, by)


def rollback(workspace: Workspace, model: str, sequence: int | None, by: str, reason: str, as_of: datetime) -> Champion:
    """Make an earlier entry of the history the champion again; it is a new entry, so the history stays whole.

    Parameters
    ----------
    sequence
        The entry to go back to; None means the one before the champion.

    Raises
    ------
    RequestError
        When there is nothing to go back to.
    DeployRefused
        When the earlier release fails its preflight.
    """
    target = rollback_target(workspace, model, sequence)
    now = workspace.ledger.champions(model)[-1]
    if target.release_id == now.release_id:
        return now
    preflight(workspace.store, target.release_id)
    entry = _next(now, target, "rollback", by, f"rollback to {target.sequence}: {reason}", as_of)
    if not workspace.ledger.move_champion(entry):
        raise RequestError(f"{model}: the champion moved while rolling back. Look at the history and try again.")
    sync_alias(workspace, model, as_of)
    return entry


def rollback_target(workspace: Workspace, model: str, sequence: int | None) -> Champion:
    """Return the entry of the history that a rollback goes to.

    Raises
    ------
    RequestError
        When there is none.
    """
    history = workspace.ledger.champions(model)
    if not history:
        raise RequestError(f"{model}: has no champion, so there is nothing to roll back.")
    return _target(history, sequence)


def sync_alias(workspace: Workspace, model: str, as_of: datetime) -> Alert | None:
    """Make the registry's alias follow the ledger; one that somebody moved by hand stays, and an alert is raised."""
    champion = workspace.ledger.champion(model)
    if champion is None:
        return None
    found = workspace.registry.alias(model)
    if found == champion.version:
        workspace.ledger.add_alias(model, champion.sequence, champion.version)
        return None
    ours = not workspace.ledger.alias_was_set(model, champion.sequence) and found in _expected(workspace, champion)
    if ours and workspace.registry.version_exists(model, champion.version):
        workspace.registry.set_alias(model, champion.version)
        workspace.ledger.add_alias(model, champion.sequence, champion.version)
        return None
    alert = Alert(model, "alias moved", as_of, _alias_problem(workspace, champion, found))
    workspace.ledger.add_alert(alert)
    return alert


def _alias_problem(workspace: Workspace, champion: Champion, found: int | None) -> str:
    model, version = champion.model, champion.version
    if not workspace.registry.version_exists(model, version):
        return (
            f"{model}: version {version}, the ledger's champion, was deleted in MLflow. Nothing was changed: scoring "
            "and rollback read the release; the next promotion sets the alias again."
        )
    adopt = "" if found is None else f", `registry adopt {model}` makes version {found} the champion"
    return (
        f"{model}: the alias champion in MLflow names {f'version {found}' if found else 'no version'}, the ledger says "
        f"version {version}. Nothing was changed. Settle it: `registry restore {model}` puts the ledger's version "
        f"back{adopt}."
    )


def _expected(workspace: Workspace, champion: Champion) -> set[int | None]:
    """The values the alias may have when this entry's alias was never set: none, or the entry before."""
    before = workspace.ledger.champion(champion.model, champion.sequence - 1) if champion.sequence > 1 else None
    return {None, before.version if before else None}


def restore_alias(workspace: Workspace, model: str) -> Champion:
    """Point the alias at the ledger's champion, whatever it names now.

    Raises
    ------
    RequestError
        When there is no champion, or its version was deleted in MLflow.
    """
    champion = workspace.ledger.champion(model)
    if champion is None:
        raise RequestError(f"{model}: has no champion to restore.")
    if not workspace.registry.version_exists(model, champion.version):
        raise RequestError(
            f"{model}: version {champion.version} was deleted in MLflow. Scoring and rollback do not need it; "
            "the next promotion sets the alias again."
        )
    workspace.registry.set_alias(model, champion.version)
    workspace.ledger.add_alias(model, champion.sequence, champion.version)
    return champion


def adopt_alias(workspace: Workspace, model: str, by: str, as_of: datetime) -> Champion:
    """Make the version that the alias names the champion, if it was one of our releases.

    Raises
    ------
    RequestError
        When the alias is missing or names a version that never was a champion.
    """
    found = workspace.registry.alias(model)
    history = workspace.ledger.champions(model)
    known = [c for c in history if c.version == found]
    if not known:
        raise RequestError(
            f"{model}: version {found} was never a champion here, so no verdict stands behind it. "
            f"Use `registry restore {model}`, or let it compete as a candidate."
        )
    if history[-1].version == found:
        return history[-1]
    return rollback(workspace, model, known[-1].sequence, by, "adopted from the registry's alias", as_of)


def _check_binding(workspace: Workspace, verdict: Verdict, release_id: str) -> Release:
    model = verdict.model
    known = workspace.ledger.verdict(verdict.id)
    if known is None:
        raise DeployRefused(f"{model}: there is no verdict {short(verdict.id)} in the ledger. The champion stays.")
    if known.decision != "promote" or known.dry_run:
        what = "a dry run" if known.dry_run else known.decision
        raise DeployRefused(f"{model}: verdict {short(known.id)} is {what}, not a promotion. The champion stays.")
    if known != verdict or known.id != verdict_id(known.evaluation, known.decision, dry_run=known.dry_run):
        raise DeployRefused(f"{model}: verdict {short(known.id)} is not what the gate recorded. The champion stays.")
    bound = workspace.ledger.release_of(known.id)
    if bound is None or bound.id != release_id:
        raise DeployRefused(
            f"{model}: release {short(release_id)} is not the one verdict {short(known.id)} is bound to "
            f"({short(bound.id) if bound else 'none'}). The champion stays."
        )
    return bound


def _move(workspace: Workspace, verdict: Verdict, release: Release, by: str) -> Deployment:
    model, evaluation = verdict.model, verdict.evaluation
    now = workspace.ledger.champion(model)
    if (now.sequence if now else None) != evaluation.champion_sequence:
        return _superseded(workspace, verdict)
    preflight(workspace.store, release.id)
    estimator = artifacts.load(workspace.store, release.id).card.estimator
    version = _register(workspace, verdict, release)
    sequence = now.sequence + 1 if now else 1
    champion = Champion(
        model=model,
        sequence=sequence,
        kind="promotion",
        release_id=release.id,
        verdict_id=verdict.id,
        spec_id=evaluation.spec_id,
        recipe_id=evaluation.recipe_id,
        estimator=estimator,
        version=version,
        as_of=evaluation.as_of,
        cutoff=release.cutoff,
        by=by,
        reason=verdict.reasons[-1],
        created_at=datetime.now(UTC),  # when it happened, for the record; no decision reads it
    )
    detail = f"version {version} is champion {sequence}" + (f", replaces {now.sequence}" if now else "")
    deployment = Deployment(model, "deployed", sequence, version, detail)
    if not workspace.ledger.move_champion(champion, deployment):
        return workspace.ledger.outcome(verdict.id) or _superseded(workspace, verdict)
    sync_alias(workspace, model, evaluation.as_of)
    card.keep(workspace, verdict)
    return deployment


def _register(workspace: Workspace, verdict: Verdict, release: Release) -> int:
    tags = {
        "verdict": verdict.id,
        "spec": verdict.evaluation.spec_id,
        "recipe": verdict.evaluation.recipe_id,
        "snapshot": release.snapshot_id,
        "as_of": verdict.evaluation.as_of.isoformat(),
    }
    uri = workspace.registry.model_uri(release.run_id)
    return workspace.registry.register(verdict.model, release.id, release.run_id, uri, tags)


def _refused(workspace: Workspace, verdict: Verdict, release: Release) -> Deployment:
    why = "; ".join(item.sentence for item in release.blocking)
    detail = f"release {short(release.id)} was refused: {why}. The champion stays"
    deployment = Deployment(verdict.model, "refused", None, None, detail)
    workspace.ledger.add_outcome(verdict.id, deployment)
    return deployment


def _superseded(workspace: Workspace, verdict: Verdict) -> Deployment:
    detail = "another run replaced the champion that this verdict was judged against"
    deployment = Deployment(verdict.model, "superseded", None, None, detail)
    workspace.ledger.add_outcome(verdict.id, deployment)
    return deployment


def _target(history: list[Champion], sequence: int | None) -> Champion:
    if sequence is None:
        earlier = [c for c in history if c.release_id != history[-1].release_id]
        if not earlier:
            raise RequestError(f"{history[-1].model}: the champion is the first one; there is nothing to go back to.")
        return earlier[-1]
    found = [c for c in history if c.sequence == sequence]
    if not found:
        raise RequestError(f"{history[-1].model}: there is no entry {sequence}; it has 1 to {history[-1].sequence}.")
    return found[0]


def _next(
    now: Champion, target: Champion, kind: Literal["rollback", "adoption"], by: str, reason: str, as_of: datetime
) -> Champion:
    return Champion(
        model=now.model,
        sequence=now.sequence + 1,
        kind=kind,
        release_id=target.release_id,
        verdict_id=target.verdict_id,
        spec_id=target.spec_id,
        recipe_id=target.recipe_id,
        estimator=target.estimator,
        version=target.version,
        as_of=max(now.as_of, as_of),
        cutoff=target.cutoff,
        by=by,
        reason=reason,
        created_at=datetime.now(UTC),  # when it happened, for the record; no decision reads it
    )
