"""What housekeeping does between runs: reconcile the registry, find stale models. One model's error stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from retraining.audit.status import Known, status
from retraining.errors import RetrainingError, Unavailable, said, shown
from retraining.records import Alert
from retraining.rollout.alias import PAUSE, sync_alias
from retraining.spec import find_models, load
from retraining.workspace import Workspace


@dataclass(frozen=True)
class Round:
    """What one pass over all models found: a sentence each, and the models whose pass failed, with the error."""

    said: tuple[str, ...]
    failed: dict[str, Exception]

    def require_whole(self) -> None:
        """Fail for the models that failed, once all others are done.

        Raises
        ------
        Unavailable
            When all of them may heal.
        RetrainingError
            When one of them needs a person.
        """
        if not self.failed:
            return
        causes = "; ".join(_cause(error) for _, error in sorted(self.failed.items())[:_SHOWN])
        text = f"housekeeping failed for {shown(self.failed)}; all others are done. {causes}."
        heals = all(isinstance(error, Unavailable) for error in self.failed.values())
        raise (Unavailable if heals else RetrainingError)(text)


_SHOWN = 3
"""Causes that the failure of a task quotes: they are often the same; each model's alert has its own."""


def reconcile(workspace: Workspace, model: str, as_of: datetime) -> str:
    """Compare the registry's alias with the ledger; complete what a killed deploy left, report what a person moved."""
    champion = workspace.ledger.champion(model)
    if champion is None:
        return f"{model}: no champion yet"
    alert = sync_alias(workspace, model, as_of)
    return alert.message if alert else f"{model}: ledger and registry agree on version {champion.version}"


def reconcile_all(workspace: Workspace, as_of: datetime) -> Round:
    """Reconcile every model that has a champion."""
    return _each(workspace, workspace.ledger.models(), as_of, lambda model: reconcile(workspace, model, as_of))


def find_stale(workspace: Workspace, as_of: datetime) -> Round:
    """Raise an alert for each live champion that is stale, or whose spec is gone or no longer loads."""
    paths = find_models(workspace.settings.models)
    known = Known.of_all(workspace.ledger, as_of)

    def look(model: str) -> str | None:
        if model not in paths:
            text = f"{model}: has a live champion but no YAML in {workspace.settings.models.name}. Nothing watches it."
        else:
            stale = status(workspace, load(paths[model]), as_of, known).stale
            if stale is None:
                return None
            text = f"{model}: {stale}. Look at retrain__{model} in Airflow."
        since = known.judged.get(model)  # until it is judged again, it is one alert that goes on
        incident = f"since {since.isoformat()}" if since else "never judged"
        workspace.ledger.add_alert(Alert(model, "stale", as_of, text, incident))
        return text

    return _each(workspace, workspace.ledger.models(), as_of, look)


def _each(workspace: Workspace, models: Iterable[str], as_of: datetime, work: Callable[[str], str | None]) -> Round:
    """Do a piece of work for each model; where it fails, leave an alert and go on."""
    found: list[str] = []
    failed: dict[str, Exception] = {}
    for model in models:
        try:
            text = work(model)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one model, the others get their upkeep
            failed[model] = error
            text = f"{model}: {_cause(error)}"
            _alarm(workspace, model, as_of, f"{text}.")
        found += [text] if text else []
    return Round(tuple(found), failed)


def _alarm(workspace: Workspace, model: str, as_of: datetime, cause: str) -> None:
    text = f"{cause} Housekeeping went on with the other models; the champion goes on. Mend the cause."
    with suppress(Unavailable):  # the ledger may be what is away: then the task's failure has to do
        incident = workspace.ledger.incident(model, "housekeeping failed", as_of, PAUSE)
        workspace.ledger.add_alert(Alert(model, "housekeeping failed", as_of, text, incident))


def _cause(error: Exception) -> str:
    """Return all that an error of ours says, in a line; what is wrong with a YAML stands behind its first one."""
    ours = isinstance(error, RetrainingError)
    return (" ".join(str(error).split()) if ours and str(error) else said(error)).removesuffix(".")
