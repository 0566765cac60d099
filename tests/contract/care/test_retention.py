"""Housekeeping frees what is old, and nothing that anybody needs, wherever it is interrupted."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from datetime import datetime

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from retraining.artifacts import stored
from retraining.care import retention
from retraining.care.retention import Plan, Sweep
from retraining.care.verify import verify
from retraining.cli.app import app
from retraining.data import chunks, ingest, snapshots
from retraining.records import Champion, Window
from retraining.store import Store
from retraining.workspace import Workspace
from samples.records import request
from samples.tiny import NAME, day, environ, retrain
from tests.support.lived import AS_OF, age, copy_of, files_of, path_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_preflight")]

LATE = 500
"""Day on which the first champion has been replaced for more than a year."""


def free(workspace: Workspace, as_of: datetime) -> tuple[Plan, Sweep]:
    made = retention.plan(workspace, as_of)
    return made, retention.sweep(workspace, made)


def names(made: Plan) -> list[str]:
    return [c.key for c in made.free]


def keys(workspace: Workspace) -> set[str]:
    root = workspace.settings.home / "store"
    return {str(p.relative_to(root)) for p in files_of(workspace)}


def load_everything(workspace: Workspace, champion: Champion) -> None:
    """Load what makes a champion again: its release, its spec, its data and the rows it was judged on."""
    assert champion.verdict_id
    verdict, release = workspace.ledger.verdict(champion.verdict_id), workspace.ledger.release_of(champion.verdict_id)
    assert verdict and release
    spec = workspace.frozen(champion.spec_id)
    for identity in (verdict.evaluation.candidate_id, champion.release_id):
        card = stored.load(workspace.store, identity).card
        snapshots.load(workspace.store, snapshots.read_manifest(workspace.store, card.snapshot_id), spec.spec.data)
    holdout = snapshots.read_manifest(workspace.store, verdict.evaluation.holdout_id)
    assert snapshots.load(workspace.store, holdout, spec.spec.data).num_rows == holdout.n_rows


def keep_for(workspace: Workspace, keep: str) -> None:
    path = workspace.settings.models / f"{NAME}.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "retention": {"keep": keep}}))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=st.lists(st.integers(50, 800), min_size=1, max_size=3), keep=st.sampled_from(["1d", "7d", "30d", "365d"]))
def test_whatever_is_needed_still_loads(
    lived: Workspace, tmp_path_factory: pytest.TempPathFactory, days: list[int], keep: str
) -> None:
    workspace = copy_of(lived, tmp_path_factory.mktemp("kept"))
    keep_for(workspace, keep)
    age(workspace)
    for number in sorted(days):
        free(workspace, day(number))
        assert verify(workspace, deep=True).problems == ()
        history = workspace.ledger.champions(NAME)
        horizon = day(number) - workspace.spec(NAME).spec.retention.keep
        for entry, successor in zip(history, [*history[1:], None], strict=True):
            if entry in history[-2:] or (successor and successor.as_of >= horizon):
                load_everything(workspace, entry)
        assert retention.plan(workspace, day(number)).free == (), "a second sweep has nothing to do"


def test_what_is_old_is_freed_and_read_again_when_it_is_wanted(home: Workspace) -> None:
    first = home.ledger.champion(NAME, 1)
    assert first
    age(home)
    before = sum(p.stat().st_size for p in files_of(home))
    made, done = free(home, day(LATE))
    assert done.by_kind == {"reports": 24, "snapshots": 11, "releases": 11, "candidates": 1, "chunks": 14}
    assert before - sum(p.stat().st_size for p in files_of(home)) == done.n_bytes == made.bytes_freed > 0
    assert not stored.is_stored(home.store, first.release_id)
    assert list(home.ledger.recorded(Sweep, "*", "housekeeping").values()) == [done]
    reader = home.reader(home.spec(NAME))
    extent = ingest.read_window(reader, Window(day(4), day(30)), day(50))
    assert extent.n_partitions_read == 7, "the freed days, and no others, are read from the source again"
    assert all(home.store.exists(chunks.key_of(c.id)) for found in extent.chunks.values() for c in found)
    result = retrain(home, day(40))
    assert result.verdict and result.verdict.decision == "superseded", result.text
    result = retrain(home, AS_OF)
    assert result.verdict is not None, result.text
    assert verify(home, deep=True).problems == ()


def test_a_dry_run_names_the_same_keys_and_frees_nothing(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ(home.settings).items():
        monkeypatch.setenv(name, value)
    age(home)
    before = keys(home)

    def call(*options: str) -> tuple[str, dict[str, object]]:
        arguments = ["housekeeping", "--as-of", day(LATE).isoformat(), *options]
        text = CliRunner().invoke(app, arguments).stdout
        return text, json.loads(text) if "--json" in options else {}

    assert "would free 61 objects" in call("--dry-run")[0]
    planned = call("--dry-run", "--json")[1]
    assert planned["sweep"] is None
    assert keys(home) == before
    assert home.ledger.recorded(Sweep, "*", "housekeeping") == {}
    swept = call("--json")[1]
    assert swept["plan"] == planned["plan"]
    gone = set(before) - keys(home)
    assert gone == {c["key"] for c in planned["plan"]["free"]}  # type: ignore[index]
    assert "freed nothing: everything is needed" in call()[0]


@pytest.mark.parametrize("n_deleted", [0, 3, 8, 18, 30, 39])
def test_a_kill_between_deletes_is_harmless(
    home: Workspace, lived: Workspace, monkeypatch: pytest.MonkeyPatch, n_deleted: int
) -> None:
    class Killed(BaseException):
        pass

    left = [n_deleted]
    delete = Store.delete

    def until_killed(store: Store, key: str) -> bool:
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        return delete(store, key)

    age(home)
    made = retention.plan(home, day(LATE))
    monkeypatch.setattr(Store, "delete", until_killed)
    with pytest.raises(Killed):
        retention.sweep(home, made)
    monkeypatch.undo()
    assert verify(home, deep=True).damage == ()
    extent = ingest.read_window(home.reader(home.spec(NAME)), Window(day(4), day(30)), day(50))
    assert all(home.store.exists(chunks.key_of(c.id)) for found in extent.chunks.values() for c in found)
    age(home)
    free(home, day(LATE))
    assert keys(home) == keys(lived) - set(names(made))


def test_what_a_run_may_be_writing_stays(home: Workspace) -> None:
    assert retention.plan(home, day(LATE)).free == ()
    assert retention.plan(home, day(LATE)).n_young > 0
    age(home)
    old = next(key for key in names(retention.plan(home, day(LATE))) if key.startswith("snapshots/"))
    manifest = path_of(home, old)
    os.utime(manifest)
    kept = snapshots.read_manifest(home.store, manifest.stem)
    free(home, day(LATE))
    snapshots.load(home.store, kept, home.spec(NAME).spec.data)


def open_verdict(workspace: Workspace) -> None:
    first = workspace.ledger.verdicts(NAME)[0]
    release = workspace.ledger.release_of(first.id)
    assert release
    workspace.ledger.add_verdict(dataclasses.replace(first, id="f" * 64), [])
    workspace.ledger.add_release(dataclasses.replace(release, verdict_id="f" * 64))


def refused_verdict(workspace: Workspace) -> None:
    open_verdict(workspace)
    workspace.ledger.add_approval(NAME, "f" * 64, False, "someone", "no")


def open_request(workspace: Workspace) -> None:
    workspace.ledger.add_request(request(number=42))


@pytest.mark.parametrize(
    ("change", "n_releases", "n_chunks"),
    [(open_verdict, 0, 0), (refused_verdict, 11, 14), (open_request, 11, 0)],
)
def test_what_is_open_is_needed_however_old_it_is(
    home: Workspace, change: Callable[[Workspace], None], n_releases: int, n_chunks: int
) -> None:
    change(home)
    age(home)
    kinds = free(home, day(LATE))[1].by_kind
    assert (kinds.get("releases", 0), kinds.get("chunks", 0)) == (n_releases, n_chunks)
    assert verify(home).problems == ()


def test_a_model_without_its_yaml_keeps_its_champions_and_the_default_time(home: Workspace) -> None:
    age(home)
    keep_for(home, "1d")
    (home.settings.models / f"{NAME}.yaml").rename(home.settings.models / "gone")
    assert retention.plan(home, day(350)).free == ()
    free(home, day(LATE))
    for entry in home.ledger.champions(NAME)[-2:]:
        load_everything(home, entry)


def test_a_damaged_manifest_that_is_needed_keeps_every_chunk(home: Workspace) -> None:
    champion = home.ledger.champion(NAME)
    assert champion and champion.verdict_id
    release = home.ledger.release_of(champion.verdict_id)
    assert release
    path_of(home, f"snapshots/{release.snapshot_id}.json").write_text("{}")
    age(home)
    made, done = free(home, day(LATE))
    assert made.held and "1 needed manifest is missing or damaged" in made.held
    assert "chunks" not in done.by_kind


def test_a_reading_whose_chunk_is_gone_and_needed_by_no_one_is_read_again(home: Workspace) -> None:
    """As after a run that came to name a chunk in the very moment it was freed."""
    age(home)
    free(home, day(LATE))
    reader = home.reader(home.spec(NAME))
    chunk = ingest.read_window(reader, Window(day(4), day(5)), day(50)).chunks[day(4)][0]
    path_of(home, chunks.key_of(chunk.id)).unlink()
    free(home, day(LATE))
    assert ingest.read_window(reader, Window(day(4), day(5)), day(51)).n_partitions_read == 1
    assert home.store.exists(chunks.key_of(chunk.id))
