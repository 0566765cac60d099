"""Lineage: from a snapshot's id to its rows' origin and to everything that was made of it, in constant time.

Nothing is searched: a manifest is found by its id, the verdicts that can have used it by the times of its window.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from retraining.artifacts.stored import read_card
from retraining.data import snapshots
from retraining.errors import Damaged, RequestError, shown
from retraining.records import Manifest, Provenance, Window, short
from retraining.workspace import Workspace

_SHORTEST = 6
"""Characters of an id that must be given: fewer would name many snapshots."""


@dataclass(frozen=True)
class Use:
    """Something that a snapshot was used for: `judged on`, `trained on` or `refitted on`, and by which verdict."""

    model: str
    what: str
    verdict_id: str
    decision: str
    as_of: datetime
    champion: int | None
    version: int | None


@dataclass(frozen=True)
class Lineage:
    """Where a snapshot's rows came from, which runs froze it (the newest first), and what it was used for."""

    snapshot_id: str
    window: Window
    n_rows: int
    n_labelled: int
    n_chunks: int
    runs: tuple[Provenance, ...]
    uses: tuple[Use, ...]


def of_snapshot(workspace: Workspace, identity: str) -> Lineage:
    """Return a snapshot's lineage by its id or the start of it.

    Raises
    ------
    RequestError
        When no snapshot, or more than one, has an id that starts so.
    Damaged
        When its manifest is not what was frozen.
    """
    manifest = snapshots.read_manifest(workspace.store, _whole(workspace, identity))
    runs = snapshots.provenance_of(workspace.ledger, manifest)
    return Lineage(
        snapshot_id=manifest.id,
        window=manifest.window,
        n_rows=manifest.n_rows,
        n_labelled=manifest.n_labelled,
        n_chunks=len(manifest.features) + len(manifest.labels),
        runs=tuple(runs),
        uses=tuple(use for model in sorted({r.model for r in runs}) for use in _uses(workspace, manifest, model)),
    )


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


def _uses(workspace: Workspace, manifest: Manifest, model: str) -> list[Use]:
    found = []
    moves = {c.verdict_id: c for c in workspace.ledger.champions(model) if c.kind == "promotion"}
    for verdict in workspace.ledger.verdicts_near(model, manifest.window):
        roles = []
        if verdict.evaluation.holdout_id == manifest.id:
            roles.append("judged on")
        if _trained_on(workspace, verdict.evaluation.candidate_id) == manifest.id:
            roles.append("trained on")
        release = workspace.ledger.release_of(verdict.id)
        if release is not None and release.snapshot_id == manifest.id:
            roles.append("refitted on")
        champion = moves.get(verdict.id)
        place = (champion.sequence, champion.version) if champion else (None, None)
        found += [Use(model, role, verdict.id, verdict.decision, verdict.evaluation.as_of, *place) for role in roles]
    return found


def _trained_on(workspace: Workspace, candidate_id: str) -> str | None:
    try:
        return read_card(workspace.store, candidate_id).snapshot_id
    except Damaged:  # a candidate that housekeeping freed; `check --store` speaks about one that is damaged
        return None
