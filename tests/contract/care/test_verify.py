"""`check --store`: every kind of damage is named with who needs the object; a whole store is whole."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from retraining.care.verify import Problem, verify
from retraining.cli.app import app
from retraining.data import chunks, snapshots
from retraining.records import Manifest, Tried, Window, to_dict
from retraining.store import Store
from retraining.workspace import Workspace
from samples.tiny import NAME, day, environ, settings_in
from tests.support.lived import files_of, path_of


def only(workspace: Workspace, *, deep: bool = False) -> Problem:
    found = verify(workspace, deep=deep).problems
    assert len(found) == 1, found
    return found[0]


def live_chunk(workspace: Workspace) -> str:
    """Return the key of a chunk that the live champion learnt from."""
    champion = workspace.ledger.champion(NAME)
    assert champion and champion.verdict_id
    release = workspace.ledger.release_of(champion.verdict_id)
    assert release
    return chunks.key_of(snapshots.read_manifest(workspace.store, release.snapshot_id).features[3].id)


def test_a_whole_store_is_whole(lived: Workspace) -> None:
    for deep in (False, True):
        found = verify(lived, deep=deep)
        assert found.problems == ()
        assert found.n_objects == len(files_of(lived))
        assert found.n_bytes == sum(p.stat().st_size for p in files_of(lived))


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("harm", "problem"), [(remove, "missing"), (truncate, "truncated: "), (alter, "altered: its rows are others")]
)
def test_a_damaged_chunk_is_named_with_those_who_need_it(
    home: Workspace, harm: Callable[[Path], None], problem: str
) -> None:
    key = live_chunk(home)
    harm(path_of(home, key))
    found = only(home)
    assert (found.kind, found.key, found.harmless) == ("chunk", key, False)
    assert found.problem.startswith(problem)
    assert "champion 3 of tiny (live)" in found.needed_by
    assert any(who.startswith("snapshot ") for who in found.needed_by)
    assert "the next runs that read its day" in found.needed_by
    assert "backup" in found.advice


def test_everything_else_that_is_stored_is_looked_at(home: Workspace) -> None:
    champion = home.ledger.champion(NAME)
    assert champion
    made = home.ledger.all_predictions(NAME)[-1]
    first, *_, last = home.ledger.recorded(Tried, NAME, "candidate").values()
    harmed: dict[str, Callable[[Path], None]] = {
        f"releases/{champion.release_id}/model.skops": alter,
        made.key: alter,
        first.predictions_key: truncate,
        last.predictions_key: remove,
        home.ledger.all_predictions(NAME)[0].key: remove,
        f"specs/{champion.spec_id}.json": lambda p: p.write_text(p.read_text().replace("tiny", "teny")) and None,
    }
    for key, harm in harmed.items():
        harm(path_of(home, key))
    found = {p.key: (p.kind, p.problem) for p in verify(home).damage}
    assert found == {
        f"releases/{champion.release_id}": ("release", found[f"releases/{champion.release_id}"][1]),
        made.key: ("predictions", "was altered or truncated"),
        first.predictions_key: ("candidate", "was altered or truncated"),
        last.predictions_key: ("candidate", "missing"),
        home.ledger.all_predictions(NAME)[0].key: ("predictions", "missing"),
        f"specs/{champion.spec_id}.json": ("spec", "was altered: what it says does not make up its id"),
    }
    gone = next(p for p in verify(home).damage if p.key == last.predictions_key)
    assert "champion 3 of tiny (live)" in gone.needed_by and "lack nothing" in gone.advice
    assert "model.skops was altered" in found[f"releases/{champion.release_id}"][1]


def test_a_manifest_is_compared_with_its_name(home: Workspace) -> None:
    champion = home.ledger.champion(NAME)
    assert champion and champion.verdict_id
    release = home.ledger.release_of(champion.verdict_id)
    assert release
    path = path_of(home, f"snapshots/{release.snapshot_id}.json")
    body = json.loads(path.read_text())
    body["features"].pop()
    path.write_text(json.dumps(body))
    found = only(home)
    assert (found.kind, found.problem) == ("snapshot", "was altered: what it lists does not make up its id")
    assert found.needed_by[0] == "champion 3 of tiny (live)"
    path.unlink()
    assert only(home).problem == "missing"


def test_deep_finds_rows_that_were_wrong_from_the_start_on_any_store(tmp_path: Path) -> None:
    """The file has the digest that is recorded of it, and holds other rows than the id says; only the rows tell."""
    settings = dataclasses.replace(settings_in(tmp_path), store=f"memory://{uuid.uuid4().hex}")
    workspace, window = Workspace(settings), Window(day(0), day(1))
    right, wrong = (chunks.normalise(pa.table({"id": ["a"], "x": [x]}), ["id"]) for x in (1.0, 2.0))
    named = dataclasses.replace(
        chunks.write(workspace.store, wrong, "features", day(0), "y")[0], id=chunks.content_id(right)
    )
    workspace.store.write_once(
        chunks.key_of(named.id), workspace.store.read(chunks.key_of(chunks.content_id(wrong)), named.file_sha256)
    )
    identity = snapshots.snapshot_id([named], [], window)
    manifest = Manifest(identity, window, (), (named,), ())
    workspace.store.write_json_once(f"snapshots/{identity}.json", to_dict(manifest))
    assert verify(workspace).problems == ()
    found = only(workspace, deep=True)
    assert (found.key, found.problem) == (chunks.key_of(named.id), "altered: its rows are others")


def test_what_a_killed_writer_left_is_harmless(home: Workspace) -> None:
    key = live_chunk(home)
    path_of(home, f"{key}.{uuid.uuid4().hex}.tmp").write_bytes(b"half")
    folder = path_of(home, "releases/" + "0" * 64)
    folder.mkdir()
    (folder / "model.skops").write_bytes(b"half")
    found = verify(home)
    assert [p.kind for p in found.problems] == ["leftover", "leftover"]
    assert found.damage == ()


def test_one_listing_per_prefix_and_no_look_per_object(lived: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    listing = Store.listing
    monkeypatch.setattr(Store, "listing", lambda self, prefix: calls.append(prefix) or listing(self, prefix))
    monkeypatch.setattr(Store, "exists", lambda *_: pytest.fail("looked for a single object"))
    verify(lived)
    assert len(calls) == len(set(calls)) < 10


def test_the_command_shows_a_table_and_fails(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ(home.settings).items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["check", "--store"])
    assert done.exit_code == 0
    assert "none damaged or missing" in done.stdout
    key = live_chunk(home)
    path_of(home, key).unlink()
    done = CliRunner().invoke(app, ["check", "--store"])
    assert done.exit_code == 1
    assert "1 damaged or missing" in done.stdout
    assert "Restore it from a backup of the store" in done.stdout
    done = CliRunner().invoke(app, ["check", "--store", "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["problems"][0]["key"] == key
