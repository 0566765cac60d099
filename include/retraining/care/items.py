"""What the store holds, by what it is: an item is an object, or for a release the folder of its files.

Who needs an item follows from the ledger (champions, verdicts, releases, predictions) and from the manifests.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from retraining.data import chunks, snapshots
from retraining.data.snapshots import snapshot_key
from retraining.evaluation.finalist import NO_CANDIDATE, document_key, flips_key, has_document
from retraining.ledger import Ledger
from retraining.pages.verdicts.page import page_key
from retraining.records import Manifest, Release, Rolled, Trained, Tried, Verdict, digest_of, short
from retraining.spec import spec_key
from retraining.store import Entry, Store

PREFIXES = ("chunks/", "snapshots/", "specs/", "releases/", "candidates/", "predictions/", "reports/", "quarantine/")
"""Everything the pipeline writes. `erased/` is not among them: it is looked at, never swept."""
LEFTOVER = ".tmp"
"""How temporary names end: a writer was killed before its rename."""
_AT_ONCE = 8
"""Objects read at the same time: an object store answers in tens of milliseconds, whatever the size."""
_AHEAD = 4 * _AT_ONCE
"""Results that may wait for whoever uses them: more would only fill memory, as reading is the quicker side."""

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Broken:
    """A manifest that cannot be used, and why."""

    problem: str


def release_key(identity: str) -> str:
    """Return the item of a release: the folder of its files."""
    return f"releases/{identity}"


def identity_of(item: str) -> str:
    """Return the id in an item's name.

    >>> identity_of("chunks/ab/abcd.parquet")
    'abcd'
    """
    return item.rpartition("/")[2].partition(".")[0]


def item_of(key: str) -> str:
    """Return the item that an object belongs to.

    >>> item_of("releases/abcd/meta.json")
    'releases/abcd'
    """
    return "/".join(key.split("/")[:2]) if key.startswith("releases/") else key


def inventory(store: Store) -> dict[str, Entry]:
    """Return everything the pipeline wrote, by key: one listing per prefix."""
    return {entry.key: entry for prefix in PREFIXES for entry in store.listing(prefix)}


def freed_item(item: str) -> str:
    """Return the key under which the ledger says that an item was freed."""
    return digest_of(item)


def not_freed(ledger: Ledger, items: Iterable[str]) -> set[str]:
    """Leave out the items that housekeeping freed."""
    wanted = {freed_item(item): item for item in items}
    freed = ledger.freed(wanted)
    return {item for key, item in wanted.items() if key not in freed}


def is_manifest(key: str) -> bool:
    """Tell whether an object is the manifest of a snapshot."""
    return key.startswith("snapshots/") and key.endswith(".json")


def all_at_once(function: Callable[[A], B], values: Iterable[A]) -> Iterator[B]:
    """Apply a function that waits for the store to many values; results keep the order, and few exist at a time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting: deque[Future[B]] = deque()
        for value in values:
            waiting.append(pool.submit(function, value))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def manifests(store: Store, keys: Iterable[str]) -> dict[str, Manifest | Broken]:
    """Read manifests, each compared with its name, by key. All of a fleet's fill gigabytes: see `each_manifest`."""
    return dict(each_manifest(store, keys))


def each_manifest(store: Store, keys: Iterable[str]) -> Iterator[tuple[str, Manifest | Broken]]:
    """Read manifests one after the other, each compared with its name; a few are in memory at a time."""
    listed = sorted(keys)
    yield from zip(listed, all_at_once(lambda key: _manifest(store, key), listed), strict=True)


def _manifest(store: Store, key: str) -> Manifest | Broken:
    try:
        found = snapshots.manifest_of(json.loads(store.read(key)))
    except (ValueError, ValidationError):
        return Broken("is not a manifest that can be read")
    parts = (*found.features, *found.labels)
    if snapshots.snapshot_id(parts, found.columns, found.window) != identity_of(key) or found.id != identity_of(key):
        return Broken("was altered: what it lists does not make up its id")
    return found


