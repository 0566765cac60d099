"""Marking: what the whole store is needed for, gathered model by model, snapshot by snapshot, source by source.

Only names stay: no records of more than one model, no more than a few manifests and one source's readings are in memory
at any time, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from retraining.care import items, needs
from retraining.care.items import Broken
from retraining.care.needs import Needs, Policy
from retraining.data import chunks
from retraining.data.ingest import source_id_of
from retraining.data.readings import in_force
from retraining.ledger import Ledger
from retraining.ledger.readings import StoredReading
from retraining.records import Provenance
from retraining.store import Entry
from retraining.workspace import Workspace


@dataclass
class Marks:
    """What is needed. `read` has the chunks that only readings need; `broken` the manifests that cannot be read."""

    policies: dict[str, Policy] = field(default_factory=dict)
    items: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    readers: dict[str, dict[str, bool]] = field(default_factory=dict)
    """By source: the models that read it, and whether their next run will."""

    def __contains__(self, item: str) -> bool:
        return item in self.items or item in self.read

    def keepers(self, source: str) -> list[tuple[Policy, bool]]:
        """Return the policies of the models that read a source, and whether their next run will."""
        names = self.readers.get(source, {})
        return [(self.policies[model], reads) for model, reads in names.items() if model in self.policies]


def mark(workspace: Workspace, as_of: datetime, there: Mapping[str, Entry], young: Collection[str]) -> Marks:
    """Return what is needed as of a time of what is there; the chunks of young snapshots are."""
    marks = Marks()
    for source, model in workspace.ledger.sources_read():
        marks.readers.setdefault(source, {})[model] = False
    learnt: dict[str, Mapping[str, frozenset[str]]] = {}
    for found in needs.needs_of_models(workspace, as_of):
        _mark_model(marks, found, there)
        learnt[found.policy.model] = found.with_snapshot
    for key, manifest in items.each_manifest(workspace.store, (k for k in there if items.is_manifest(k))):
        if isinstance(manifest, Broken):
            marks.broken.add(key)
        else:
            _mark_early(marks, key, manifest.first, learnt)
            if key in marks.items or key in young:
                marks.items |= items.chunk_keys(manifest)
    oldest = needs.longest(marks.policies, as_of)
    for source, readings in in_force(workspace.ledger):
        kept = needs.needed_readings(readings.values(), marks.keepers(source), oldest)
        marks.read |= needs.chunk_items(c for reading in kept for c in reading.chunks) - marks.items
    return marks


def _mark_model(marks: Marks, found: Needs, there: Mapping[str, Entry]) -> None:
    policy = found.policy
    marks.policies[policy.model] = policy
    marks.items |= found.items
    for key in found.frozen & there.keys():
        _mark_frozen(marks, key, found.with_snapshot)
    if policy.spec is not None and policy.active:
        marks.readers.setdefault(source_id_of(policy.spec), {})[policy.model] = True


def _mark_early(
    marks: Marks, key: str, first: Provenance | None, learnt: Mapping[str, Mapping[str, frozenset[str]]]
) -> None:
    """Mark what an early version's manifest is kept for: the run that it names itself, as the ledger does not."""
    if first is None:
        return
    marks.readers.setdefault(first.source_id, {}).setdefault(first.model, False)
    policy = marks.policies.get(first.model)
    if policy is not None and policy.counts(first.as_of):
        _mark_frozen(marks, key, learnt[first.model])


def _mark_frozen(marks: Marks, key: str, with_snapshot: Mapping[str, frozenset[str]]) -> None:
    marks.items.add(key)
    marks.items |= with_snapshot.get(key, frozenset())


def readings_that_lead_to(ledger: Ledger, gone: Callable[[str], bool]) -> Iterator[str]:
    """Yield the marks of readings in force that name a chunk which is gone, or goes."""
    for _, readings in in_force(ledger):
        yield from (mark for mark, reading in readings.items() if _leads_to(reading, gone))


def _leads_to(reading: StoredReading, gone: Callable[[str], bool]) -> bool:
    return any(gone(chunks.key_of(chunk.id)) for chunk in reading.chunks)
