"""An empty MLflow database to copy: making its tables takes a second, and every made-up installation has one."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from retraining.settings import Settings

_SQLITE = "sqlite:///"


def give_mlflow(settings: Settings) -> None:
    """Put an empty database where MLflow would make one; one that is there stays, and a server's is its own."""
    path = Path(settings.mlflow.removeprefix(_SQLITE))
    if settings.mlflow.startswith(_SQLITE) and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_empty(), path)


@cache
def _empty() -> Path:
    """Have MLflow make its tables, once per process."""
    from mlflow import MlflowClient

    folder = Path(tempfile.mkdtemp(prefix="mlflow-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    uri = f"{_SQLITE}{folder / 'mlflow.db'}"
    MlflowClient(uri, uri).search_experiments(max_results=1)
    return folder / "mlflow.db"
