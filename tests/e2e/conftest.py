"""Installations to work on: each state is reached once, kept, and restored for every test that starts from it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from retraining.pipeline import retrain as stages
from retraining.pipeline.admission import admit
from retraining.records import Release, Verdict
from retraining.workspace import Workspace
from samples.databases import give_mlflow
from samples.tiny import N_DAYS, NAME, day, merged, retrain, rows, rows_of, settings_in, tiny, write_csv
from tests.support.pictures import undrawn
from tests.support.preflight import in_this_process

FIRST, SECOND = day(40), day(48)
"""As-of times of the first champion (cut-off: day 39) and of a second retraining (holdout: days 40 to 46)."""

States = Callable[[str, Path], Workspace]


@dataclass(frozen=True)
class Released:
    """An installation with a champion and a challenger that was judged and released, not deployed."""

    workspace: Workspace
    verdict: Verdict
    release: Release


@pytest.fixture(scope="session")
def states(tmp_path_factory: pytest.TempPathFactory) -> States:
    """Return a function that restores a state: `new`, `champion`, `released` or `two champions`.

    Paths are part of a spec, so every state lives in the same folder. MLflow's database is a new copy each time: its
    client keeps the files it once opened.
    """
    folder = tmp_path_factory.mktemp("installation")
    kept = tmp_path_factory.mktemp("states")

    def keep(name: str, workspace: Workspace) -> None:
        workspace.ledger.close()
        shutil.copytree(folder, kept / name)

    workspace = tiny(folder)
    give_mlflow(workspace.settings)
    assert workspace.registry.alias(NAME) is None and workspace.ledger.champion(NAME) is None
    keep("new", workspace)
    with in_this_process(), undrawn():
        result = retrain(workspace, FIRST)
        assert result.deployment is not None and result.deployment.outcome == "deployed", result.text
        keep("champion", workspace)
        verdict, release = judge_and_release(workspace)
        keep("released", workspace)
        assert stages.deploy(workspace, verdict, release.id, by="gate").outcome == "deployed"
        keep("two champions", workspace)

    def restore(name: str, own: Path) -> Workspace:
        shutil.rmtree(folder, ignore_errors=True)  # SQLite removes files of its own as connections close
        shutil.copytree(kept / name, folder, dirs_exist_ok=True)
        settings = settings_in(folder)
        for file in settings.home.glob("mlflow.db*"):
            shutil.copy(file, own / file.name)
        return Workspace(replace(settings, mlflow=f"sqlite:///{own / 'mlflow.db'}"))

    return restore


def judge_and_release(workspace: Workspace) -> tuple[Verdict, Release]:
    """Run a retraining as of `SECOND` up to its release."""
    frozen = workspace.spec(NAME)
    admission = admit(workspace, frozen, as_of=SECOND, fallback=SECOND, trigger="person", reason="", dry_run=False)
    ingested = stages.ingest(workspace, admission)
    ingested = stages.validate(workspace, admission, ingested).ingested
    trained = stages.train(workspace, admission, ingested)
    verdict = stages.gate(workspace, admission, stages.evaluate(workspace, admission, ingested, trained))
    return verdict, stages.release(workspace, admission, ingested, trained, verdict)


def misled(workspace: Workspace) -> Workspace:
    """Turn what the next candidate will learn into the opposite of what its holdout holds."""
    spoiled = rows(range(N_DAYS), lambda number: rows_of(number, signal=-2.0 if number < 40 else 2.0))
    write_csv(workspace.settings.models / f"{NAME}.csv", spoiled)
    forget_readings(workspace)
    return Workspace(workspace.settings)


def edit(workspace: Workspace, changes: dict[str, Any], cases: str | None = None) -> Workspace:
    """Change the model's YAML, and write its behavioural cases beside it."""
    path = workspace.settings.models / f"{NAME}.yaml"
    path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), changes), sort_keys=False))
    if cases is not None:
        (workspace.settings.models / "tiny.cases.yaml").write_text(cases)
    return Workspace(workspace.settings)


def forget_readings(workspace: Workspace) -> None:
    """Have days before the look-back read again."""
    with sqlite3.connect(workspace.settings.ledger.removeprefix("sqlite:///")) as connection:
        connection.execute("delete from readings")


@pytest.fixture(autouse=True)
def _others_are_drawn(quick_pictures: None) -> None:
    """The pictures of the loop on a real scheduler are drawn, as ever."""


@pytest.fixture
def new(states: States, tmp_path: Path) -> Workspace:
    """An installation that never ran; its databases are there, because making them takes seconds."""
    return states("new", tmp_path)


@pytest.fixture
def champion(states: States, tmp_path: Path) -> Workspace:
    """An installation with a first champion."""
    return states("champion", tmp_path)


@pytest.fixture
def released(states: States, tmp_path: Path) -> Released:
    """An installation with a first champion and a released challenger."""
    workspace = states("released", tmp_path)
    verdict = workspace.ledger.verdicts(NAME)[-1]
    release = workspace.ledger.release_of(verdict.id)
    assert release is not None
    return Released(workspace, verdict, release)


@pytest.fixture
def two_champions(states: States, tmp_path: Path) -> Workspace:
    """An installation with a second champion."""
    return states("two champions", tmp_path)
