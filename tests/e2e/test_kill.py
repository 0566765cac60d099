"""A retraining that is killed at any point, and run again, comes to exactly what one run comes to."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from collections.abc import Iterator

import pytest
from mlflow import MlflowClient

from retraining.workspace import Workspace
from samples.tiny import NAME, environ
from tests.e2e.conftest import FIRST
from tests.support.forked import Forks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STAGES = ("ingest", "validate", "train", "evaluate", "gate", "release", "deploy")
INSIDE = {
    "ingest, chunks stored and not yet known": ("before", "retraining.ledger:Ledger.add_readings"),
    "train, a run is open": ("before", "retraining.train.candidates:best_setting"),
    "train, predictions kept and not yet known": ("after", "retraining.train.candidates:_keep"),
    "choose, every candidate is tried": ("before", "retraining.train.choose:_fit_chosen"),
    "evaluate, the look is taken and no figure is there": ("after", "retraining.ledger:Ledger.take_look"),
    "release, the model is not logged": ("before", "retraining.artifacts.registry:Registry.log_model"),
    "release, not bound to its verdict": ("before", "retraining.ledger:Ledger.add_release"),
    "deploy, after preflight": ("after", "retraining.rollout.champion:load_same"),
    "deploy, registered and not in the ledger": ("after", "retraining.rollout.champion:_register"),
    "deploy, in the ledger and without alias": ("after", "retraining.ledger:Ledger.move_champion"),
    "deploy, alias set and not noted": ("after", "retraining.artifacts.registry:Registry.set_alias"),
}


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    running = Forks()
    yield running
    running.close()


def run(forks: Forks, workspace: Workspace, *kill: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m retraining run` in a process of its own, and kill it there if that is wanted."""
    env = {**environ(workspace.settings), "PYTHONWARNINGS": "ignore"}
    # one of them with a real preflight
    quick = "preflight" not in "".join(kill)
    return forks.run(["run", NAME, "--as-of", FIRST.isoformat()], env, *kill, quick=quick)


def killed(forks: Forks, workspace: Workspace, moment: str, where: str) -> None:
    done = run(forks, workspace, moment, where)
    assert done.returncode == -signal.SIGKILL, f"{where} was never called: {done.stdout}{done.stderr}"


def count(workspace: Workspace, table: str) -> int:
    with sqlite3.connect(workspace.settings.ledger.removeprefix("sqlite:///")) as connection:
        return int(connection.execute(f"select count(*) from {table}").fetchone()[0])


def run_states(workspace: Workspace) -> list[str]:
    """Return the states of all MLflow runs."""
    client = MlflowClient(workspace.settings.mlflow, workspace.settings.mlflow)
    experiments = [e.experiment_id for e in client.search_experiments()]
    return sorted(r.info.status for r in client.search_runs(experiments))


def one_champion(workspace: Workspace) -> None:
    """Assert that history, registry, alias and runs are what one whole run leaves."""
    client = MlflowClient(workspace.settings.mlflow, workspace.settings.mlflow)
    history = workspace.ledger.champions(NAME)
    assert [(c.sequence, c.version, c.kind) for c in history] == [(1, 1, "promotion")]
    assert [v.version for v in client.search_model_versions(f"name = '{NAME}'")] == [1]
    assert workspace.registry.alias(NAME) == 1
    assert workspace.ledger.alias_was_set(NAME, 1)
    assert "RUNNING" not in run_states(workspace)
    assert [v.decision for v in workspace.ledger.verdicts(NAME)].count("promote") == 1
    assert len(workspace.ledger.numbered_looks(NAME)) == 1
    assert count(workspace, "releases") == 1 and count(workspace, "outcomes") == 1
    assert workspace.ledger.alerts(NAME) == []


@pytest.mark.parametrize("stage", STAGES)
def test_killed_after_a_stage_and_run_again(new: Workspace, forks: Forks, stage: str) -> None:
    killed(forks, new, "after", f"retraining.pipeline.retrain:{stage}")
    again = run(forks, new)
    assert again.returncode == 0, again.stderr
    one_champion(Workspace(new.settings))


@pytest.mark.parametrize("point", INSIDE)
def test_killed_inside_a_stage_and_run_again(new: Workspace, forks: Forks, point: str) -> None:
    killed(forks, new, *INSIDE[point])
    if "run is open" in point:
        assert run_states(new) == ["RUNNING"]
    if "without alias" in point:
        assert (len(new.ledger.champions(NAME)), new.registry.alias(NAME)) == (1, None)
    again = run(forks, new)
    assert again.returncode == 0, again.stderr
    one_champion(Workspace(new.settings))
    if "run is open" in point:
        assert "KILLED" in run_states(new)
