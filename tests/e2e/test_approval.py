"""A promotion that waits for a person, on a real scheduler with logins: given, refused, timed out, not assigned."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from retraining.ledger import Ledger
from retraining_airflow.demo.stack import Stack
from retraining_airflow.names import APPROVE, RETRAIN, dag_id
from samples import tiny

pytestmark = pytest.mark.slow

GIVEN, REFUSED, LATE = "given", "refused", "late"
MODELS = (GIVEN, REFUSED, LATE)
ADMIN, ANN, EVE = "admin", "ann", "eve"
TIMEOUT_S = 240.0
SETTLES_S = 5.0
"""Nobody answers in the second a question is asked. Airflow's scheduler is told a little later that the asking task has
ended, and takes that for the end of the one that an answer has queued meanwhile."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("approval")
    asked = {"gate": {"approval": "required", "approvers": [ANN], "approval_timeout": "2d"}}
    for model in MODELS:
        path = tiny.write_model(folder / "models", model, changes=asked)
        path.write_text(path.read_text().replace("schedule: 0 4 * * 1", "schedule: null"))
    running = Stack(folder / "home", folder / "models", users={ADMIN: "admin", ANN: "user", EVE: "user"})
    try:
        running.start()
        running.wait_for_dags({APPROVE, "override", *(dag_id(RETRAIN, m) for m in MODELS)})
        yield running
    finally:
        running.stop()


def _until(stack: Stack, ready: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + TIMEOUT_S
    while not (found := ready()):
        assert time.monotonic() < end, f"{what}; logs in {stack.home}"
        stack.check()
        time.sleep(0.5)
    return found


def _ended(stack: Stack, name: str, run: str) -> dict[str, str]:
    """Wait for a run; return its tasks' states."""
    _until(stack, lambda: stack.run_state(name, run) in ("success", "failed"), f"{name} {run} hangs")
    return _tasks(stack, name, run)


def _tasks(stack: Stack, name: str, run: str) -> dict[str, str]:
    return {t["task_id"]: t["state"] for t in stack.tasks(name, run)}


def _waiting(stack: Stack, run: str) -> bool:
    known = run in [r["dag_run_id"] for r in stack.runs(APPROVE)]
    return known and _tasks(stack, APPROVE, run).get("ask") == "awaiting_input"


def _answer(choice: str, reason: str) -> dict[str, Any]:
    return {"chosen_options": [choice], "params_input": {"reason": reason}}


def _let_time_pass(stack: Stack, run: str) -> None:
    """Put the end of a question's wait into the past, instead of waiting for two days."""
    with sqlite3.connect(stack.home / "airflow" / "airflow.db", timeout=30) as database:
        where = "dag_id = ? and run_id = ? and task_id = 'ask' and state = 'awaiting_input'"
        done = database.execute(
            f"update task_instance set trigger_timeout = '2024-01-01 00:00:00.000000' where {where}", (APPROVE, run)
        )
        assert done.rowcount == 1


@pytest.mark.timeout(600)
def test_a_promotion_waits_for_a_person_whom_airflow_knows(stack: Stack) -> None:
    ledger = Ledger(stack.settings.ledger)
    started = [(m, stack.trigger(dag_id(RETRAIN, m), {"as_of": tiny.day(40).isoformat()})) for m in MODELS]
    started.append((GIVEN, stack.trigger(dag_id(RETRAIN, GIVEN), {"as_of": tiny.day(48).isoformat()})))
    for model, run in started:
        states = _ended(stack, dag_id(RETRAIN, model), run)
        assert (states["deploy"], states["ask"]) == ("success", "success"), "no retraining waits, nor the one after it"
    runs = {m: f"verdict-{ledger.verdicts(m)[-1].id}" for m in (REFUSED, LATE)}
    older, newer = ledger.verdicts(GIVEN)
    runs |= {GIVEN: f"verdict-{older.id}", "newer": f"verdict-{newer.id}"}
    for run in runs.values():
        _until(stack, lambda run=run: _waiting(stack, run), f"{run} does not wait")
    slots = ("queued", "running", "deferred")
    held = [t for r in runs.values() for t in stack.tasks(APPROVE, r) if t["state"] in slots]
    assert held == [], "four open questions and four slots: if a question held one, nothing could run any more"
    assert all(ledger.champions(m) == [] for m in MODELS)

    asked = stack.question(APPROVE, runs[GIVEN], "ask")
    assert [u["id"] for u in asked["assigned_users"]] == [ANN]
    assert all(text in asked["body"] for text in ("challenger", "| pass | baseline |", "counts as *Reject*"))
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        stack.answer(APPROVE, runs[GIVEN], "ask", _answer("Approve", "I may not"), EVE)
    assert ledger.approval(older.id) is None

    time.sleep(SETTLES_S)
    stack.answer(APPROVE, runs["newer"], "ask", _answer("Approve", "looks right"), ANN)
    stack.answer(APPROVE, runs[REFUSED], "ask", _answer("Reject", "not before the holidays"), ANN)
    _let_time_pass(stack, runs[LATE])
    for name in ("newer", REFUSED, LATE):
        assert set(_ended(stack, APPROVE, runs[name]).values()) == {"success"}
    stack.answer(APPROVE, runs[GIVEN], "ask", _answer("Approve", ""), ANN)
    assert set(_ended(stack, APPROVE, runs[GIVEN]).values()) == {"success"}

    answers = {m: [(a.approved, a.by, a.reason) for a in ledger.approvals(m).values()] for m in MODELS}
    assert answers[GIVEN] == [(True, ANN, "looks right"), (True, ANN, "")]
    assert answers[REFUSED] == [(False, ANN, "not before the holidays")]
    assert answers[LATE] == [(False, "timeout", "")]
    assert [(c.verdict_id, c.by, c.kind) for c in ledger.champions(GIVEN)] == [(newer.id, ANN, "promotion")]
    assert ledger.champions(REFUSED) == ledger.champions(LATE) == []
    outcomes = {v: getattr(ledger.outcome(v), "outcome", None) for v in (older.id, newer.id)}
    assert outcomes == {older.id: "superseded", newer.id: "deployed"}, "the champion was compared again after the wait"

    repeated = stack.trigger(APPROVE, {"verdict": older.id})
    assert _ended(stack, APPROVE, repeated)["prepare"] == "failed", "what was answered is not asked again"
