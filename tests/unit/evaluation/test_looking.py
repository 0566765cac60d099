"""No figure of a holdout is there before its look is counted; of two runs at once one is the later."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from mlflow import MlflowClient

from retraining.evaluation.comparison import Comparison
from retraining.ledger import Ledger
from retraining.pipeline import retrain as stages
from retraining.pipeline.admission import admit
from retraining.records import Admission, Evaluation, Ingested, Look, Trained, Window
from retraining.workspace import Workspace
from samples.databases import give_mlflow
from samples.tiny import NAME, day, retrain, tiny
from tests.support import postgres

AS_OF = day(40)
Ready = tuple[Workspace, Admission, Ingested, Trained]


class Killed(BaseException):
    """What SIGKILL does, as far as code after it goes."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workspace]:
    """An installation on either database."""
    found = tiny(tmp_path)
    if request.param == "sqlite":
        yield found
    else:
        with postgres.cluster() as server:
            url = postgres.create_database(server, "looks")
            yield (other := Workspace(dataclasses.replace(found.settings, ledger=url)))
            other.ledger.close()
    found.ledger.close()


def ready(workspace: Workspace, as_of: datetime = AS_OF, *, dry_run: bool = False) -> Ready:
    """Return a run whose candidate waits to be judged."""
    give_mlflow(workspace.settings)
    frozen = workspace.spec(NAME)
    admission = admit(workspace, frozen, as_of=as_of, fallback=as_of, trigger="person", reason="", dry_run=dry_run)
    ingested = stages.validate(workspace, admission, stages.ingest(workspace, admission)).ingested
    return workspace, admission, ingested, stages.train(workspace, admission, ingested)


def left(run: Ready) -> tuple[list[str], list[str], dict[str, Any]]:
    """Return what a run left of its holdout: metrics in MLflow, reports in the store, evaluations in the ledger."""
    workspace, trained = run[0], run[3]
    client = MlflowClient(workspace.settings.mlflow, workspace.settings.mlflow)
    metrics = [name for name in client.get_run(trained.run_id).data.metrics if name.startswith("holdout")]
    reports = [str(p) for p in workspace.settings.home.joinpath("store", "reports").rglob("finalists/**/*.json")]
    return metrics, reports, workspace.ledger.recorded(Evaluation, NAME, "evaluate")


def test_nothing_of_a_holdout_is_there_before_its_look_is_counted(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, computed = ready(workspace), []
    value, take = Comparison.value, Ledger.take_look

    def watched(self: Comparison, *args: Any) -> Any:
        computed.append(len(workspace.ledger.numbered_looks(NAME)))
        return value(self, *args)

    def killed(self: Ledger, look: Look) -> int:
        take(self, look)
        raise Killed

    monkeypatch.setattr(Comparison, "value", watched)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "take_look", killed)
        with pytest.raises(Killed):
            stages.evaluate(*run)
    assert computed == [] and left(run) == ([], [], {})
    assert len(workspace.ledger.numbered_looks(NAME)) == 1

    e = stages.evaluate(*run)
    assert set(computed) == {1}, "figures came after the look, and the killed run took no second one"
    assert (e.looks, len(workspace.ledger.numbered_looks(NAME))) == (0, 1)
    metrics, reports, evaluations = left(run)
    assert metrics and reports and len(evaluations) == 1, "what is looked for above is what a run leaves"


def test_a_run_killed_after_its_figures_takes_no_second_look(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ready(workspace)

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("retraining.evaluation.evaluate._show", killed)
        with pytest.raises(Killed):
            stages.evaluate(*run)
    e = stages.evaluate(*run)
    stages.gate(workspace, run[1], e)
    assert stages.evaluate(*run) == e, "nor does a run after its verdict"
    assert (e.looks, [look.evaluation for look in workspace.ledger.numbered_looks(NAME).values()]) == (0, [e.look])


@pytest.mark.usefixtures("quick_pictures")
def test_of_two_runs_at_once_one_is_the_later(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [ready(workspace, when) for when in (AS_OF, AS_OF + timedelta(hours=6))]  # of the same rows
    assert runs[0][2].holdout.id == runs[1][2].holdout.id
    gate, numbered, met = Barrier(2), Ledger.numbered_looks, set()

    def together(self: Ledger, model: str) -> dict[int, Look]:
        found = numbered(self, model)
        if not found and id(self) not in met:  # both find that nobody has looked, and only then go on
            met.add(id(self))
            gate.wait(60)
        return found

    monkeypatch.setattr(Ledger, "numbered_looks", together)
    monkeypatch.setattr("retraining.evaluation.evaluate._show", lambda *_: None)  # MLflow in threads is not the matter
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda run: stages.evaluate(Workspace(workspace.settings), *run[1:]), runs))
    assert len(met) == 2, "they met"
    assert sorted(e.looks for e in found) == [0, 1]
    first, later = sorted(found, key=lambda e: e.looks)
    assert first.over_baseline is not None and later.over_baseline is not None
    assert later.over_baseline.lower < first.over_baseline.lower, "the later one's interval is wider"


@pytest.mark.parametrize(("dry_run", "rows", "n_looks"), [(True, 200, 1), (False, 100_000, 0)])
def test_a_dry_run_is_a_look_and_a_holdout_that_cannot_decide_is_none(
    tmp_path: Path, dry_run: bool, rows: int, n_looks: int
) -> None:
    run = ready(tiny(tmp_path, changes={"gate": {"min_rows": rows}}), dry_run=dry_run)
    e = stages.evaluate(*run)
    assert bool(stages.gate(run[0], run[1], e).checklist) == bool(n_looks)
    looks = run[0].ledger.numbered_looks(NAME)
    assert len(looks) == n_looks and (e.look is None) == (not looks)
    assert run[0].ledger.looks_before(Look(NAME, "next", False, Window(day(32), day(39)), day(32))) == n_looks


@pytest.mark.usefixtures("quick_preflight", "quick_pictures")
def test_an_older_run_than_the_champion_takes_no_look(tmp_path: Path) -> None:
    workspace = tiny(tmp_path)
    retrain(workspace, AS_OF)
    before = workspace.ledger.numbered_looks(NAME)
    older = retrain(workspace, day(39)).verdict
    assert older is not None and older.decision == "superseded"
    assert workspace.ledger.numbered_looks(NAME) == before and len(before) == 1
