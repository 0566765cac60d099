"""A model's history as one list: decisions, requests, verdicts, champions and alerts, in the order of as-of times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from retraining.ledger import Ledger
from retraining.records import short

_ORDER = ("decision", "request", "alert", "verdict", "champion")
"""What comes first at the same as-of time: the cause before what it caused."""


@dataclass(frozen=True)
class Event:
    """One thing that happened to a model; `id` is the start of the record's id, empty for an alert."""

    as_of: datetime
    event: str
    id: str
    text: str


def events_of(ledger: Ledger, model: str) -> list[Event]:
    """Return everything the ledger knows of a model, oldest as-of first."""
    return sorted(_events(ledger, model), key=lambda e: (e.as_of, _ORDER.index(e.event), e.text))


def _events(ledger: Ledger, model: str) -> Iterator[Event]:
    for d in ledger.decisions(model):
        held = f" ({'; '.join(d.would_change)})" if d.outcome == "held" else ""
        yield Event(d.as_of, "decision", short(d.id), f"{d.outcome}: {d.reason or '; '.join(d.reasons)}{held}")
    for r, served in ledger.requests(model):
        yield Event(
            r.as_of, "request", short(r.id), f"{r.reason} ({'served by ' + short(served) if served else 'open'})"
        )
    for a in ledger.alerts(model):
        yield Event(a.as_of, "alert", "", a.message)
    for v in ledger.verdicts(model):
        flag = " [dry run]" if v.dry_run else ""
        yield Event(v.evaluation.as_of, "verdict", short(v.id), f"{v.decision}{flag}: {v.reasons[-1]}")
    for c in ledger.champions(model):
        head = f"champion {c.sequence}: version {c.version}, {c.kind} by {c.by}, trained to {c.cutoff:%Y-%m-%d}"
        yield Event(c.as_of, "champion", short(c.release_id), f"{head}; {c.reason}")
