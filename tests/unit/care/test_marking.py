"""Housekeeping has a fleet's names in memory, and of its records and manifests only a few at a time."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from retraining.care import items, retention
from retraining.care.items import ModelRecords
from retraining.care.needs import Policy
from retraining.gate.rivals import choose_rivals
from retraining.ledger import Ledger
from retraining.records import Manifest, Window
from retraining.store import Store
from samples.fleet import fleet
from samples.queries import asked
from samples.records import champion
from samples.tiny import day

N_DAYS, LONG, LONGER = 30, 100, 170


class Alive:
    """Counts objects that somebody still holds."""

    def __init__(self) -> None:
        self._seen: list[weakref.ref[object]] = []
        self._lock = threading.Lock()
        self.most = 0

    def add(self, one: object) -> None:
        with self._lock:
            self._seen = [ref for ref in self._seen if ref() is not None]
            self._seen.append(weakref.ref(one))
            self.most = max(self.most, len(self._seen))


def test_results_wait_for_whoever_uses_them() -> None:
    started = 0

    def read(number: int) -> int:
        nonlocal started
        started += 1
        return number

    found = items.all_at_once(read, range(1000))
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    assert started < 100, "what nobody uses yet is not read"
    assert list(found) == list(range(3, 1000))


def test_a_plan_holds_few_manifests_and_the_records_of_one_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = fleet(tmp_path, 4, LONG)
    manifests, records = Alive(), Alive()
    read, of = items._manifest, ModelRecords.of

    def reading(store: Store, key: str) -> object:
        found = read(store, key)
        assert isinstance(found, Manifest)
        manifests.add(found)
        return found

    def recording(ledger: Ledger, model: str) -> ModelRecords:
        found = of(ledger, model)
        records.add(found)
        return found

    monkeypatch.setattr(items, "_manifest", reading)
    monkeypatch.setattr(ModelRecords, "of", recording)
    made = retention.plan(workspace, day(LONG))
    n_manifests = len(made.manifests)
    assert n_manifests > 150
    assert manifests.most < 60
    assert records.most <= 2, "the next one's are read before the last one's are let go"


@pytest.mark.parametrize("sources", [("m000",), ("m000", "m001")])
def test_a_sweep_looks_again_only_at_what_was_written_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: Iterable[str]
) -> None:
    workspace = fleet(tmp_path, len(list(sources)), LONGER, {"retention": {"keep": "20d"}})
    made = retention.plan(workspace, day(LONGER))
    assert {c.key.partition("/")[0] for c in made.free} >= {"chunks", "reports", "snapshots"}
    seen: list[str] = []
    read = items._manifest
    monkeypatch.setattr(items, "_manifest", lambda store, key: (seen.append(key), read(store, key))[1])
    retention.sweep(workspace, made)
    assert seen == []
    monkeypatch.undo()
    assert retention.plan(workspace, day(LONG)).free == ()


def test_queries_grow_with_the_models_alone(tmp_path: Path) -> None:
    counts = {}
    for n_models, n_days in ((2, N_DAYS), (4, N_DAYS), (2, LONG)):
        workspace = fleet(tmp_path / f"{n_models}-{n_days}", n_models, n_days)
        workspace.ledger.models()
        with asked() as seen:
            retention.plan(workspace, day(n_days))
        counts[n_models, n_days] = len(seen)
    per_model = (counts[4, N_DAYS] - counts[2, N_DAYS]) / 2
    assert per_model <= 24
    assert counts[2, LONG] <= counts[2, N_DAYS] + 4, "keys are asked for in batches of 500"


def test_champions_that_the_next_refresh_may_meet_are_kept_beyond_the_horizon() -> None:
    history = tuple(champion(n, cutoff=day(7 * n), as_of=day(7 * n)) for n in range(1, 21))
    policy = Policy("tiny", day(7 * 19), frozenset(), None, True, history)
    assert [c.sequence for c in policy.live] == [18, 19, 20]
    met = choose_rivals(history, {}, history[-1], Window(day(140), day(147)), timedelta(days=7))
    anchors = {c.sequence for c in policy.champions}
    assert anchors == set(range(12, 21)) and {c.sequence for c in met.opponents} <= anchors
