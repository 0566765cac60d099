"""A task that failed for good is one alert, whatever its exception says and however many tasks of the run fail."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from retraining.errors import MonitorFailed
from retraining.pipeline import monitor
from retraining.workspace import Workspace
from retraining_airflow.callbacks import record_failure
from samples.tiny import NAME, day


def failed(task: str, error: object, dag: str = f"monitor__{NAME}", number: int = 50) -> dict[str, Any]:
    run = SimpleNamespace(logical_date=day(number), run_after=day(number))
    return {
        "task_instance": SimpleNamespace(dag_id=dag, task_id=task),
        "exception": error,
        "params": {},
        "dag_run": run,
    }


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "task measure, as of 2024-02-20 00:00: TimeoutError without a message"),
        (KeyError("x"), "KeyError: 'x'"),
        (MonitorFailed("no rows.\nsecond line"), "00:00: no rows. Done automatically"),
        (None, "no message"),
    ],
)
def test_an_exception_is_an_alert_also_without_text(workspace: Workspace, error: object, text: str) -> None:
    record_failure(failed("measure", error))
    (alert,) = workspace.ledger.alerts(NAME)
    assert alert.kind == "monitor failed" and text in alert.message


def test_one_failure_is_one_alert(workspace: Workspace) -> None:
    with pytest.raises(MonitorFailed, match="has no champion") as caught:
        monitor.measure(workspace, workspace.spec(NAME), day(50))
    record_failure(failed("measure", caught.value))
    record_failure(failed("collect", TimeoutError()))
    assert len(workspace.ledger.alerts(NAME)) == 1
    record_failure(failed("measure", caught.value, number=51))
    assert len(workspace.ledger.alerts(NAME)) == 2, "another day's run is another failure"
