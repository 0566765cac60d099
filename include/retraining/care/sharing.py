"""What every model stores, read once, and which models share: one source, or chunks with the same rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from retraining.care import items, needs
from retraining.data import erasure
from retraining.data.ingest import source_id_of
from retraining.data.readings import replacements
from retraining.errors import Damaged, shown
from retraining.records import Chunk, Manifest
from retraining.spec import FrozenSpec, find_models
from retraining.store import Entry
from retraining.workspace import Workspace


@dataclass(frozen=True)
class Everything:
    """All that is stored, by the models that store it.

    `specs` has the newest spec of each model that has one; `parts` the chunks that a model's manifests and the
    readings of its sources name, by their ids.
    """

    there: Mapping[str, Entry]
    manifests: tuple[Manifest, ...]
    specs: Mapping[str, FrozenSpec]
    parts: Mapping[str, Mapping[str, Chunk]]

    def sharing_with(self, model: str) -> set[str]:
        """Return a model and those that read its source or store one of its chunks, and so on from these.

        Chunks that were erased count as well, so that an erasure that was killed finds the same models again. A model
        without any spec is left out: nobody knows what names its rows.
        """
        found, wider = set[str](), {model}
        while wider != found:
            found = wider
            sources = {erasure.owner_of(self.specs[name]) for name in found}
            ids = {identity for name in found for identity in self.parts.get(name, {})}
            wider = {
                name
                for name, spec in self.specs.items()
                if erasure.owner_of(spec) in sources or not ids.isdisjoint(self.parts.get(name, {}))
            }
        return found


def everything(workspace: Workspace) -> Everything:
    """Look through the store and the ledger.

    Raises
    ------
    Damaged
        When a manifest is: what it names may hold a person unseen.
    """
    there = items.inventory(workspace.store)
    manifests = _manifests(workspace, there)
    names = sorted({*find_models(workspace.settings.models), *workspace.ledger.known_models()})
    found = {name: needs.newest_spec(workspace, name) for name in names}
    specs = {name: spec for name, spec in found.items() if spec is not None}
    return Everything(there, tuple(manifests), specs, _parts(workspace, specs, manifests))


def _manifests(workspace: Workspace, there: Iterable[str]) -> list[Manifest]:
    keys = [key for key in there if items.is_manifest(key)]
    found = items.manifests(workspace.store, keys)
    broken = [key for key, manifest in found.items() if not isinstance(manifest, Manifest)]
    if broken:
        raise Damaged(
            f"{shown(broken)}: a manifest is damaged, so what it names may hold the person unseen. Nothing was erased. "
            "`check --store` says what to do."
        )
    return [manifest for manifest in found.values() if isinstance(manifest, Manifest)]


def _parts(
    workspace: Workspace, specs: Mapping[str, FrozenSpec], manifests: Collection[Manifest]
) -> dict[str, dict[str, Chunk]]:
    parts: dict[str, dict[str, Chunk]] = {}
    froze = workspace.ledger.models_by_snapshot()
    for manifest in manifests:
        for model in froze.get(manifest.id, set()) | ({manifest.first.model} if manifest.first else set()):
            parts.setdefault(model, {}).update({c.id: c for c in (*manifest.features, *manifest.labels)})
    readers = _readers(workspace, specs, manifests)
    for reading in workspace.ledger.every_reading():
        for model in readers.get(reading.source_id, ()):
            parts.setdefault(model, {}).update({c.id: c for c in reading.chunks})
    for model, found in parts.items():
        parts[model] = found | {c.id: c for c in _cleaned(workspace, found)}
    return parts


def _readers(
    workspace: Workspace, specs: Mapping[str, FrozenSpec], manifests: Iterable[Manifest]
) -> dict[str, set[str]]:
    """Return, by source, the models that read it: by their spec, their runs, or a manifest of an early version."""
    found: dict[str, set[str]] = {}
    now = ((source_id_of(spec), model) for model, spec in specs.items())
    early = ((m.first.source_id, m.first.model) for m in manifests if m.first is not None)
    for source, model in (*now, *workspace.ledger.sources_read(), *early):
        found.setdefault(source, set()).add(model)
    return found


def _cleaned(workspace: Workspace, chunk_ids: Iterable[str]) -> Iterator[Chunk]:
    return (chunk for chunk in replacements(workspace.ledger, chunk_ids).values() if chunk is not None)
