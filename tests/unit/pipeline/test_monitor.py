"""Deciding: once per as-of time, by days, in a mode's limits; and what people are told about it."""

from __future__ import annotations

import dataclasses
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from retraining.errors import MonitorFailed, Unavailable
from retraining.monitor import measure as measuring
from retraining.pipeline import monitor
from retraining.records import Measurement, TriggerDecision
from retraining.workspace import Workspace
from samples.records import change, drift, measurement, request, verdict
from samples.tiny import NAME, day, tiny

FELL: dict[str, Any] = {"performance": (change(worse=True),)}
OUT: dict[str, Any] = {"drift": (drift(),), "performance": (), "performance_note": "there are no labels"}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return tiny(tmp_path)


def decided(workspace: Workspace, measured: Measurement) -> TriggerDecision:
    """Record a measurement, as the task before does, and decide."""
    workspace.ledger.add_measurement(measured)
    return monitor.decide(workspace, workspace.spec(NAME), measured)


def test_a_day_that_is_measured_again_is_one_day(workspace: Workspace) -> None:
    for hour in (7, 8, 9):
        as_of = day(50) + timedelta(hours=hour)
        assert decided(workspace, measurement(50, **OUT, as_of=as_of)).outcome == "quiet"
    assert decided(workspace, measurement(51, **OUT)).outcome == "ask", "the next day is another"


def test_days_that_were_not_measured_in_between_are_not_skipped_over(workspace: Workspace) -> None:
    decided(workspace, measurement(47, **OUT))
    assert decided(workspace, measurement(50, **OUT)).outcome == "quiet", "day 47 is no longer one of three"


def test_deciding_twice_opens_no_second_request(workspace: Workspace) -> None:
    workspace.ledger.add_request(request("r0", 49))
    assert decided(workspace, measurement(50, **FELL)).outcome == "ask"
    workspace.ledger.add_verdict(verdict("v1"), ["r0"])
    assert decided(workspace, measurement(50, **FELL)).outcome == "ask", "a task that was cleared"
    assert workspace.ledger.open_requests(NAME) == []
    assert not monitor.must_wake(workspace, workspace.spec(NAME))


def test_figures_that_were_computed_again_change_nothing(workspace: Workspace) -> None:
    first = decided(workspace, measurement(50, **FELL, health=("x1: 50% missing",)))
    alerts, requests = workspace.ledger.incidents(NAME), workspace.ledger.requests(NAME)
    assert (len(alerts), len(requests)) == (1, 1)
    again = measurement(50, health=("x1: 49% missing",), n_new_labels=7)
    assert monitor.decide(workspace, workspace.spec(NAME), again) == first
    assert (workspace.ledger.incidents(NAME), workspace.ledger.requests(NAME)) == (alerts, requests)


def test_runs_at_the_same_time_decide_once(workspace: Workspace) -> None:
    workspace.ledger.models()  # the tables are there
    made: list[TriggerDecision] = []

    def one(n_rows: int) -> None:
        own = Workspace(workspace.settings)
        made.append(decided(own, measurement(50, **FELL, n_rows=n_rows)))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6 and len(set(made)) == 1
    assert len(workspace.ledger.open_requests(NAME)) == len(workspace.ledger.requests(NAME)) == 1


def test_observing_ends_an_open_request(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, changes={"mode": "observe"})
    workspace.ledger.add_request(request())
    assert not monitor.must_wake(workspace, workspace.spec(NAME)), "nobody is woken whom admission sends to sleep"
    assert decided(workspace, measurement(51, **FELL)).outcome == "held"
    assert workspace.ledger.open_requests(NAME) == []
    assert workspace.ledger.closings(NAME)["r1"].reason == "mode is observe: nothing is retrained by itself"


def test_the_same_trouble_on_days_in_a_row_is_one_alert(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, changes={"mode": "suggest"})
    for number in (50, 51, 52, 60):
        decided(workspace, measurement(number, **FELL, health=(f"x1: {number}% missing",), unknown=("x2 is nan",)))
    told = workspace.ledger.incidents(NAME)
    kinds = ("data health", "not computable", "suggestion")
    assert sorted((a[0].kind, a[0].as_of, len(a)) for a in told) == sorted(
        (kind, when, count) for kind in kinds for when, count in ((day(50), 3), (day(60), 1))
    )
    assert [a.message for a in workspace.ledger.alerts(NAME) if a.kind == "data health"] == [
        "tiny: x1: 52% missing. Done automatically: suggest. Look at the source.",
        "tiny: x1: 60% missing. Done automatically: suggest. Look at the source.",
    ]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyError("x9"), "tiny: KeyError: 'x9'"),
        (TimeoutError(), "tiny: TimeoutError without a message"),
        (MonitorFailed("tiny: no rows."), "tiny: no rows."),
    ],
)
def test_whatever_stops_the_monitor_is_an_alert_and_a_failure(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(measuring, "measure", stop)
    for _ in range(2):
        with pytest.raises(MonitorFailed) as caught:
            monitor.run(workspace, workspace.spec(NAME), day(50))
        assert str(caught.value) == text
    (alert,) = workspace.ledger.alerts(NAME)
    assert (alert.kind, alert.as_of) == ("monitor failed", day(50))
    assert alert.message.startswith(f"{text.removesuffix('.')}. The monitor could not compute")


def test_a_service_that_is_away_is_an_alert_where_nobody_tries_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable("store: does not answer.")

    monkeypatch.setattr(measuring, "measure", away)
    with pytest.raises(Unavailable):
        monitor.measure(workspace, workspace.spec(NAME), day(50))
    assert workspace.ledger.alerts(NAME) == [], "a scheduler tries again first"
    with pytest.raises(Unavailable):
        monitor.run(workspace, workspace.spec(NAME), day(50))
    assert [a.kind for a in workspace.ledger.alerts(NAME)] == ["monitor failed"]


def test_a_defect_while_deciding_is_an_alert_too(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> datetime:
        raise ZeroDivisionError

    monkeypatch.setattr("retraining.monitor.triggers.decide", broken)
    with pytest.raises(MonitorFailed, match="ZeroDivisionError without a message"):
        decided(workspace, dataclasses.replace(measurement(50)))
    assert [a.kind for a in workspace.ledger.alerts(NAME)] == ["monitor failed"]
