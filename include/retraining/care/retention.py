"""Retention: mark what is needed, sweep the rest.

The plan is pure data, made from the ledger and one listing of the store; sweeping can be killed at any point and done
again. Readings are marked before their chunks go, so that the next run reads the source instead of finding a gap.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from retraining.care import items, needs
from retraining.care.marking import Marks, mark, readings_that_lead_to
from retraining.care.needs import Policy
from retraining.data.readings import in_force
from retraining.data.snapshots import snapshot_key
from retraining.evaluation.finalist import FINALISTS, FLIPS
from retraining.ledger import Ledger
from retraining.ledger.work import EVERY_MODEL
from retraining.pages.verdicts.page import VERDICTS
from retraining.records import Manifest, digest_of
from retraining.store import Entry
from retraining.windows import parse_time, refuse_future
from retraining.workspace import Workspace

YOUNG = timedelta(days=1)
"""Objects younger than this by the store's clock stay: a run that is under way may be about to name them."""
_ORDER = ("reports/", "quarantine/", "predictions/", "snapshots/", "releases/", "candidates/", "specs/", "chunks/")
"""What names goes before what is named, so that a sweep that is killed leaves nothing that leads to a gap."""
_MONITOR_REPORT = re.compile(r"reports/monitor/(?P<model>[^/]+)/(?P<as_of>\d{4}-\d\d-\d\dT\d{4})\.")
_VALIDATION_REPORT = re.compile(r"reports/validation/(?P<snapshot>[0-9a-f]{64})-")


@dataclass(frozen=True)
class Candidate:
    """An object that nothing needs, and why it may go."""

    key: str
    n_bytes: int
    why: str


@dataclass(frozen=True)
class Plan:
    """What a sweep will free, in its order. `readings` are marks for the ledger; `held` says why chunks stay."""

    as_of: datetime
    n_objects: int
    n_bytes: int
    n_young: int
    free: tuple[Candidate, ...]
    readings: tuple[str, ...]
    held: str | None
    manifests: Annotated[frozenset[str], Field(exclude=True)] = frozenset()
    """Those that were there: the sweep looks at what was named since."""

    @property
    def bytes_freed(self) -> int:
        """Bytes that the sweep gives back."""
        return sum(c.n_bytes for c in self.free)


@dataclass(frozen=True)
class Sweep:
    """What a sweep freed; `by_kind` counts objects by their folder."""

    as_of: datetime
    n_objects: int
    n_bytes: int
    n_readings: int
    by_kind: dict[str, int]


def plan(workspace: Workspace, as_of: datetime) -> Plan:
    """Find what nothing needs as of a time; nothing is changed.

    Raises
    ------
    SpecError
        When the folder of models is missing: without it every model would look abandoned.
    RequestError
        When the as-of time has not come yet: what is needed until then would be freed.
    """
    now = datetime.now(UTC)  # the age of an object is a matter of the store's clock, not of the run's time
    refuse_future("housekeeping", as_of, now)
    there = items.inventory(workspace.store)
    young = {items.item_of(key) for key, entry in there.items() if _is_young(entry, now)}
    marks = mark(workspace, as_of, there, young)
    held = _held(marks, young, there, workspace.ledger)
    free = _candidates(there, marks, young, as_of, chunks_too=held is None)
    gone = {c.key for c in free}
    lost = readings_that_lead_to(
        workspace.ledger, lambda key: key in gone or (key not in there and key not in marks.items)
    )
    n_bytes, n_young = sum(e.n_bytes for e in there.values()), sum(item not in marks for item in young)
    known = frozenset(key for key in there if items.is_manifest(key))
    return Plan(as_of, len(there), n_bytes, n_young, free, tuple(sorted(lost)), held, known)


def sweep(workspace: Workspace, made: Plan) -> Sweep:
    """Free what a plan names and record it; what a run came to name since is left alone."""
    ledger, store = workspace.ledger, workspace.store
    ledger.free_readings(made.readings, made.as_of)
    spared = _named_since(workspace, made)
    ledger.free_items(_item_marks(made, spared), made.as_of)
    freed = [c for c in made.free if items.item_of(c.key) not in spared and store.delete(c.key)]
    keys = {c.key for c in freed if _is_chunk(c.key)}
    late = set(readings_that_lead_to(ledger, keys.__contains__)) if keys else set()  # read while it was under way
    ledger.free_readings(late, made.as_of)
    kinds = Counter(c.key.partition("/")[0] for c in freed)
    done = Sweep(made.as_of, len(freed), sum(c.n_bytes for c in freed), len(made.readings) + len(late), dict(kinds))
    key = digest_of([made.as_of.isoformat(), [c.key for c in made.free], list(made.readings)])
    ledger.finish(EVERY_MODEL, "housekeeping", key, done)
    return done


