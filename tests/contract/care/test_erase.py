"""A person who was erased is in no chunk and no prediction, does not come back, and the gap says why."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from retraining.care import retention
from retraining.care.erase import Erasure, erase
from retraining.care.verify import verify
from retraining.cli.app import app
from retraining.cli.output import EXIT_WRONG_REQUEST, fail
from retraining.data import ingest, snapshots
from retraining.errors import Erased, RequestError, SourceError
from retraining.pipeline import monitor
from retraining.predictions import batch
from retraining.records import Manifest, Window
from retraining.store import Store
from retraining.workspace import Workspace
from samples.tiny import NAME, day, environ, retrain, rows_of, write_model
from tests.contract.conftest import _rows
from tests.support.lived import age, files_of, path_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_preflight")]

PERSON = "00046-003"
"""A row that the live champion learnt from, that was scored, and that its verdict was judged on."""
REASON = "asked for it on 2024-02-26"
ERASED_AT = datetime(2024, 2, 27, tzinfo=UTC)


def remove(workspace: Workspace, *, dry_run: bool = False, **given: str) -> Erasure:
    key = given or {"id": PERSON}
    return erase(workspace, NAME, key, reason=REASON, by="me", erased_at=ERASED_AT, dry_run=dry_run)


def holding(workspace: Workspace, person: str = PERSON) -> set[str]:
    """Return the folders of the Parquet files with a row of the person, and of any file with the key in its bytes."""
    found = set()
    for path in files_of(workspace):
        there = person.encode() in path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            there = there or any(person in table.column(c).to_pylist() for c in table.column_names)
        if there:
            found.add(str(path.relative_to(workspace.settings.home / "store")).split("/")[0])
    return found


def state_of(workspace: Workspace) -> object:
    return {p: p.stat().st_mtime_ns for p in files_of(workspace)}, _rows(workspace.settings.ledger)


def refit_of(workspace: Workspace, sequence: int | None = None) -> Manifest:
    champion = workspace.ledger.champion(NAME, sequence)
    assert champion and champion.verdict_id
    release = workspace.ledger.release_of(champion.verdict_id)
    assert release
    return snapshots.read_manifest(workspace.store, release.snapshot_id)


def test_the_person_is_gone_and_everything_else_is_there(home: Workspace) -> None:
    assert holding(home) >= {"chunks", "predictions"}
    others = {p.window.start: p.n_rows for p in home.ledger.all_predictions(NAME)}
    done = remove(home)
    assert [(o.what, o.n_rows) for o in done.objects] == [("features", 1), ("labels", 1), ("predictions", 1)]
    assert holding(home) <= {"releases"}
    assert not any(PERSON.encode() in p.read_bytes() for p in home.settings.home.glob("ledger.db*"))

    extent = ingest.read_window(home.reader(home.spec(NAME)), Window(day(46), day(47)), day(60))
    assert extent.n_partitions_read == 0, "the cleaned chunks stand in for the erased ones"
    assert [c.n_rows for c in extent.chunks[day(46)]] == [39, 39]
    made = home.ledger.all_predictions(NAME)
    assert {p.window.start: p.n_rows for p in made} == {**others, day(46): 39}
    assert all(batch.read_predictions(home.store, p).num_rows == p.n_rows for p in made)
    assert remove(home).objects == (), "doing it again finds nothing"


def test_a_new_retraining_works_and_is_without_the_person(home: Workspace) -> None:
    remove(home)
    result = retrain(home, day(61))
    assert result.deployment and result.deployment.outcome == "deployed", result.text
    assert PERSON not in snapshots.load(home.store, refit_of(home), home.spec(NAME).spec.data).column("id").to_pylist()
    assert holding(home) <= {"releases"}
    assert verify(home, deep=True).damage == ()


def test_the_live_champion_is_watched_on(home: Workspace) -> None:
    remove(home)
    assert monitor.run(home, home.spec(NAME), day(55)).model == NAME


def test_an_old_snapshot_says_when_why_and_what_is_lost(home: Workspace) -> None:
    done = remove(home)
    snapshot = refit_of(home)
    assert snapshot.id in done.snapshots
    with pytest.raises(
        Erased, match=f"was erased on 2024-02-27 because: {REASON}. Snapshots .*can no longer be rebuilt"
    ):
        snapshots.load(home.store, snapshot, home.spec(NAME).spec.data)
    snapshots.load(home.store, refit_of(home, 1), home.spec(NAME).spec.data)


def test_check_shows_a_gap_and_no_damage(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ(home.settings).items():
        monkeypatch.setenv(name, value)
    done = remove(home)
    found = verify(home, deep=True)
    assert found.damage == ()
    assert {p.key for p in found.problems} == {o.key for o in done.objects if o.key.startswith("chunks/")}
    for problem in found.problems:
        assert (problem.kind, problem.problem) == ("erased", "erased on 2024-02-27")
        assert "On purpose" in problem.advice
        assert "champion 3 of tiny (live)" in problem.needed_by
        assert "the next runs that read its day" not in problem.needed_by
    shown = CliRunner().invoke(app, ["check", "--store"])
    assert shown.exit_code == 0
    gap, total = shown.stdout.splitlines()
    assert gap.startswith("2 chunks erased on purpose, so that ") and "snapshots cannot be rebuilt" in gap
    assert total.endswith("none damaged or missing")


def test_a_reading_of_the_source_does_not_bring_the_person_back(home: Workspace) -> None:
    remove(home)
    reader, window = home.reader(home.spec(NAME)), Window(day(46), day(47))
    assert PERSON in reader.source.read(window).column("id").to_pylist(), "the source still has the row"
    extent = ingest.read_window(reader, window, day(47.5))
    assert extent.n_partitions_read == 1
    assert [c.n_rows for c in extent.chunks[day(46)]] == [39]
    assert list(home.ledger.erased_rows(NAME).values()) == [1]
    assert holding(home) <= {"releases"}


def test_a_key_that_the_source_no_longer_gives_blocks(home: Workspace) -> None:
    value = float(rows_of(46)["x2"][3])
    done = remove(home, x2=str(value))
    assert [o.n_rows for o in done.objects] == [1, 1, 1], "found by a feature; labels and predictions by its key"
    assert holding(home) <= {"releases"}
    frame = rows_of(58).drop(columns="x2")
    write_model(home.settings.models, frame=frame, changes={"features": {"numeric": ["x1"]}})
    with pytest.raises(SourceError, match="erased by x2, which the source no longer gives.*Keep the column"):
        ingest.read_window(home.reader(home.spec(NAME)), Window(day(58), day(59)), day(60))


def test_a_dry_run_names_the_same_and_changes_nothing(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ(home.settings).items():
        monkeypatch.setenv(name, value)

    before = state_of(home)
    arguments = ["erase", NAME, "--key", f"id={PERSON}", "--reason", REASON]
    planned = json.loads(CliRunner().invoke(app, [*arguments, "--dry-run", "--json"]).stdout)
    assert "would be erased from 3 stored objects of tiny" in CliRunner().invoke(app, [*arguments, "--dry-run"]).stdout
    assert state_of(home) == before
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0
    again = json.loads(done.stdout)
    assert PERSON not in done.stdout
    same = ("objects", "snapshots", "models", "learnt", "elsewhere")
    assert {k: again[k] for k in same} == {k: planned[k] for k in same}


def test_models_that_learnt_from_the_rows_are_listed_and_freed_when_nothing_needs_them(home: Workspace) -> None:
    first = home.ledger.champion(NAME, 1)
    assert first
    samples = path_of(home, f"releases/{first.release_id}/smoke.parquet")
    person = str(pq.read_table(samples)["id"][0])
    learnt = {one.release_id: one for one in remove(home, id=person).learnt}
    assert learnt[first.release_id].n_rows == 2, "a smoke row and, by its values, a reference row"
    assert learnt[first.release_id].users[0] == "champion 1 of tiny"
    assert samples.exists(), "models are not altered"
    assert holding(home, person) == {"releases"}
    age(home)
    retention.sweep(home, retention.plan(home, day(500)))
    assert not samples.exists()


@pytest.mark.parametrize("n_deleted", [0, 1, 2])
def test_a_kill_between_deletes_is_completed_by_doing_it_again(
    home: Workspace, monkeypatch: pytest.MonkeyPatch, n_deleted: int
) -> None:
    class Killed(BaseException):
        pass

    delete, left = Store.delete, [n_deleted]

    def until_killed(store: Store, key: str) -> bool:
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        return delete(store, key)

    monkeypatch.setattr(Store, "delete", until_killed)
    value = float(np.asarray(rows_of(46)["x2"])[3])  # found through the feature chunk only, so that must go last
    with pytest.raises(Killed):
        remove(home, x2=str(value))
    monkeypatch.undo()
    assert verify(home).damage == ()
    remove(home, x2=str(value))
    assert holding(home) <= {"releases"}
    assert verify(home, deep=True).damage == ()


def test_wrong_requests_change_nothing(home: Workspace) -> None:
    with pytest.raises(RequestError, match="no stored rows have a column customer. They have: "):
        remove(home, customer="4711")
    with pytest.raises(RequestError, match="there is no model nobody"):
        erase(home, "nobody", {"id": "1"}, reason=REASON, by="me", erased_at=ERASED_AT)
    with pytest.raises(RequestError, match="a reason"):
        erase(home, NAME, {"id": "1"}, reason=" ", by="me", erased_at=ERASED_AT)
    assert verify(home).problems == ()


@pytest.mark.parametrize("column", ["id", "x2"], ids=["which labels have, too", "which only features have"])
def test_a_value_that_nobody_has_is_said_to_be_so(
    home: Workspace, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    for name, value in environ(home.settings).items():
        monkeypatch.setenv(name, value)
    before = state_of(home)
    found = CliRunner().invoke(app, ["erase", NAME, "--key", f"{column}=-4711", "--reason", REASON])
    assert isinstance(found.exception, RequestError), found.output
    assert f"tiny: no stored row has that {column}. Nothing was changed." in str(found.exception)
    assert fail(found.exception).exit_code == EXIT_WRONG_REQUEST
    assert state_of(home) == before
