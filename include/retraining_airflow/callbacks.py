"""What happens when a task has failed for good: an alert that names cause, model and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retraining_airflow.names import SEPARATOR


def record_failure(context: Mapping[str, Any]) -> None:
    """Write an alert to the ledger: one for all tasks of a run. If the ledger is what failed, the log has it.

    An exception may carry no text; its type then has to do.
    """
    from retraining.errors import RetrainingError, said
    from retraining.records import Alert
    from retraining.settings import settings
    from retraining.workspace import Workspace
    from retraining_airflow.boundary import fallback_as_of, given_as_of

    task, error = context["task_instance"], context.get("exception")
    family, _, model = str(task.dag_id).partition(SEPARATOR)
    when = given_as_of(context) or fallback_as_of(context)
    if isinstance(error, BaseException) and isinstance(error.__cause__, RetrainingError):
        error = error.__cause__  # what the task boundary wrapped
    cause = said(error) if isinstance(error, BaseException) else str(error or "no message")
    text = (
        f"{task.dag_id}, task {task.task_id}, as of {when:%Y-%m-%d %H:%M}: {cause} "
        "Done automatically: nothing was promoted; the champion goes on. Look at the task's log, mend the cause, "
        "clear the task."
    )
    Workspace(settings()).ledger.add_alert(Alert(model or family, f"{family} failed", when, text))
