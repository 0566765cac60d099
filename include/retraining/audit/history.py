"""A model's history: everything that happened in the order of as-of times, or what stood behind each version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from retraining.data.snapshots import read_manifest
from retraining.errors import Damaged
from retraining.ledger import Ledger
from retraining.records import Approval, Champion, Manifest, Override, Window, short, shown_day
from retraining.store import Store
from retraining.validation.quarantine import entries

_ORDER = ("quarantine", "decision", "request", "alert", "verdict", "answer", "champion")
"""What comes first at the same as-of time: the cause before what it caused."""


@dataclass(frozen=True)
class Event:
    """One thing that happened to a model; `id` is the start of the record's id, empty for an alert."""

    as_of: datetime
    event: str
    id: str
    text: str


@dataclass(frozen=True)
class VersionEntry:
    """One entry of the champion history: what the version was made of, who let it in, and how long it was champion.

    `until` and `replaced_at` are None for the champion. What the version was made of is None when it cannot be read
    from the store, and `problem` says why. `provenance` is where an adopted version came from.
    """

    model: str
    sequence: int
    version: int
    kind: str
    release_id: str
    snapshot_id: str | None
    window: Window | None
    n_rows: int | None
    n_labelled: int | None
    spec_id: str
    recipe_id: str
    estimator: str
    environment_id: str | None
    provenance: str | None
    verdict_id: str | None
    decision: str | None
    by: str
    reason: str
    as_of: datetime
    until: datetime | None
    made_champion_at: datetime
    replaced_at: datetime | None
    problem: str | None


def versions_of(ledger: Ledger, store: Store, model: str) -> list[VersionEntry]:
    """Return what stood behind each entry of a model's champion history, oldest first."""
    history = ledger.champions(model)
    return [_version(ledger, store, entry, after) for entry, after in zip(history, [*history[1:], None], strict=True)]


def events_of(ledger: Ledger, model: str, newest: int | None = None) -> list[Event]:
    """Return everything the ledger knows of a model, oldest as-of first.

    Parameters
    ----------
    newest
        Only so many of the newest events; of what happens daily no more are read.
    """
    found = sorted(_events(ledger, model, newest), key=lambda e: (e.as_of, _ORDER.index(e.event), e.text))
    return found if newest is None else found[-newest:]


def _events(ledger: Ledger, model: str, newest: int | None) -> Iterator[Event]:
    for q in entries(ledger, model):
        checks = "; ".join(sorted(q.checks))
        state = f"{q.state} {q.detail}".strip()
        yield Event(q.partition, "quarantine", "", f"{q.n_rows} of {q.n_partition:,} rows ({checks}): {state}")
    for d in ledger.decisions(model) if newest is None else ledger.newest_decisions_of(model, newest):
        held = f" ({'; '.join(d.would_change)})" if d.outcome == "held" else ""
        yield Event(d.as_of, "decision", short(d.id), f"{d.outcome}: {d.reason or '; '.join(d.reasons)}{held}")
    for r, served in ledger.requests(model):
        yield Event(
            r.as_of, "request", short(r.id), f"{r.reason} ({'served by ' + short(served) if served else 'open'})"
        )
    for a in ledger.alerts(model) if newest is None else ledger.newest_alerts_of(model, newest):
        yield Event(a.as_of, "alert", "", a.message)
    answers, overrides = ledger.approvals(model), ledger.overrides(model)
    for v in ledger.verdicts(model) if newest is None else ledger.newest_verdicts_of(model, newest):
        flag = " [dry run]" if v.dry_run else ""
        flag += f" [overridden by {overrides[v.id].by}]" if v.id in overrides else ""
        yield Event(v.evaluation.as_of, "verdict", short(v.id), f"{v.decision}{flag}: {v.reasons[-1]}")
        if v.id in answers:
            yield Event(v.evaluation.as_of, "answer", short(v.id), describe_answer(answers[v.id]))
    for c in ledger.champions(model):
        head = f"champion {c.sequence}: version {c.version}, {c.kind} by {c.by}, trained to {shown_day(c.cutoff)}"
        yield Event(c.as_of, "champion", short(c.release_id), f"{head}; {c.reason}")


def describe_answer(answer: Approval) -> str:
    """Say in a line who answered a promotion that waited, when, and why."""
    said = f"{'approved' if answer.approved else 'refused'} by {answer.by} on {answer.answered_at:%Y-%m-%d %H:%M}"
    return f"{said}: {answer.reason}" if answer.reason else said


def describe_override(made: Override) -> str:
    """Say in a line who promoted against the gate, when, and why."""
    account = "" if made.account == made.by else f" (login {made.account})"
    when = f"{made.created_at:%Y-%m-%d %H:%M}"
    return f"{made.decision} overridden by {made.by}{account} on {when}, champion {made.sequence}: {made.reason}"


def _version(ledger: Ledger, store: Store, entry: Champion, after: Champion | None) -> VersionEntry:
    from retraining.artifacts.stored import (  # imports scikit-learn, which the rest of history can spare
        ModelCard,
        read_card,
    )

    card: ModelCard | None = None
    data: Manifest | None = None
    problem = None
    try:
        card = read_card(store, entry.release_id)
        data = read_manifest(store, card.snapshot_id)
    except Damaged as error:
        problem = str(error)
    verdict = ledger.verdict(entry.verdict_id) if entry.verdict_id else None
    return VersionEntry(
        model=entry.model,
        sequence=entry.sequence,
        version=entry.version,
        kind=entry.kind,
        release_id=entry.release_id,
        snapshot_id=card.snapshot_id if card else None,
        window=data.window if data else None,
        n_rows=data.n_rows if data else None,
        n_labelled=data.n_labelled if data else None,
        spec_id=entry.spec_id,
        recipe_id=entry.recipe_id,
        estimator=entry.estimator,
        environment_id=card.environment_id if card else None,
        provenance=card.provenance if card else None,
        verdict_id=entry.verdict_id,
        decision=verdict.decision if verdict else None,
        by=entry.by,
        reason=entry.reason,
        as_of=entry.as_of,
        until=after.as_of if after else None,
        made_champion_at=entry.created_at,
        replaced_at=after.created_at if after else None,
        problem=problem,
    )
