"""What housekeeping does between runs: reconcile the registry, find stale models."""

from __future__ import annotations

from datetime import datetime

from retraining.audit.status import Known, status
from retraining.errors import RetrainingError
from retraining.records import Alert
from retraining.rollout.alias import sync_alias
from retraining.spec import find_models, load
from retraining.workspace import Workspace


def reconcile(workspace: Workspace, model: str, as_of: datetime) -> str:
    """Compare the registry's alias with the ledger; complete what a killed deploy left, report what a person moved."""
    champion = workspace.ledger.champion(model)
    if champion is None:
        return f"{model}: no champion yet"
    alert = sync_alias(workspace, model, as_of)
    return alert.message if alert else f"{model}: ledger and registry agree on version {champion.version}"


def find_stale(workspace: Workspace, as_of: datetime) -> list[Alert]:
    """Raise an alert for each live champion that is stale or whose spec no longer loads."""
    paths = find_models(workspace.settings.models)
    alerts, known = [], Known.of_all(workspace.ledger)
    for model in workspace.ledger.models():
        if model not in paths:
            text = f"{model}: has a live champion but no YAML in {workspace.settings.models.name}. Nothing watches it."
        else:
            try:
                stale = status(workspace, load(paths[model]), as_of, known).stale
            except RetrainingError as error:
                stale = f"its YAML no longer loads: {error}"
            if stale is None:
                continue
            text = f"{model}: {stale}. Look at retrain__{model} in Airflow."
        alert = Alert(model, "stale", as_of, text)
        workspace.ledger.add_alert(alert)
        alerts.append(alert)
    return alerts
