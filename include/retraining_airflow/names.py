"""The names by which DAGs, assets and pools find each other."""

from __future__ import annotations

RETRAIN, SCORE, MONITOR = "retrain", "score", "monitor"
SEPARATOR = "__"
APPROVE = "approve"
TAG = "retraining"


def dag_id(family: str, model: str) -> str:
    """Return a model's DAG of a family.

    >>> dag_id("retrain", "flight_delay")
    'retrain__flight_delay'
    """
    return f"{family}{SEPARATOR}{model}"


def model_of(name: str, family: str) -> str | None:
    """Return the model of a DAG, None when the DAG is of another family."""
    prefix = f"{family}{SEPARATOR}"
    return name.removeprefix(prefix) if name.startswith(prefix) else None


def request_asset(model: str) -> str:
    """Return the name of the asset whose events wake a model's retraining."""
    return f"retrain-request/{model}"


def snapshot_asset(model: str) -> str:
    """Return the name of the asset whose events name the rows that a model may be trained on."""
    return f"snapshot/{model}"


def model_asset(model: str) -> str:
    """Return the name of the asset whose events name what became of a release."""
    return f"model/{model}"


def predictions_asset(model: str) -> str:
    """Return the name of the asset whose events name the predictions that were published."""
    return f"predictions/{model}"
