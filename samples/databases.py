"""Empty databases to copy: making their tables takes a second (MLflow) and a tenth of one (the ledger)."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from retraining.ledger import Ledger
from retraining.settings import Settings

_SQLITE = "sqlite:///"


def give_mlflow(settings: Settings) -> None:
    """Put an empty database where MLflow would make one; one that is there stays, and a server's is its own."""
    _give(settings.mlflow, _empty_mlflow)


def give_ledger(settings: Settings) -> None:
    """Put an empty ledger where one would be made; one that is there stays, and a server's is its own."""
    _give(settings.ledger, _empty_ledger)


def _give(url: str, empty: Callable[[], Path]) -> None:
    path = Path(url.removeprefix(_SQLITE))
    if url.startswith(_SQLITE) and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(empty(), path)


@cache
def _empty_mlflow() -> Path:
    """Have MLflow make its tables, once per process."""
    from mlflow import MlflowClient

    path = _folder() / "mlflow.db"
    MlflowClient(f"{_SQLITE}{path}", f"{_SQLITE}{path}").search_experiments(max_results=1)
    return path


@cache
def _empty_ledger() -> Path:
    """Run the ledger's migrations, once per process."""
    path = _folder() / "ledger.db"
    Ledger(f"{_SQLITE}{path}").close()
    return path


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="databases-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
