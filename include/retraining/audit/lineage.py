"""Lineage: from a snapshot's id to its rows' origin and to everything that was made of it, in constant time.

Nothing is searched: a manifest is found by its id, the verdicts that can have used it by the times of its window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from retraining.artifacts.stored import read_card
from retraining.data import snapshots
from retraining.data.ingest import source_id
from retraining.errors import Damaged, RequestError, RetrainingError, shown
from retraining.records import Snapshot, Verdict, Window, short
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace

_SHORTEST = 6
"""Characters of an id that must be given: fewer would name many snapshots."""


@dataclass(frozen=True)
class Use:
    """Something that a snapshot was used for: `judged on`, `trained on` or `refitted on`, and by which verdict."""

    what: str
    verdict_id: str
    decision: str
    as_of: datetime
    champion: int | None
    version: int | None


@dataclass(frozen=True)
class Lineage:
    """Where a snapshot's rows came from, and what they were used for.

    `source` says it in words, None when no spec of the model that is still known reads such a source. `read_as_of` are
    the earliest and the latest as-of time at which its partitions were first read as they are. `raw_id` is the snapshot
    as it was read, from which `n_aside` rows were set aside; `accepted` are those made so from this one.
    """

    snapshot_id: str
    model: str
    window: Window
    as_of: datetime
    source_id: str
    source: str | None
    read_as_of: tuple[datetime, datetime] | None
    n_rows: int
    n_labelled: int
    n_chunks: int
    raw_id: str | None
    accepted: tuple[str, ...]
    n_aside: int
    uses: tuple[Use, ...]


def of_snapshot(workspace: Workspace, identity: str) -> Lineage:
    """Return a snapshot's lineage by its id or the start of it: as it was read, or as it was accepted.

    Raises
    ------
    RequestError
        When no snapshot, or more than one, has an id that starts so.
    Damaged
        When its manifest is not what was frozen.
    """
    manifest = snapshots.read_manifest(workspace.store, _whole(workspace, identity))
    near = workspace.ledger.verdicts_near(manifest.model, manifest.window)
    accepted = _accepted(workspace, manifest)
    return Lineage(
        snapshot_id=manifest.id,
        model=manifest.model,
        window=manifest.window,
        as_of=manifest.as_of,
        source_id=manifest.source_id,
        source=_source(workspace, manifest, near),
        read_as_of=_read_as_of(workspace, manifest),
        n_rows=manifest.n_rows,
        n_labelled=manifest.n_labelled,
        n_chunks=len(manifest.features) + len(manifest.labels),
        raw_id=manifest.raw_id,
        accepted=accepted,
        n_aside=sum(s.n_rows for s in manifest.set_aside),
        uses=tuple(_uses(workspace, manifest.model, near, {manifest.id, *accepted})),
    )


def _accepted(workspace: Workspace, manifest: Snapshot) -> tuple[str, ...]:
    """Return the snapshots that were made from one without rows, by what its validations say."""
    pages = workspace.store.starting_with(f"reports/validation/{manifest.id}-")
    found = {workspace.store.read_json(key)["accepted_id"] for key in pages if key.endswith(".json")}
    return tuple(sorted(found - {manifest.id}))


def _source(workspace: Workspace, manifest: Snapshot, near: Iterable[Verdict]) -> str | None:
    """Return the source in words, by the model's YAML or the spec of a verdict near, whichever read these rows."""
    for frozen in _specs(workspace, manifest.model, near):
        if source_id(frozen) == manifest.source_id:
            data = frozen.spec.data
            return data.source.described + (f"; labels: {data.labels.described}" if data.labels else "")
    return None


def _specs(workspace: Workspace, model: str, near: Iterable[Verdict]) -> Iterator[FrozenSpec]:
    with suppress(RetrainingError):  # gone or broken: `check` speaks about it
        yield workspace.spec(model)
    for spec_id in dict.fromkeys(v.evaluation.spec_id for v in near):
        with suppress(RetrainingError, ValidationError):  # freed, or frozen by a version with other keys
            yield workspace.frozen(spec_id)


def _read_as_of(workspace: Workspace, manifest: Snapshot) -> tuple[datetime, datetime] | None:
    ids = {chunk.id for chunk in (*manifest.features, *manifest.labels)}
    seen = workspace.ledger.readings(manifest.source_id, manifest.window).values()
    firsts = [next((when for when, found in one if {c.id for c in found} & ids), None) for one in seen]
    times = [when for when in firsts if when is not None]
    return (min(times), max(times)) if times else None


def _whole(workspace: Workspace, identity: str) -> str:
    if len(identity) < _SHORTEST or not set(identity) <= set("0123456789abcdef"):
        raise RequestError(
            f"{identity!r} is not the start of a snapshot's id: give at least {_SHORTEST} of its characters."
        )
    found = workspace.store.starting_with(f"{snapshots.SNAPSHOTS}{identity}")
    if len(found) != 1:
        there = shown([short(key.rpartition("/")[2]) for key in found]) or "none"
        raise RequestError(f"{identity}: names {len(found)} snapshots ({there}). `history MODEL --versions` shows ids.")
    return found[0].rpartition("/")[2].removesuffix(".json")


def _uses(workspace: Workspace, model: str, near: Iterable[Verdict], ids: set[str]) -> Iterator[Use]:
    moves = {c.verdict_id: c for c in workspace.ledger.champions(model) if c.kind == "promotion"}
    for verdict in near:
        roles = []
        if verdict.evaluation.holdout_id in ids:
            roles.append("judged on")
        if _trained_on(workspace, verdict.evaluation.candidate_id) in ids:
            roles.append("trained on")
        release = workspace.ledger.release_of(verdict.id)
        if release is not None and release.snapshot_id in ids:
            roles.append("refitted on")
        champion = moves.get(verdict.id)
        place = (champion.sequence, champion.version) if champion else (None, None)
        yield from (Use(role, verdict.id, verdict.decision, verdict.evaluation.as_of, *place) for role in roles)


def _trained_on(workspace: Workspace, candidate_id: str) -> str | None:
    try:
        return read_card(workspace.store, candidate_id).snapshot_id
    except Damaged:  # a candidate that housekeeping freed; `check --store` speaks about one that is damaged
        return None
