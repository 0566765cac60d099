"""The alias `champion` in the registry follows the ledger; one that somebody moved by hand is reported, and stays."""

from __future__ import annotations

from datetime import datetime, timedelta

from retraining.errors import RequestError
from retraining.records import Alert, Champion
from retraining.workspace import Workspace

PAUSE = timedelta(days=2)
"""Housekeeping looks every day and may be down for one: what it says again after that is one alert that goes on."""


def sync_alias(workspace: Workspace, model: str, as_of: datetime) -> Alert | None:
    """Make the registry's alias follow the ledger; one that somebody moved by hand stays, and an alert is raised."""
    champion = workspace.ledger.champion(model)
    if champion is None:
        return None
    found = workspace.registry.alias(model)
    if found == champion.version:
        workspace.ledger.add_alias(model, champion.sequence, champion.version)
        return None
    ours = not workspace.ledger.alias_was_set(model, champion.sequence) and found in _expected(workspace, champion)
    if ours and workspace.registry.version_exists(model, champion.version):
        workspace.registry.set_alias(model, champion.version)
        workspace.ledger.add_alias(model, champion.sequence, champion.version)
        return None
    cause = f"{champion.sequence} against {found}"
    incident = workspace.ledger.incident(model, "alias moved", as_of, PAUSE, cause)
    alert = Alert(model, "alias moved", as_of, _alias_problem(workspace, champion, found), incident)
    workspace.ledger.add_alert(alert)
    return alert


def _alias_problem(workspace: Workspace, champion: Champion, found: int | None) -> str:
    model, version = champion.model, champion.version
    if not workspace.registry.version_exists(model, version):
        return (
            f"{model}: version {version}, the ledger's champion, was deleted in MLflow. Nothing was changed: scoring "
            "and rollback read the release; the next promotion sets the alias again."
        )
    adopt = "" if found is None else f", `registry adopt {model}` makes version {found} the champion"
    return (
        f"{model}: the alias champion in MLflow names {f'version {found}' if found else 'no version'}, the ledger says "
        f"version {version}. Nothing was changed. Settle it: `registry restore {model}` puts the ledger's version "
        f"back{adopt}."
    )


def _expected(workspace: Workspace, champion: Champion) -> set[int | None]:
    """The values the alias may have when this entry's alias was never set: none, or the entry before."""
    before = workspace.ledger.champion(champion.model, champion.sequence - 1) if champion.sequence > 1 else None
    return {None, before.version if before else None}


def restore_alias(workspace: Workspace, model: str) -> Champion:
    """Point the alias at the ledger's champion, whatever it names now.

    Raises
    ------
    RequestError
        When there is no champion, or its version was deleted in MLflow.
    """
    champion = workspace.ledger.champion(model)
    if champion is None:
        raise RequestError(f"{model}: has no champion to restore.")
    if not workspace.registry.version_exists(model, champion.version):
        raise RequestError(
            f"{model}: version {champion.version} was deleted in MLflow. Scoring and rollback do not need it; "
            "the next promotion sets the alias again."
        )
    workspace.registry.set_alias(model, champion.version)
    workspace.ledger.add_alias(model, champion.sequence, champion.version)
    return champion
