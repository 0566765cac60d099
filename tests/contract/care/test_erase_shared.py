"""Models that read one table share a person: erased from one, the person is erased from all, and does not come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from retraining.care.erase import Erasure, erase
from retraining.care.verify import verify
from retraining.cli.app import app
from retraining.data import ingest
from retraining.pipeline import score
from retraining.records import Window
from retraining.workspace import Workspace
from samples.tiny import NAME, day, environ, merged, retrain, rows_of, write_model
from tests.contract.care.test_erase import ERASED_AT, PERSON, REASON, holding
from tests.support.lived import copy_of

pytestmark = pytest.mark.slow

X2 = str(float(rows_of(46)["x2"][3]))
"""A value that tells the same person, in a column that only features have."""


def add(workspace: Workspace, name: str, files: object = None, **changes: Any) -> None:
    """Add a model that reads the table of the first one, or other files."""
    source = {"files": str(files or workspace.spec(NAME).spec.data.source.files)}
    write_model(workspace.settings.models, name, rows_of(0), merged({"data": {"source": source}}, changes))


def add_narrow(workspace: Workspace, name: str) -> None:
    """Add a model whose query over the same table leaves out x2."""
    query = workspace.settings.models / f"{name}.sql"
    query.write_text("select id, time, x1, kind, cost, y from data where time >= :start and time < :end")
    add(workspace, name, data={"source": {"query": query.name}}, features={"numeric": ["x1"]})


def lead(workspace: Workspace, name: str) -> None:
    """Make a champion of a model and score the person's day with it."""
    result = retrain(workspace, day(54), name)
    assert result.deployment and result.deployment.outcome == "deployed", result.text
    score.run(workspace, workspace.spec(name), day(55))


def read(workspace: Workspace, name: str, first: int = 40, last: int = 52) -> int:
    """Read some days again, as a run as of a later time does; return how many rows there are."""
    extent = ingest.read_window(workspace.reader(workspace.spec(name)), Window(day(first), day(last)), day(56.5))
    return sum(c.n_rows for found in extent.chunks.values() for c in found if c.kind == "features")


def remove(workspace: Workspace, model: str = NAME, **given: str) -> Erasure:
    return erase(workspace, model, given or {"id": PERSON}, reason=REASON, by="me", erased_at=ERASED_AT)


def release_of(workspace: Workspace, name: str) -> str:
    champion = workspace.ledger.champion(name)
    assert champion
    return champion.release_id


@pytest.fixture(scope="module")
def three(lived: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Three models with champions on one table: nobody changes it."""
    workspace = copy_of(lived, tmp_path_factory.mktemp("three"))
    add(workspace, "other")
    add_narrow(workspace, "narrow")
    lead(workspace, "other")
    lead(workspace, "narrow")
    return workspace


@pytest.fixture
def shared(three: Workspace, tmp_path: Path) -> Workspace:
    """A copy of it that a test may change."""
    return copy_of(three, tmp_path)


def test_a_new_model_of_the_same_table_trains_without_the_person(home: Workspace) -> None:
    remove(home)
    add(home, "other")
    lead(home, "other")
    assert holding(home) <= {"releases"}
    assert verify(home, deep=True).damage == ()


def test_a_new_model_of_a_copy_of_the_table_is_without_the_person(home: Workspace, tmp_path: Path) -> None:
    """Nobody told that it is the same table: the very rows do."""
    remove(home)
    copy = tmp_path / "copy.csv"
    copy.write_text(Path(str(home.spec(NAME).spec.data.source.files)).read_text())
    add(home, "other", copy)
    assert read(home, "other") == 12 * 40 - 1
    assert holding(home) <= {"releases"}


def test_a_new_model_that_lacks_the_column_is_without_the_person(home: Workspace) -> None:
    """Its features are others, so the labels, which are the same, lead to the row."""
    remove(home, x2=X2)
    add_narrow(home, "narrow")
    assert read(home, "narrow") == 12 * 40 - 1
    assert holding(home) <= {"releases"}


SCORED = {"id": "00054-003", "x2": str(float(rows_of(54)["x2"][3]))}
"""A person of a day that all three models have scored."""


@pytest.mark.parametrize("column", ["id", "x2"], ids=["by the key", "by a column that one lacks"])
def test_what_other_models_stored_is_cleaned_too(shared: Workspace, column: str) -> None:
    given, person = {column: SCORED[column]}, SCORED["id"]
    assert {"chunks", "predictions"} <= holding(shared, person)
    done = remove(shared, **given)
    assert done.models == ("narrow", "other", NAME)
    assert {o.key.split("/")[1] for o in done.objects if o.what == "predictions"} == {"narrow", "other", NAME}
    assert holding(shared, person) <= {"releases"}
    assert verify(shared, deep=True).damage == ()
    n_rows = {read(shared, name, 50, 55) for name in done.models}
    assert n_rows == {5 * 40 - 1}, "nobody is blocked, and nobody comes back"
    assert holding(shared, person) <= {"releases"}
    assert remove(shared, **given).objects == ()


def test_sample_rows_of_other_models_are_counted_by_model(shared: Workspace) -> None:
    learnt = {one.release_id: one for one in remove(shared, kind="a").learnt}
    for name in ("narrow", "other", NAME):
        assert learnt[release_of(shared, name)].model == name
        assert learnt[release_of(shared, name)].n_rows > 0


def test_what_is_left_to_do_is_said_as_commands(shared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ(shared.settings).items():
        monkeypatch.setenv(name, value)
    write_model(shared.settings.models, "foreign", rows_of(46).assign(x1=0.5, y=1))
    read(shared, "foreign", 46, 47)
    done = CliRunner().invoke(app, ["erase", NAME, "--key", f"id={PERSON}", "--reason", REASON])
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    for name in ("narrow", "other", NAME):
        assert f"python -m retraining run {name} --as-of TIME" in text
    todo = f"python -m retraining erase foreign --key id={PERSON} --reason '{REASON}'"
    assert f"foreign has rows with such a key, and shares none of them; if it is the same person, run: {todo}" in text
    assert "chunks" in holding(shared), "another table is another person until somebody says so"
    assert remove(shared, "foreign").models == ("foreign",)
    assert holding(shared) <= {"releases"}
