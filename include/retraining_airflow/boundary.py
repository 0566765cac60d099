"""The line between Airflow and our code: errors, connections, threads and the times a run is about."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from retraining.errors import RetrainingError, SourceError
from retraining.settings import settings
from retraining.windows import parse_time, to_utc

if TYPE_CHECKING:
    from retraining.workspace import Workspace

_TRIGGERS = {"scheduled": "schedule", "asset_triggered": "request", "backfill": "schedule"}
_NOBODY = "Anonymous"
"""Whom Airflow's simple auth manager sees when it is told to let everybody in."""
LOGIN_NAMES = "retraining_airflow.logins.LoginNames"
"""Our auth manager by its path: importing it would start Flask."""
_DRIVERS = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2", "mysql": "mysql+pymysql"}


@contextmanager
def stage(*, housekeeping: bool = False) -> Iterator[Workspace]:
    """Open a workspace for one task, and turn an error that a retry cannot heal into a failure without retries."""
    import threadpoolctl

    from retraining.workspace import Workspace

    found = settings()
    work = Workspace(found.for_housekeeping() if housekeeping else found, resolve_connection)
    threads = int(os.environ.get("RETRAINING_THREADS", "1"))
    try:
        with threadpoolctl.threadpool_limits(threads):
            yield work
    except RetrainingError as error:
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


def emit(asset: str, **extra: Any) -> None:
    """Say in the event of a task's outlet which ids it is about, for lineage and for whoever is scheduled by it."""
    from airflow.sdk import Asset, get_current_context

    get_current_context()["outlet_events"][Asset(asset)].extra = extra


def name_in_grid(key: str, name: str) -> None:
    """Say what a mapped task is called in Airflow's grid: its `map_index_template` reads it from the context."""
    from airflow.sdk import get_current_context

    get_current_context()[key] = name  # type: ignore[literal-required]  # Airflow types its own keys only


def skip_without_champion(work: Workspace, model: str) -> None:
    """Skip the run of a model that never had a champion: it is new, its first retraining may still be under way.

    Raises
    ------
    AirflowSkipException
        With the reason.
    """
    if work.ledger.champion(model) is None:
        raise AirflowSkipException(f"{model} has no champion yet: its first retraining has not promoted one")


def resolve_connection(name: str) -> str:
    """Return the SQLAlchemy URL of an Airflow connection.

    Raises
    ------
    SourceError
        When Airflow has no such connection.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        uri = BaseHook.get_connection(name).get_uri()
    except AirflowNotFoundException as error:
        raise SourceError(
            f"connection {name}: Airflow has no such connection. Add it under Admin > Connections."
        ) from error
    scheme, _, rest = uri.partition("://")
    return f"{_DRIVERS.get(scheme, scheme)}://{rest}"


def trigger_of(context: Mapping[str, Any]) -> str:
    """Say what started a run: `schedule`, `request` or `person`."""
    kind = str(getattr(context["dag_run"].run_type, "value", context["dag_run"].run_type))
    return _TRIGGERS.get(kind, "person")


def triggering_user(context: Mapping[str, Any]) -> str | None:
    """Return who triggered a run, as Airflow authenticated them; None when nobody did, or it runs without logins."""
    name = str(getattr(context["dag_run"], "triggering_user_name", None) or "").strip()
    return None if name in ("", _NOBODY) else name


def named_user(context: Mapping[str, Any], command: str) -> str:
    """Return who triggered a run that needs a named person.

    Parameters
    ----------
    command
        What does the same on the command line.

    Raises
    ------
    AirflowFailException
        When Airflow does not know: nobody triggered the run, or it runs without logins.
    """
    name = triggering_user(context)
    if name is None:
        raise AirflowFailException(
            "Airflow does not know who triggered this run. Trigger it after a login; where Airflow has none, use "
            f"`python -m retraining {command}`, which takes the account of the operating system. Nothing was changed."
        )
    return name


def login_of(user: Mapping[str, Any]) -> str:
    """Return the login name of a user as Airflow writes one into an answer: the id that `gate.approvers` names.

    FAB's id is a number. The name counts only where Airflow itself compared names; elsewhere it may be a display name.
    Empty where Airflow runs without logins.
    """
    from airflow.configuration import conf

    compares_names = conf.get("core", "auth_manager") == LOGIN_NAMES
    login = str(user["name"] if compares_names else user["id"])
    return "" if login == _NOBODY else login


def given_as_of(context: Mapping[str, Any]) -> datetime | None:
    """Return the `as_of` parameter."""
    text = context["params"].get("as_of")
    return parse_time(text) if text else None


def fallback_as_of(context: Mapping[str, Any]) -> datetime:
    """Return the time a run without `as_of` is about: its logical date, else the moment it was due."""
    run = context["dag_run"]
    return to_utc(run.logical_date or run.run_after)


def as_of(context: Mapping[str, Any]) -> datetime:
    """Return the as-of time of a scoring, monitor or housekeeping run."""
    return given_as_of(context) or fallback_as_of(context)
