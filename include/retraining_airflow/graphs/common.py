"""What all DAGs share: defaults, parameters, tags."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param
from airflow.sdk.definitions.param import ParamsDict

from retraining.spec import FrozenSpec
from retraining_airflow.callbacks import record_failure
from retraining_airflow.names import TAG

_START = datetime(2024, 1, 1, tzinfo=UTC)
"""A fixed day, so that every parse gives the same DAG. With catchup off, a retraining that has one runs once for its
newest due time as soon as it is there; the families without one wait for their next due time."""
_RETRIES, _RETRY_DELAY, _MAX_RETRY_DELAY = 2, timedelta(minutes=1), timedelta(minutes=10)
"""Only what may heal is retried (a network, a database): twice, over some minutes, then a person must look."""
_TASK_TIMEOUT, _RUN_TIMEOUT = timedelta(hours=4), timedelta(hours=12)
"""Far above any healthy run, so that a hung one ends before the next day's."""


def as_of_param() -> Param:
    """The parameter every DAG has."""
    return Param(
        None,
        type=["null", "string"],
        format="date-time",
        title="As of",
        description="The time this run is about. Empty: the open request's, else when the run was due.",
    )


def dag_arguments(frozen: FrozenSpec, family: str, *, start_at_once: bool = False) -> dict[str, Any]:
    """Return the arguments that a model's DAGs share."""
    return shared_arguments({family, frozen.model}, frozen.spec.owner.technical, start_at_once=start_at_once)


def shared_arguments(tags: set[str], owner: str, *, start_at_once: bool = False) -> dict[str, Any]:
    """Return the arguments that all DAGs share."""
    return {
        "start_date": _START if start_at_once else None,
        "catchup": False,
        "is_paused_upon_creation": False,
        "max_active_runs": 1,
        "dagrun_timeout": _RUN_TIMEOUT,
        "tags": sorted({TAG, *tags}),
        "default_args": task_arguments(owner),
    }


def with_params(built: DAG, params: dict[str, Param]) -> DAG:
    """Give a DAG its trigger form, once its tasks are made.

    Each task made under a DAG that has parameters copies all of them, four times: a quarter of a parse, for nothing,
    because a task reads the run's parameters from its DAG.
    """
    built.params = ParamsDict(params)
    return built


def task_arguments(owner: str) -> dict[str, Any]:
    """Return the arguments that all tasks share."""
    return {
        "owner": owner,
        "retries": _RETRIES,
        "retry_delay": _RETRY_DELAY,
        "retry_exponential_backoff": True,
        "max_retry_delay": _MAX_RETRY_DELAY,
        "execution_timeout": _TASK_TIMEOUT,
        "on_failure_callback": record_failure,
    }


def cron(schedule: str | None) -> CronTriggerTimetable | None:
    """Return the timetable of a cron expression in UTC."""
    return None if schedule is None else CronTriggerTimetable(schedule, timezone="UTC")
