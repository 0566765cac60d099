"""Deploy: preflight, the insert into the champion history, then the registry's alias.

The ledger is the truth. The insert names the next sequence under a unique key, so that of two concurrent runs one
wins and the other is superseded; the alias follows, and is completed by whoever finds it missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from retraining.artifacts.preflight import preflight
from retraining.errors import DeployRefused
from retraining.pages.verdicts import card
from retraining.records import Champion, Deployment, Release, Verdict, short
from retraining.rollout.alias import sync_alias
from retraining.rollout.binding import bound_release, check_verdict
from retraining.rollout.proven import is_proven, load_same
from retraining.workspace import Workspace


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

    A promotion takes the word of the release's own preflight, minutes ago on this machine; an override never does.

    Raises
    ------
    DeployRefused
        When its preflight fails; that nobody can override.
    """
    evaluation = verdict.evaluation
    if kind == "override" or not is_proven(workspace, verdict.model, release.id):
        preflight(workspace.store, release.id)
    estimator = load_same(workspace, release.id).card.estimator
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