# --- marking ------------------------------------------------------------------------------------------------------


def _is_young(entry: Entry, now: datetime) -> bool:
    return entry.modified is None or now - entry.modified < YOUNG


def _held(marks: Marks, young: set[str], there: Mapping[str, Entry], ledger: Ledger) -> str | None:
    """Say why no chunk may go: a manifest that is needed cannot be read, so that its chunks are not known."""
    wanted = {key for key in (*marks.items, *young) if key.startswith("snapshots/")}
    broken = wanted & marks.broken | items.not_freed(ledger, (key for key in wanted if key not in there))
    if not broken:
        return None
    return (
        f"chunks are kept: {len(broken)} needed manifest{'s are' if len(broken) > 1 else ' is'} missing or damaged "
        f"(e.g. {min(broken)}), so which chunks they need is not known. `check --store` says what to do."
    )


# --- what is left -------------------------------------------------------------------------------------------------


def _candidates(
    there: Mapping[str, Entry], marks: Marks, young: set[str], as_of: datetime, *, chunks_too: bool
) -> tuple[Candidate, ...]:
    free = []
    oldest = needs.longest(marks.policies, as_of)
    for key, entry in there.items():
        item = items.item_of(key)
        if item in marks or item in young or (_is_chunk(key) and not chunks_too):
            continue
        why = _why(entry, lambda other: other in marks or other in young, marks.policies, oldest)
        if why is not None:
            free.append(Candidate(key, entry.n_bytes, why))
    return tuple(sorted(free, key=_in_order))


def _in_order(candidate: Candidate) -> tuple[int, str, bool, str]:
    """Order by what names what; of a model's files the manifest goes first, as it came last."""
    key = candidate.key
    rank = next(i for i, prefix in enumerate(_ORDER) if key.startswith(prefix))
    return rank, items.item_of(key), not key.endswith("/manifest.json"), key


def _why(entry: Entry, kept: Callable[[str], bool], found: Mapping[str, Policy], oldest: datetime) -> str | None:
    """Say why an object that no one names may go; None where its age alone keeps it."""
    key = entry.key
    if key.endswith(items.LEFTOVER):
        return "a writer was killed"
    if not key.startswith(("reports/", "quarantine/")):
        return "nothing needs it"
    if key.startswith((FINALISTS, FLIPS, VERDICTS)):
        return None if _is_cleaned(key, kept) else "its verdict goes"
    monitor, validation = _MONITOR_REPORT.match(key), _VALIDATION_REPORT.match(key)
    if validation:
        return None if kept(snapshot_key(validation["snapshot"])) else "its snapshot goes"
    policy = next((found[part] for part in key.split("/") if part in found), None)
    horizon = policy.horizon if policy else oldest
    if monitor:
        made = parse_time(monitor["as_of"])
        return None if (policy and policy.counts(made)) or made >= horizon else "older than retention.keep"
    return "older than retention.keep" if entry.modified and entry.modified < horizon else None


def _is_cleaned(key: str, kept: Callable[[str], bool]) -> bool:
    """Tell whether it is what an erasure left of flipped rows that are kept: they have a longer name since."""
    folder, _, name = key.rpartition("/")
    return key.startswith(FLIPS) and kept(f"{folder}/{name.partition('-')[0]}.parquet")


def _is_chunk(key: str) -> bool:
    return key.startswith("chunks/")


# --- sweeping -----------------------------------------------------------------------------------------------------


def _item_marks(made: Plan, spared: set[str]) -> dict[str, str]:
    unnamed = ("chunks/", "reports/", "quarantine/")
    listed = [c.key for c in made.free if not c.key.startswith(unnamed) or c.key.startswith(FINALISTS)]
    named = {items.item_of(key) for key in listed}
    return {items.freed_item(item): item for item in named - spared}


def _named_since(workspace: Workspace, made: Plan) -> set[str]:
    """Return what readings and manifests name that were written after the plan was made."""
    planned = {c.key for c in made.free if _is_chunk(c.key)}
    if not planned:
        return set()
    new = [e.key for e in workspace.store.listing("snapshots/") if items.is_manifest(e.key)]
    named: set[str] = set()
    for _, found in items.each_manifest(workspace.store, (key for key in new if key not in made.manifests)):
        if isinstance(found, Manifest):
            named |= planned & items.chunk_keys(found)
    for _, readings in in_force(workspace.ledger):
        named |= planned & needs.chunk_items(c for reading in readings.values() for c in reading.chunks)
    return named
