"""How long a question about lineage takes with ten thousand snapshots in the store and their verdicts in the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from benchmarks.figures import Figure, Report, times
from retraining.audit import lineage
from retraining.audit.history import versions_of
from retraining.data import snapshots
from retraining.records import Manifest, Window, to_dict
from retraining.workspace import Workspace
from samples.tiny import NAME, day, retrain, tiny

_SNAPSHOTS, _VERDICTS, _LOOKUPS = 10_000, 2_500, 20
_TARGET = "0.2 s"


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Ask with the few snapshots of two retrainings, then with ten thousand."""
    work = tiny(folder)
    retrain(work, day(40))
    verdict = retrain(work, day(48)).verdict
    assert verdict is not None
    release = work.ledger.release_of(verdict.id)
    assert release is not None
    questions: dict[str, Callable[[], object]] = {
        "a snapshot by the start of its id": lambda: lineage.of_snapshot(work, release.snapshot_id[:8]),
        "the versions of a model": lambda: versions_of(work.ledger, work.store, NAME),
    }
    few = {name: _seconds(ask) for name, ask in questions.items()}
    _fill(work, snapshots.read_manifest(work.store, release.snapshot_id))
    for number in range(_VERDICTS):
        moved = Window(day(1000 + number), day(1007 + number))
        evaluation = replace(verdict.evaluation, window=moved, as_of=moved.end)
        work.ledger.add_verdict(replace(verdict, id=f"{number:064x}", evaluation=evaluation), ())
    report(f"{_SNAPSHOTS:,} snapshots, {_VERDICTS:,} verdicts")
    for name, ask in questions.items():
        many = _seconds(ask)
        yield Figure(name, f"{many:.3f} s", times(many, few[name], "with a handful"), _TARGET)


def _seconds(ask: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(_LOOKUPS):
        ask()
    return (time.perf_counter() - started) / _LOOKUPS


def _fill(work: Workspace, manifest: Manifest) -> None:
    for number in range(_SNAPSHOTS):
        window = Window(manifest.window.start + timedelta(hours=number), manifest.window.end + timedelta(hours=number))
        identity = snapshots.snapshot_id((*manifest.features, *manifest.labels), manifest.columns, window)
        work.store.write_json_once(f"snapshots/{identity}.json", to_dict(replace(manifest, id=identity, window=window)))
