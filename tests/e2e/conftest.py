"""Installations to work on: one with a first champion is made once, and restored for each test that wants it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from retraining import artifacts
from retraining.store import Store
from retraining.workspace import Workspace
from tests.support.tiny import day, retrain, settings_in, tiny

FIRST = day(40)
"""The as-of time of the first champion; its cut-off is day 39."""


@dataclass(frozen=True)
class Template:
    """Where the installation lives, and the copy it is restored from: paths are part of a spec, so it does not move."""

    folder: Path
    backup: Path


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """An installation whose model `tiny` has its first champion, deployed after a real preflight."""
    folder = tmp_path_factory.mktemp("installation")
    workspace = tiny(folder)
    result = retrain(workspace, FIRST)
    assert result.deployment is not None and result.deployment.outcome == "deployed", result.text
    workspace.ledger.close()
    backup = folder.with_name(f"{folder.name}-backup")
    shutil.copytree(folder, backup)
    return Template(folder, backup)


@pytest.fixture
def champion(template: Template, tmp_path: Path) -> Workspace:
    """The installation with a first champion; MLflow's database is a new copy, because its client keeps it open."""
    shutil.rmtree(template.folder, ignore_errors=True)  # SQLite removes files of its own as connections close
    shutil.copytree(template.backup, template.folder)
    settings = settings_in(template.folder)
    for file in settings.home.glob("mlflow.db*"):
        shutil.copy(file, tmp_path / file.name)
    return Workspace(replace(settings, mlflow=f"sqlite:///{tmp_path / 'mlflow.db'}"))


@pytest.fixture
def quick_preflight(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run preflight's check in this process, because a fresh one takes seconds; return the releases it saw."""
    checked: list[str] = []

    def check(store: Store, release_id: str) -> float:
        checked.append(release_id)
        files = artifacts.read_files(store, release_id)
        return artifacts.compare_with_expected(artifacts.from_files(release_id, files), files)

    monkeypatch.setattr("retraining.deploy.preflight", check)
    return checked
