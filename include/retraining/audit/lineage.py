"""Lineage: from a snapshot's id to its rows' origin and to everything that was made of it, in constant time.

Nothing is searched: a manifest is found by its id, the verdicts that can have used it by the times of its window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from retraining.artifacts.stored import read_card
from retraining.data import snapshots
from retraining.data.ingest import source_id_of
from retraining.errors import Damaged, RequestError, RetrainingError, shown
from retraining.records import Manifest, Provenance, Verdict, Window, short
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace

_SHORTEST = 6
"""Characters of an id that must be given: fewer would name many snapshots."""
_Near = Mapping[str, Iterable[Verdict]]
"""By model, the verdicts that can have used a snapshot."""


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
class Origin:
    """A source that runs read a snapshot's rows from.

    `source` says it in words, None when no spec of their models that is still known reads such a source. `read_as_of`
    are the earliest and the latest as-of time at which the partitions were first read as they are.
    """

    source_id: str
    source: str | None
    read_as_of: tuple[datetime, datetime] | None


@dataclass(frozen=True)
class Lineage:
    """Where a snapshot's rows came from, which runs froze it (the newest first), and what it was used for.

    A run names the snapshot as it was read, from which rows were set aside to make this one; `accepted` are those that
    were made so from this one. Almost always there is one origin: more are sources that gave the very same rows.
    """

    snapshot_id: str
    window: Window
    n_rows: int
    n_labelled: int
    n_chunks: int
    runs: tuple[Provenance, ...]
    origins: tuple[Origin, ...]
    accepted: tuple[str, ...]
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
    runs = snapshots.provenance_of(workspace.ledger, manifest)
    models = sorted({run.model for run in runs})
    near = {model: workspace.ledger.verdicts_near(model, manifest.window) for model in models}
    accepted = _accepted(workspace, manifest)
    ids = {manifest.id, *accepted}
    return Lineage(
        snapshot_id=manifest.id,
        window=manifest.window,
        n_rows=manifest.n_rows,
        n_labelled=manifest.n_labelled,
        n_chunks=len(manifest.features) + len(manifest.labels),
        runs=tuple(runs),
        origins=tuple(_origins(workspace, manifest, runs, near)),
        accepted=accepted,
        uses=tuple(use for model, verdicts in near.items() for use in _uses(workspace, model, verdicts, ids)),
    )


def _accepted(workspace: Workspace, manifest: Manifest) -> tuple[str, ...]:
    """Return the snapshots that were made from one without rows, by what its validations say."""
    pages = workspace.store.starting_with(f"reports/validation/{manifest.id}-")
    found = {workspace.store.read_json(key)["accepted_id"] for key in pages if key.endswith(".json")}
    return tuple(sorted(found - {manifest.id}))


def _origins(workspace: Workspace, manifest: Manifest, runs: Iterable[Provenance], near: _Near) -> Iterator[Origin]:
    readers: dict[str, set[str]] = {}
    for run in runs:
        readers.setdefault(run.source_id, set()).add(run.model)
    for source_id, models in readers.items():
        source = _source(workspace, source_id, {model: near[model] for model in sorted(models)})
        yield Origin(source_id, source, _read_as_of(workspace, manifest, source_id))


def _source(workspace: Workspace, source_id: str, near: _Near) -> str | None:
    """Return a source in words, by a model's YAML or the spec of a verdict near, whichever read these rows."""
    for frozen in (spec for model, verdicts in near.items() for spec in _specs(workspace, model, verdicts)):
        if source_id_of(frozen) == source_id:
            data = frozen.spec.data
            return data.source.described + (f"; labels: {data.labels.described}" if data.labels else "")
    return None


def _specs(workspace: Workspace, model: str, near: Iterable[Verdict]) -> Iterator[FrozenSpec]:
    with suppress(RetrainingError):  # gone or broken: `check` speaks about it
        yield workspace.spec(model)
    for spec_id in dict.fromkeys(v.evaluation.spec_id for v in near):
        with suppress(RetrainingError, ValidationError):  # freed, or frozen by a version with other keys
            yield workspace.frozen(spec_id)


def _read_as_of(workspace: Workspace, manifest: Manifest, source_id: str) -> tuple[datetime, datetime] | None:
    ids = {chunk.id for chunk in (*manifest.features, *manifest.labels)}
    seen = workspace.ledger.readings(source_id, manifest.window).values()
    firsts = [next((r.as_of for r in one if {c.id for c in r.chunks} & ids), None) for one in seen]
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
        yield from (Use(model, role, verdict.id, verdict.decision, verdict.evaluation.as_of, *place) for role in roles)


def _trained_on(workspace: Workspace, candidate_id: str) -> str | None:
    try:
        return read_card(workspace.store, candidate_id).snapshot_id
    except Damaged:  # a candidate that housekeeping freed; `check --store` speaks about one that is damaged
        return None
