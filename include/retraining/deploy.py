"""Deploy: preflight, the insert into the champion history, then the registry's alias.

The ledger is the truth. The insert names the next sequence under a unique key, so that of two concurrent runs one
wins and the other is superseded; the alias follows, and is completed by whoever finds it missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

from retraining import artifacts
from retraining.binding import bound_release, check_verdict
from retraining.errors import DeployRefused, RequestError
from retraining.preflight import preflight
from retraining.records import Alert, Champion, Deployment, Release, Verdict, short
from retraining.verdicts import card
from retraining.workspace import Workspace

_CLOCKS_DIFFER = timedelta(hours=1)
"""How much later than this machine's clock an as-of time may be."""


def deploy(workspace: Workspace, verdict: Verdict, release_id: str, *, wait_for_approval: bool, by: str) -> Deployment:
    """Make a released recipe the champion; doing so twice has no second effect.

    Raises
    ------
    DeployRefused
        When there is no promote verdict bound to this very release, or its preflight fails.
    """
    release = _promotable(workspace, verdict, release_id)
    done = workspace.ledger.outcome(verdict.id)
    if done is not None:
        if done.outcome == "deployed":
            sync_alias(workspace, verdict.model, verdict.evaluation.as_of)
            card.keep(workspace, verdict)
        return done
    if release.blocking:
        why = "; ".join(item.sentence for item in release.blocking)
        return _ended(
            workspace, verdict, "refused", f"release {short(release.id)} was refused: {why}. The champion stays"
        )
    if wait_for_approval:
        answer = workspace.ledger.approval(verdict.id)
        if answer is None:
            return Deployment(verdict.model, "waiting", None, None, f"verdict {short(verdict.id)} waits for a person")
        approved, by = answer
        if not approved:
            return _ended(workspace, verdict, "refused", f"the answer was no, by {by}; the champion stays")
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
    if as_of > datetime.now(UTC) + _CLOCKS_DIFFER:  # no later run could ever promote again
        raise RequestError(f"{model}: {as_of:%Y-%m-%d %H:%M} UTC has not come yet. Leave out the as-of time.")
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


def _promotable(workspace: Workspace, verdict: Verdict, release_id: str) -> Release:
    check_verdict(workspace, verdict)
    if verdict.decision != "promote" or verdict.dry_run:
        what = "a dry run" if verdict.dry_run else verdict.decision
        raise DeployRefused(
            f"{verdict.model}: verdict {short(verdict.id)} is {what}, not a promotion. The champion stays."
        )
    return bound_release(workspace, verdict, release_id)


def is_current(workspace: Workspace, verdict: Verdict) -> bool:
    """Tell whether the champion is still the one a verdict compared with."""
    now = workspace.ledger.champion(verdict.model)
    return (now.sequence if now else None) == verdict.evaluation.champion_sequence


def _move(workspace: Workspace, verdict: Verdict, release: Release, by: str) -> Deployment:
    if not is_current(workspace, verdict):
        return _superseded(workspace, verdict)
    champion = next_champion(workspace, verdict, release, "promotion", by, verdict.reasons[-1], {})
    before = verdict.evaluation.champion_sequence
    detail = f"version {champion.version} is champion {champion.sequence}" + (f", replaces {before}" if before else "")
    deployment = Deployment(verdict.model, "deployed", champion.sequence, champion.version, detail)
    if not workspace.ledger.move_champion(champion, deployment):
        return workspace.ledger.outcome(verdict.id) or _superseded(workspace, verdict)
    sync_alias(workspace, verdict.model, verdict.evaluation.as_of)
    card.keep(workspace, verdict)
    return deployment


def next_champion(
    workspace: Workspace,
    verdict: Verdict,
    release: Release,
    kind: Literal["promotion", "override"],
    by: str,
    reason: str,
    tags: Mapping[str, str],
) -> Champion:
    """Load a release in a fresh process, make it a model version, and return the entry that would make it champion.

    Raises
    ------
    DeployRefused
        When its preflight fails; that nobody can override.
    """
    evaluation = verdict.evaluation
    preflight(workspace.store, release.id)
    estimator = artifacts.load(workspace.store, release.id).card.estimator
    return Champion(
        model=verdict.model,
        sequence=(evaluation.champion_sequence or 0) + 1,
        kind=kind,
        release_id=release.id,
        verdict_id=verdict.id,
        spec_id=evaluation.spec_id,
        recipe_id=evaluation.recipe_id,
        estimator=estimator,
        version=_register(workspace, verdict, release, tags),
        as_of=evaluation.as_of,
        cutoff=release.cutoff,
        by=by,
        reason=reason,
        created_at=datetime.now(UTC),  # when it happened, for the record; no decision reads it
    )


def _register(workspace: Workspace, verdict: Verdict, release: Release, more: Mapping[str, str]) -> int:
    tags = {
        "verdict": verdict.id,
        "spec": verdict.evaluation.spec_id,
        "recipe": verdict.evaluation.recipe_id,
        "snapshot": release.snapshot_id,
        "as_of": verdict.evaluation.as_of.isoformat(),
        **more,
    }
    uri = workspace.registry.model_uri(release.run_id)
    return workspace.registry.register(verdict.model, release.id, release.run_id, uri, tags)


def _superseded(workspace: Workspace, verdict: Verdict) -> Deployment:
    detail = "another run replaced the champion that this verdict was judged against"
    return _ended(workspace, verdict, "superseded", detail)


def _ended(workspace: Workspace, verdict: Verdict, outcome: Literal["superseded", "refused"], why: str) -> Deployment:
    deployment = Deployment(verdict.model, outcome, None, None, why)
    workspace.ledger.add_outcome(verdict.id, deployment)
    return workspace.ledger.outcome(verdict.id) or deployment


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