def chunk_keys(snapshot: Manifest) -> set[str]:
    """Return the store keys of a snapshot's chunks."""
    return {chunks.key_of(c.id) for c in (*snapshot.features, *snapshot.labels)}


@dataclass(frozen=True)
class ModelRecords:
    """What the ledger says of a model's stored things, read once. A year of it takes megabytes: one model at a time."""

    model: str
    verdicts: Mapping[str, Verdict]
    releases: Mapping[str, Release]
    """By verdict."""
    trained: Mapping[str, Trained]
    """By artifact."""
    tried: tuple[Tried, ...]
    rolled: tuple[Rolled, ...] = ()

    @classmethod
    def of(cls, ledger: Ledger, model: str) -> ModelRecords:
        """Read a model's records."""
        trained = ledger.recorded(Trained, model, "train").values()
        return cls(
            model,
            {v.id: v for v in ledger.verdicts(model)},
            {r.verdict_id: r for r in ledger.releases(model)},
            {t.artifact_id: t for t in trained},
            tuple(ledger.recorded(Tried, model, "candidate").values()),
            tuple(ledger.recorded(Rolled, model, "origin").values()),
        )

    def tried_for(self, trained: Trained) -> set[str]:
        """Return the items of the predictions that a candidate was chosen and judged by: they go when it goes."""
        mine, judged = (trained.spec_id, trained.snapshot_id), (trained.recipe_id, trained.snapshot_id)
        tried = {t.predictions_key for t in self.tried if (t.spec_id, t.snapshot_id) == mine}
        rolled = [r.predictions_key for r in self.rolled if (r.recipe_id, r.snapshot_id) == judged]
        return tried | {key for key in rolled if key is not None}

    def needs_of(self, verdict_id: str | None) -> set[str]:
        """Return the items that judged, made and can make again what a verdict is about."""
        verdict = self.verdicts.get(verdict_id or "")
        if verdict is None:
            return set()
        evaluation, release = verdict.evaluation, self.releases.get(verdict.id)
        found = {spec_key(evaluation.spec_id), snapshot_key(evaluation.refit_id)}
        if evaluation.candidate_id != NO_CANDIDATE:
            found.add(release_key(evaluation.candidate_id))
        if has_document(evaluation):
            found.add(document_key(evaluation))
        if evaluation.n_rows:  # the id of an empty holdout names no manifest
            found.add(snapshot_key(evaluation.holdout_id))
        if evaluation.candidate_id in self.trained:
            trained = self.trained[evaluation.candidate_id]
            found |= {snapshot_key(trained.snapshot_id), *self.tried_for(trained)}
        if release is not None:
            found |= {release_key(release.id), snapshot_key(release.snapshot_id)}
        return found

    def shown_of(self, verdict_id: str | None) -> set[str]:
        """Return what shows a verdict beside its document: the page, which can be made again, and flipped rows."""
        verdict = self.verdicts.get(verdict_id or "")
        return set() if verdict is None else {page_key(verdict.id), flips_key(verdict.evaluation)}


def users(ledger: Ledger) -> dict[str, list[str]]:
    """Return who needs each item, as people read it, the most important first."""
    found: dict[str, list[str]] = {}

    def add(who: str, items: Iterable[str]) -> None:
        for item in items:
            if who not in found.setdefault(item, []):
                found[item].append(who)

    for model in ledger.known_models():
        records, history = ModelRecords.of(ledger, model), ledger.champions(model)
        for entry in reversed(history):
            who = f"champion {entry.sequence} of {model}" + (" (live)" if entry is history[-1] else "")
            add(who, {release_key(entry.release_id), spec_key(entry.spec_id), *records.needs_of(entry.verdict_id)})
        for verdict in records.verdicts.values():
            add(f"verdict {short(verdict.id)} of {model}", records.needs_of(verdict.id))
        for made in ledger.all_predictions(model):
            add(f"predictions of {model} for {made.window}", [made.key])
    return found
