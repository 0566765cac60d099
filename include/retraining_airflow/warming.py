"""Warm workers: import the heavy libraries once in the process that Airflow forks its tasks from."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from retraining.settings import settings

_HEAVY = (
    "numpy",
    "pandas",
    "pyarrow.compute",
    "pyarrow.parquet",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "skops.io",
    "mlflow",
    "mlflow.sklearn",
    "great_expectations",
    "evidently",
    "duckdb",
    "retraining.pipeline.monitor",
    "retraining.pipeline.retrain",
    "retraining.pipeline.score",
    "retraining.pipeline.whole",
    "retraining.evaluation.evaluate",
    "retraining.monitor.measure",
    "retraining.pages.verdicts.page",
    "retraining.rollout.champion",
    "retraining.rollout.release",
    "retraining.validation.validate",
    "retraining_airflow.graphs.retrain",
    "retraining_airflow.graphs.score",
    "retraining_airflow.graphs.monitor",
)
_MLFLOW_TABLES = (
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "mlflow.store.model_registry.sqlalchemy_workspace_store",
)
_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def warm(argv: list[str] | None = None) -> bool:
    """Import what tasks need, in an Airflow scheduler or Celery worker, when `RETRAINING_WARM=1` and on Linux.

    Thread pools are capped at one before the imports, because a fork of a process with running threads can hang;
    the task boundary raises the cap again in the child. Other processes, and other systems, are left alone.

    Returns
    -------
    Whether anything was imported.
    """
    # not sys.argv: while `python -m airflow` imports its package, that still starts with `-m`
    words = sys.orig_argv if argv is None else argv
    wanted = os.environ.get("RETRAINING_WARM") == "1" and sys.platform.startswith("linux")
    if not wanted or not _runs_tasks(words):
        return False
    for variable in _POOLS:
        os.environ[variable] = "1"
    for name in (*_HEAVY, *_mlflow_store()):
        importlib.import_module(name)
    # what is installed is what this process has imported; each task would look into every package for it again
    importlib.import_module("retraining.artifacts.environment").environment_id()
    return True


def _mlflow_store() -> tuple[str, ...]:
    """Return what MLflow imports with its first call, about a second in each task: its own tables, without a server."""
    return () if settings().mlflow.startswith(("http:", "https:")) else _MLFLOW_TABLES


def _runs_tasks(words: list[str]) -> bool:
    """Tell whether a command line is `airflow scheduler` or `airflow celery worker`, started by script or by `-m`."""
    start = next((i for i, word in enumerate(words) if Path(word).name == "airflow"), None)
    after = words[start + 1 :] if start is not None else []
    return after[:1] == ["scheduler"] or after[:2] == ["celery", "worker"]
