"""Rollback: an earlier entry of the history becomes the champion again, as a new entry.

Every entry was champion before, so a rollback asks for no approver: whoever is awake may do it, under their name.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from retraining.artifacts.preflight import preflight
from retraining.errors import RequestError, given_reason
from retraining.gate.rivals import barred
from retraining.records import Champion
from retraining.rollout.alias import sync_alias
from retraining.rollout.allowed import require_named
from retraining.windows import refuse_future
from retraining.workspace import Workspace


def rollback(workspace: Workspace, model: str, sequence: int | None, by: str, reason: str, as_of: datetime) -> Champion:
    """Make an earlier entry of the history the champion again; it is a new entry, so the history stays whole.

    Parameters
    ----------
    sequence
        The entry to go back to; None means the one before the champion, but for what probation took back.
    by
        The account of who does it: Airflow's user, or the operating system's.

    Raises
    ------
    RequestError
        When there is nothing to go back to, nobody is named, probation took the entry back, or the reason is empty or
        too short.
    DeployRefused
        When the earlier release fails its preflight.
    """
    by, reason = require_named(by, "a rollback"), given_reason(reason, "a rollback")
    refuse_future(model, as_of, datetime.now(UTC))  # no later run could ever promote again
    target = rollback_target(workspace, model, sequence)
    now = workspace.ledger.champions(model)[-1]
    if target.release_id == now.release_id:
        return now
    preflight(workspace.store, target.release_id)
    entry = next_entry(now, target, "rollback", by, f"rollback to {target.sequence}: {reason}", as_of)
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


def _target(history: list[Champion], sequence: int | None) -> Champion:
    model, out = history[-1].model, barred(history)
    if sequence is None:
        others = [c for c in history if c.release_id != history[-1].release_id]
        earlier = [c for c in others if c.release_id not in out]
        if not earlier:
            why = "probation took back every other release" if others else "the champion is the first one"
            raise RequestError(f"{model}: {why}; there is nothing to go back to.")
        return earlier[-1]
    found = [c for c in history if c.sequence == sequence]
    if not found:
        raise RequestError(f"{model}: there is no entry {sequence}; it has 1 to {history[-1].sequence}.")
    if found[0].release_id in out:
        raise RequestError(
            f"{model}: entry {sequence} was shown to be worse and taken back by probation; `history {model}` has the "
            f"figures. It needs a new verdict: `python -m retraining run {model} --as-of TIME`."
        )
    return found[0]


def next_entry(
    now: Champion, target: Champion, kind: Literal["rollback", "return"], by: str, reason: str, as_of: datetime
) -> Champion:
    """Return the entry that makes an earlier one of the history the champion again."""
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
