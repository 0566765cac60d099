"""A whole model in milliseconds: 60 days of 40 rows, two numbers and a category, logistic regression.

Rows are a pure function of the day, so that any two builders write the same rows. Days are counted from `START`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from retraining.pipeline import whole
from retraining.pipeline.admission import admit
from retraining.pipeline.whole import RunResult
from retraining.settings import Settings
from retraining.workspace import Workspace
from samples.databases import give_ledger, give_mlflow

START = datetime(2024, 1, 1, tzinfo=UTC)
"""Day 0, a Monday."""
N_DAYS, N_ROWS = 60, 40
NAME = "tiny"

SPEC: dict[str, Any] = {
    "description": "A synthetic model: does the outcome happen?",
    "owner": {"business": "business@example.com", "technical": "technical@example.com"},
    "data": {
        "source": {"files": "tiny.csv"},
        "time_column": "time",
        "key": ["id"],
        "target": "y",
        "outcomes": ["cost"],
        "label_delay": "1d",
    },
    "checks": {"rows": [{"type": "expect_column_values_to_be_between", "column": "x1", "min_value": -50}]},
    "features": {"numeric": ["x1", "x2"], "categorical": ["kind"]},
    "training": {
        "task": "binary",
        "window": "28d",
        "folds": 2,
        "candidates": [{"estimator": "sklearn.linear_model.LogisticRegression"}],
    },
    "gate": {"holdout": "7d", "min_rows": 200, "margin": 0.05},
    "monitor": {"drift": {"history": 20}, "window": "5d", "reference": "7d"},
    "retrain": {"schedule": "0 4 * * 1", "min_new_labels": 100},
}


def day(number: float) -> datetime:
    """Return the start of a day, for example as an as-of time."""
    return START + timedelta(days=number)


def rows_of(number: int, *, n_rows: int = N_ROWS, signal: float = 2.0, shift: float = 0.0) -> pd.DataFrame:
    """Return one day's rows.

    Parameters
    ----------
    signal
        How much `x1` says about `y`: 0 is nothing, negative turns the relation round, so that a champion fails.
    shift
        Added to both numbers: drift of the inputs, without effect on the labels.
    """
    return _rows_of(number, n_rows, signal, shift).copy()


@cache
def _rows_of(number: int, n_rows: int, signal: float, shift: float) -> pd.DataFrame:
    """Make a day's rows once per process: making them takes a millisecond, and a model has sixty days."""
    random = np.random.default_rng(number)
    x1, x2 = random.normal(size=n_rows), random.normal(size=n_rows)
    kind = random.choice(["a", "b", "c"], size=n_rows)
    y = (signal * x1 + x2 + random.logistic(size=n_rows) > 0).astype(int)
    minutes = np.linspace(0, 24 * 60 - 1, n_rows).astype(int)
    return pd.DataFrame(
        {
            "id": [f"{number:05d}-{i:03d}" for i in range(n_rows)],
            "time": [day(number) + timedelta(minutes=int(m)) for m in minutes],
            "x1": np.round(x1 + shift, 6),
            "x2": np.round(x2 + shift, 6),
            "kind": kind,
            "cost": np.round(y * random.gamma(2.0, 10.0, size=n_rows), 3),
            "y": y,
        }
    )


def rows(days: Iterable[int], make: Callable[[int], pd.DataFrame] = rows_of) -> pd.DataFrame:
    """Return the rows of some days, oldest first."""
    return pd.concat([make(number) for number in days], ignore_index=True)


def write_csv(path: Path, frame: pd.DataFrame) -> Path:
    """Write rows the way the model's source reads them."""
    frame.to_csv(path, index=False)
    return path


@cache
def _default_csv() -> bytes:
    return rows(range(N_DAYS)).to_csv(index=False).encode()


def write_model(
    folder: Path,
    name: str = NAME,
    frame: pd.DataFrame | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """Write a model's YAML and its CSV into a folder; return the YAML's path.

    Parameters
    ----------
    frame
        The source's rows; default: `N_DAYS` days.
    changes
        Keys of the YAML to be changed, group by group; None removes a key.
    """
    folder.mkdir(parents=True, exist_ok=True)
    csv = folder / f"{name}.csv"
    if frame is None:
        csv.write_bytes(_default_csv())
    else:
        write_csv(csv, frame)
    document = merged(SPEC, {"data": {"source": {"files": str(csv)}}})
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(merged(document, changes or {}), sort_keys=False))
    return path


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a YAML's values with some of them changed; groups are merged, None removes a key."""
    result = copy.deepcopy(dict(base))
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def settings_in(folder: Path) -> Settings:
    """Return the settings of an installation inside a folder; its models are in `models`."""
    home = folder / "home"
    return Settings(
        home=home,
        store=(home / "store").as_uri(),
        ledger=f"sqlite:///{home / 'ledger.db'}",
        mlflow=f"sqlite:///{home / 'mlflow.db'}",
        models=folder / "models",
        lock=Path(__file__).resolve().parents[1] / "requirements.txt",
    )


def environ(settings: Settings) -> dict[str, str]:
    """Return the settings as the environment that gives them to another process."""
    return {
        "RETRAINING_HOME": str(settings.home),
        "RETRAINING_STORE": settings.store,
        "RETRAINING_LEDGER": settings.ledger,
        "RETRAINING_MODELS": str(settings.models),
        "MLFLOW_TRACKING_URI": settings.mlflow,
    }


def tiny(
    folder: Path,
    frame: pd.DataFrame | None = None,
    changes: Mapping[str, Any] | None = None,
    name: str = NAME,
) -> Workspace:
    """Write a model into `folder/models` and return the workspace of an installation in `folder`."""
    settings = settings_in(folder)
    write_model(settings.models, name, frame, changes)
    give_ledger(settings)
    return Workspace(settings)


def retrain(workspace: Workspace, as_of: datetime, name: str = NAME, *, dry_run: bool = False) -> RunResult:
    """Run a whole retraining in this process, started by a person."""
    give_mlflow(workspace.settings)
    admission = admit(
        workspace,
        workspace.spec(name),
        as_of=as_of,
        fallback=as_of,
        trigger="person",
        reason="test",
        dry_run=dry_run,
    )
    return whole.run(workspace, admission)
