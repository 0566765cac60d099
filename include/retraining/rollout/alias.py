"""The alias `champion` in the registry follows the ledger; one that somebody moved by hand is reported, and stays."""

from __future__ import annotations

from datetime import datetime, timedelta

from retraining.errors import RequestError
from retraining.records import Alert, Champion
from retraining.workspace import Workspace

PAUSE = timedelta(days=2)
"""Housekeeping looks every day and may be down for one: what it says again after that is one alert that goes on."""


def sync_alias(workspace: Workspace, model: str, as_of: datetime) -> Alert | None:
    """Make the registry's alias follow the ledger; one that somebody moved by hand stays, and an alert is raised.

    Another run may do the same for this champion or the next one, and the registry has no compare-and-set. So whether
    the alias was set is read before the alias, and whoever set it looks whether the ledger has moved on meanwhile.
    """
    champion, mine = workspace.ledger.champion(model), set[int]()
    while champion is not None:
        alert = _sync(workspace, champion, as_of, mine)
        now = workspace.ledger.champion(model)
        if now == champion:
            if alert is not None:
                workspace.ledger.add_alert(alert)
            return alert
        champion = now
    return None


def _sync(workspace: Workspace, champion: Champion, as_of: datetime, mine: set[int]) -> Alert | None:
    """Set the alias if it is ours to set; `mine` are the versions that this very call set before."""
    ledger, registry, model = workspace.ledger, workspace.registry, champion.model
    was_set = ledger.alias_was_set(model, champion.sequence)
    found = registry.alias(model)
    if found != champion.version:
        ours = found in mine or (not was_set and found in _expected(workspace, champion))
        if not ours or not registry.version_exists(model, champion.version):
            return _moved(workspace, champion, found, as_of)
        registry.set_alias(model, champion.version)
        mine.add(champion.version)
    ledger.add_alias(model, champion.sequence, champion.version)
    return None


def _moved(workspace: Workspace, champion: Champion, found: int | None, as_of: datetime) -> Alert:
    cause = f"{champion.sequence} against {found}"
    incident = workspace.ledger.incident(champion.model, "alias moved", as_of, PAUSE, cause)
    return Alert(champion.model, "alias moved", as_of, _alias_problem(workspace, champion, found), incident)


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
    """The values the alias may have when this entry's alias was never set: none, or what the entries before left."""
    found: set[int | None] = {None}
    for sequence in range(champion.sequence - 1, 0, -1):
        before = workspace.ledger.champion(champion.model, sequence)
        found.add(before.version if before else None)
        if workspace.ledger.alias_was_set(champion.model, sequence):
            break
    return found


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
