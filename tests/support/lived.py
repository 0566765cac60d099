"""An installation that has lived: three champions, each with its predictions; and copies of it to be mistreated."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from retraining.pipeline import score
from retraining.workspace import Workspace
from samples.tiny import NAME, day, retrain, settings_in, tiny
from tests.support.pictures import undrawn
from tests.support.preflight import in_this_process

RETRAINED = (40, 47, 54)
"""The as-of days of the three retrainings; the model is scored on the day after each."""
AS_OF = day(56)


def live(folder: Path) -> Workspace:
    """Run three retrainings a week apart, and score after each."""
    workspace = tiny(folder)
    with in_this_process(), undrawn():
        for number in RETRAINED:
            result = retrain(workspace, day(number))
            assert result.deployment and result.deployment.outcome == "deployed", result.text
            assert score.run(workspace, workspace.spec(NAME), day(number + 1))
    workspace.ledger.close()
    return workspace


def copy_of(lived: Workspace, folder: Path) -> Workspace:
    """Return a copy whose store, ledger and YAML may be changed; its source is the original's."""
    settings = settings_in(folder)
    shutil.copytree(lived.settings.home, settings.home)
    shutil.copytree(lived.settings.models, settings.models)
    return Workspace(settings)


def files_of(workspace: Workspace) -> list[Path]:
    """Return every file in the store but the descriptions of environments, which are kept for ever."""
    found = (workspace.settings.home / "store").rglob("*")
    return sorted(p for p in found if p.is_file() and p.parent.name != "environments")


def path_of(workspace: Workspace, key: str) -> Path:
    """Return the file of a key."""
    return workspace.settings.home / "store" / key


def age(workspace: Workspace, days: float = 2) -> None:
    """Make every stored file look older than a run can be."""
    then = time.time() - days * 86400
    for path in files_of(workspace):
        os.utime(path, (then, then))
