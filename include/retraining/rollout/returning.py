"""Returning: a release that was shown to be worse gives way to the one before it; people are told, or asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from retraining.artifacts.preflight import preflight
from retraining.errors import DeployRefused
from retraining.gate.probation import why_not_returned
from retraining.gate.rivals import fallback
from retraining.records import Alert, Champion, Probation, Window
from retraining.rollout.alias import sync_alias
from retraining.rollout.rollback import next_entry
from retraining.spec import Spec
from retraining.workspace import Workspace

_SHOWN_WINDOWS = 10
"""Published windows that an alert names: a day's model has fewer in a probation; the ledger has all."""
_EVER = datetime(9000, 1, 1, tzinfo=UTC)
"""Where a run is about a time in the past, the release may have published later windows as well."""


def take_back(workspace: Workspace, look: Probation) -> Champion | None:
    """Make the newest other release that stands the champion again, and tell people; None where that was not possible.

    Every step is completed by whoever comes next: the entry of the history, the alias, the alert.
    """
    model = look.model
    history = workspace.ledger.champions(model)
    now, target = history[-1], fallback(history)
    if now.sequence == look.sequence and target is not None:
        try:
            preflight(workspace.store, target.release_id)
        except DeployRefused as error:
            text = f"{_cause(look)} It could not be taken back: {error} Choose another one: `rollback {model} --to N`."
            workspace.ledger.add_alert(_alert(look, "probation", text))
            return None
        reason = f"return to {target.sequence}: {look.sentence}"
        entry = next_entry(now, target, "return", "probation", reason, look.as_of)
        now = entry if workspace.ledger.move_champion(entry) else workspace.ledger.champions(model)[-1]
    if now.kind != "return" or now.sequence != look.sequence + 1:
        return None  # another run, or a person, was first
    if not workspace.ledger.alias_was_set(model, now.sequence):
        sync_alias(workspace, model, look.as_of)
    workspace.ledger.add_alert(_alert(look, "taken back", _told(workspace, look, now)))
    return now


def _told(workspace: Workspace, look: Probation, now: Champion) -> str:
    """Say what happened, what the release published meanwhile, and what to do."""
    since = Window(look.window.start, _EVER)
    published = [p.window for p in workspace.ledger.predictions(look.model, since) if p.release_id == look.release_id]
    more = f" and {len(published) - _SHOWN_WINDOWS} more" if len(published) > _SHOWN_WINDOWS else ""
    windows = ", ".join(f"{w.start:%Y-%m-%dT%H:%M}" for w in published[:_SHOWN_WINDOWS]) + more
    sets = (
        f"It published the windows that start at {windows} (UTC). A published prediction stays: to score them anew, "
        f"score their rows with version {now.version} from MLflow, and tell whoever read them."
        if published
        else "It had published nothing."
    )
    return (
        f"{_cause(look)} Done automatically: version {now.version} is the champion again, as entry {now.sequence}; the "
        f"release needs a new verdict to come back. {sets} Cooldowns start anew."
    )


def question(look: Probation, history: Sequence[Champion], spec: Spec) -> Alert:
    """Return what a person is asked, or told, where nothing happens by itself."""
    if look.outcome != "worse":
        text = f"{_cause(look)} The champion stays. `history {look.model}` shows its probation."
        return _alert(look, "probation", text)
    why = why_not_returned(history, spec) or "it was judged when nothing was taken back by itself"
    text = (
        f"{_cause(look)} Nothing was changed, because {why}. To take it back: "
        f"`python -m retraining rollback {look.model} --to {look.against} --reason TEXT`."
    )
    return _alert(look, "probation", text)


def _cause(look: Probation) -> str:
    return f"{look.model}: {look.sentence.removesuffix('.')}."


def _alert(look: Probation, kind: str, text: str) -> Alert:
    return Alert(look.model, kind, look.as_of, text, f"champion {look.sequence}")
