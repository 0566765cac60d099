"""For the tests of one part: an installation to which the environment points, as a command or a callback finds it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from retraining.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An installation with one tiny model; nothing has run in it."""
    from samples.tiny import environ, tiny  # with scikit-learn, which many tests never import

    made = tiny(tmp_path)
    for name, value in environ(made.settings).items():
        monkeypatch.setenv(name, value)
    return made
