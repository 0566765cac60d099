"""A model's history: everything that happened in the order of as-of times, or what stood behind each version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from retraining.errors import Damaged
from retraining.ledger import Ledger
from retraining.records import (
    Alert,
    Approval,
    Champion,
    Closing,
    Manifest,
    Override,
    Probation,
    Window,
    from_dict,
    short,
    shown_day,
)
from retraining.rollout.waiting import Waiting
from retraining.store import Store
from retraining.validation.quarantine import entries

_ORDER = ("quarantine", "probation", "decision", "request", "alert", "verdict", "answer", "champion", "waiting")
"""What comes first at the same as-of time where it is not known what was written first: the cause."""


@dataclass(frozen=True)
class Event:
    """One thing that happened to a model; `id` is the start of the record's id, empty for an alert.

    `recorded_at` is when it was written down, where that is known.
    """

    as_of: datetime
    event: str
    id: str
    text: str
    recorded_at: datetime | None = None


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


def events_of(ledger: Ledger, model: str, waiting: Sequence[Waiting] = (), *, newest: int | None = None) -> list[Event]:
    """Return everything the ledger knows of a model, oldest as-of first; at one as-of time what was written first.

    Parameters
    ----------
    waiting
        The promotions that wait, which are no event yet.
    newest
        Only so many of the newest events; of what happens daily no more are read.
    """
    written = ledger.recording_times(model, newest)
    events = [*_watched(ledger, model, written, newest), *_judged(ledger, model, written, newest)]
    events += [Event(w.as_of, "waiting", short(w.verdict_id), f"waits {w.what}. {w.how}") for w in waiting]
    events.sort(key=lambda e: (e.as_of, _ORDER.index(e.event)))
    found = [event for _, same in groupby(events, key=lambda e: e.as_of) for event in _as_written(list(same))]
    return found if newest is None else found[-newest:]


def _as_written(events: list[Event]) -> list[Event]:
    """Return the events of one as-of time as they were written down; one whose time is not known stays in its place."""
    moments: list[datetime | None] = []
    for event in events:
        moments.append(event.recorded_at or (moments[-1] if moments else None))
    unknown = datetime.min.replace(tzinfo=UTC)
    pairs = sorted(zip(moments, events, strict=True), key=lambda pair: pair[0] or unknown)
    return [event for _, event in pairs]


def _watched(ledger: Ledger, model: str, written: Mapping[str, datetime], newest: int | None) -> Iterator[Event]:
    for q in entries(ledger, model):
        checks = "; ".join(sorted(q.checks))
        state = f"{q.state} {q.detail}".strip()
        yield Event(q.partition, "quarantine", "", f"{q.n_rows} of {q.n_partition:,} rows ({checks}): {state}")
    for d in ledger.decisions(model) if newest is None else ledger.newest_decisions_of(model, newest):
        held = f" ({'; '.join(d.would_change)})" if d.outcome == "held" else ""
        text = f"{d.outcome}: {d.reason or '; '.join(d.reasons)}{held}"
        yield Event(d.as_of, "decision", short(d.id), text, written.get(d.id))
    closings = ledger.closings(model)
    for r, served in ledger.requests(model):
        text = f"{r.reason} ({describe_request(served, closings.get(r.id))})"
        yield Event(r.as_of, "request", short(r.id), text, written.get(r.id))
    for told in ledger.incidents(model) if newest is None else ledger.newest_incidents_of(model, newest):
        yield Event(told[0].as_of, "alert", "", describe_alert(told))


def _judged(ledger: Ledger, model: str, written: Mapping[str, datetime], newest: int | None) -> Iterator[Event]:
    answers, overrides = ledger.approvals(model), ledger.overrides(model)
    for v in ledger.verdicts(model) if newest is None else ledger.newest_verdicts_of(model, newest):
        as_of, flag = v.evaluation.as_of, " [dry run]" if v.dry_run else ""
        flag += f" [overridden by {overrides[v.id].by}]" if v.id in overrides else ""
        yield Event(as_of, "verdict", short(v.id), f"{v.decision}{flag}: {v.reasons[-1]}", written.get(v.id))
        if v.id in answers:
            answer = answers[v.id]
            yield Event(as_of, "answer", short(v.id), describe_answer(answer), answer.answered_at)
    for p in _looks(ledger, model, newest):
        yield Event(p.as_of, "probation", short(p.release_id), p.sentence)
    for c in ledger.champions(model):
        head = f"champion {c.sequence}: version {c.version}, {c.kind} by {c.by}, trained to {shown_day(c.cutoff)}"
        yield Event(c.as_of, "champion", short(c.release_id), f"{head}; {c.reason}", c.created_at)


def _looks(ledger: Ledger, model: str, newest: int | None) -> Iterator[Probation]:
    if newest is None:
        yield from ledger.recorded(Probation, model, "probation").values()
    else:
        yield from (from_dict(Probation, body) for body in ledger.newest_results(model, "probation", newest))


def describe_probation(ledger: Ledger, verdict_id: str) -> str | None:
    """Say in a line what the newest look came to at the release that a verdict let in; None where there was none."""
    verdict = ledger.verdict(verdict_id)
    release = ledger.release_of(verdict_id)
    if verdict is None or release is None:
        return None
    looks = [p for p in _looks(ledger, verdict.model, None) if p.release_id == release.id]
    return f"probation, as of {looks[-1].as_of:%Y-%m-%d %H:%M}: {looks[-1].sentence}" if looks else None


def describe_answer(answer: Approval) -> str:
    """Say in a line who answered a promotion that waited, when, and why."""
    said = f"{'approved' if answer.approved else 'refused'} by {answer.by} on {answer.answered_at:%Y-%m-%d %H:%M}"
    return f"{said}: {answer.reason}" if answer.reason else said


def describe_request(served: str | None, closing: Closing | None) -> str:
    """Say in a line what became of a request for a retraining."""
    if served is not None:
        return f"served by {short(served)}"
    if closing is None:
        return "open"
    account = "" if closing.account in ("", closing.by) else f" (login {closing.account})"
    return f"closed by {closing.by}{account} on {closing.closed_at:%Y-%m-%d %H:%M}: {closing.reason}"


def describe_alert(told: Sequence[Alert]) -> str:
    """Say in a line what an alert is about now, and since when it is told."""
    newest = told[-1]
    again = f" (told {len(told)} times, last as of {newest.as_of:%Y-%m-%d %H:%M})" if len(told) > 1 else ""
    return f"{newest.message}{again}"


def describe_override(made: Override) -> str:
    """Say in a line who promoted against the gate, when, and why."""
    account = "" if made.account == made.by else f" (login {made.account})"
    when = f"{made.created_at:%Y-%m-%d %H:%M}"
    return f"{made.decision} overridden by {made.by}{account} on {when}, champion {made.sequence}: {made.reason}"


def _version(ledger: Ledger, store: Store, entry: Champion, after: Champion | None) -> VersionEntry:
    from retraining.artifacts.stored import ModelCard, read_card  # what learns and reads rows, here alone
    from retraining.data.snapshots import read_manifest

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
