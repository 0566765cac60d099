"""The loop on a real scheduler and a real MLflow server: one installation, three YAMLs, one of them broken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest

from retraining.ledger import Ledger
from retraining.records import Window
from retraining_airflow.demo.stack import Stack
from retraining_airflow.names import dag_id, model_asset, predictions_asset, request_asset, snapshot_asset
from samples import tiny

LOOP, DRIFTING = "loop", "drifting"
N_ROWS = 100
FALL_DAY, DRIFT_DAY = 48, 63
TIMEOUT_S = 420.0
POLL_S = 0.7
RESTING = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.7",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
}
"""Who only waits leaves the processors to the tasks, and to the other half of the tests: the YAMLs stay as they are."""


def _loop_rows(number: int) -> pd.DataFrame:
    """From the fall on, `x1` says little about `y`: the champion's performance falls, and no input drifts."""
    return tiny.rows_of(number, n_rows=N_ROWS, signal=2.0 if number < FALL_DAY else 0.0)


def _drifting_rows(number: int) -> pd.DataFrame:
    return tiny.rows_of(number, n_rows=N_ROWS, shift=0.0 if number < DRIFT_DAY else 4.0)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("loop")
    models = folder / "models"
    by_hand = {group: {"schedule": None} for group in ("score", "monitor")}
    # a busy machine answers slowly: what becomes of a release over its budget is shown elsewhere (unit/gate, test_gate)
    patient = {"gate": {"budgets": {"latency_ms": 5000}}}
    common = {**by_hand, **patient, "score": {"schedule": None, "catch_up": "10d"}}
    # the longest pause cron has: the test must not meet the schedule's own run
    quiet = {**common, "monitor": {"schedule": None, "window": "5d", "reference": "14d"}}
    tiny.write_model(models, LOOP, tiny.rows(range(58), _loop_rows), quiet)
    tiny.write_model(models, DRIFTING, tiny.rows(range(68), _drifting_rows), {**common, "data": {"label_delay": "20d"}})
    for path in models.glob("*.yaml"):
        path.write_text(path.read_text().replace("schedule: 0 4 * * 1", "schedule: null"))
    (models / "broken.yaml").write_text((models / f"{LOOP}.yaml").read_text().replace("holdout:", "holdot:"))
    running = Stack(folder / "home", models, threads=1)
    running.environment |= RESTING
    try:
        running.start()
        running.wait_for_dags({dag_id(f, m) for f in ("retrain", "score", "monitor") for m in (LOOP, DRIFTING)})
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def ledger(stack: Stack) -> Ledger:
    return Ledger(stack.settings.ledger)


def _as_of(day: float) -> dict[str, str]:
    return {"as_of": tiny.day(day).isoformat()}


def _together(
    stack: Stack, *steps: tuple[str, str, dict[str, Any]], meanwhile: Callable[[], None] = lambda: time.sleep(POLL_S)
) -> None:
    """Trigger runs of different models at once and wait until each has succeeded."""
    started = [(dag_id(f, m), stack.trigger(dag_id(f, m), conf)) for f, m, conf in steps]
    for name, run in started:
        _wait(stack, name, run, meanwhile)


def _wait(stack: Stack, name: str, run: str, meanwhile: Callable[[], None] = lambda: time.sleep(POLL_S)) -> None:
    end = time.monotonic() + TIMEOUT_S
    while (state := stack.run_state(name, run)) not in ("success", "failed"):
        assert time.monotonic() < end, f"{name} {run} hangs in {state}"
        stack.check()
        meanwhile()
    failed = [t["task_id"] for t in stack.tasks(name, run) if t["state"] == "failed"]
    assert state == "success", f"{name} {run} failed in {failed}; logs in {stack.home}"


def _wait_for_woken(stack: Stack, model: str) -> list[str]:
    """Wait until the retraining was woken and nothing of it is under way any more."""
    name, end = dag_id("retrain", model), time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        woken = [r for r in stack.runs(name) if r["run_type"] == "asset_triggered"]
        if woken:
            for run in woken:
                _wait(stack, name, run["dag_run_id"])
            if len([r for r in stack.runs(name) if r["run_type"] == "asset_triggered"]) == len(woken):
                return [r["dag_run_id"] for r in woken]
        time.sleep(POLL_S)
    raise AssertionError(f"{name} was not woken")


def _states(stack: Stack, name: str, run: str) -> dict[str, str]:
    return {t["task_id"]: t["state"] for t in stack.tasks(name, run)}


def _became(ledger: Ledger, model: str) -> str:
    """Say what became of a model's promotions: a release that is not deployed leaves its run green."""
    return "\n".join(f"{ledger.release_of(v.id)}: {ledger.outcome(v.id)}" for v in ledger.verdicts(model))


def _writes_at_once(stack: Stack, asset: str) -> Callable[[], None]:
    """Return what writes to Airflow's database as a person does, without the patience of the stack's own client."""
    number = stack._get("/api/v2/assets", name_pattern=asset)["assets"][0]["id"]
    client = stack._http("")

    def write() -> None:
        for _ in range(10):
            answer = client.post("/api/v2/assets/events", json={"asset_id": number, "extra": {}})
            assert answer.status_code == 200, "a person's request and a task's have locked each other out of SQLite"
        time.sleep(POLL_S)

    return write


@pytest.mark.timeout(1200)
def test_the_loop_on_a_real_scheduler(stack: Stack, ledger: Ledger) -> None:
    """Promoted, quiet, asked, retrained by request, held in cooldown; and drift alone, with no labels at all."""
    errors = stack.import_errors()
    assert len(errors) == 1
    assert all(text in errors[0] for text in ("broken.yaml", "gate.holdot", "unknown key", "Did you mean holdout?"))

    first_runs = ("retrain", LOOP, _as_of(37)), ("retrain", DRIFTING, _as_of(56))
    _together(stack, *first_runs, meanwhile=_writes_at_once(stack, model_asset(DRIFTING)))
    for model in (LOOP, DRIFTING):
        assert [v.decision for v in ledger.verdicts(model)] == ["promote"]
        assert [c.sequence for c in ledger.champions(model)] == [1], _became(ledger, model)

    _together(stack, ("score", LOOP, _as_of(47)), ("score", DRIFTING, _as_of(64)))
    _together(stack, ("monitor", LOOP, _as_of(47)), ("monitor", DRIFTING, _as_of(64)))
    calm = ledger.decision(LOOP, tiny.day(47))
    assert calm is not None and calm.outcome in ("quiet", "watch"), calm
    first = ledger.decision(DRIFTING, tiny.day(64))
    assert first is not None and first.outcome == "quiet", "one day out is not two of three"
    for model in (LOOP, DRIFTING):
        assert len(stack.runs(dag_id("retrain", model))) == 1, "a day without reason to ask starts no run"

    _together(stack, ("score", LOOP, _as_of(54)), ("score", DRIFTING, _as_of(65)))
    _together(stack, ("monitor", LOOP, _as_of(54)), ("monitor", DRIFTING, _as_of(65)))
    for _ in range(2):
        stack.emit(request_asset(LOOP))  # with the monitor's own event: the same request, three times

    asked = ledger.decision(LOOP, tiny.day(54))
    assert asked is not None and (asked.outcome, asked.reason) == ("ask", "performance: roc_auc"), asked
    by_drift = ledger.decision(DRIFTING, tiny.day(65))
    assert by_drift is not None and by_drift.outcome == "ask" and by_drift.reason.startswith("drift: "), by_drift
    measured = ledger.measurement(DRIFTING, tiny.day(65))
    assert measured is not None and measured.performance == () and measured.n_new_labels == 0

    runs = {model: _wait_for_woken(stack, model) for model in (LOOP, DRIFTING)}
    for model, as_of in ((LOOP, 54), (DRIFTING, 65)):
        verdicts = ledger.verdicts(model)
        assert len(verdicts) == 2 and verdicts[1].evaluation.as_of == tiny.day(as_of)
        assert [served for _, served in ledger.requests(model)] == [verdicts[1].id], "served once, by that verdict"
    served = [r for r in runs[LOOP] if _states(stack, dag_id("retrain", LOOP), r)["gate"] == "success"]
    assert len(served) == 1
    assert ledger.verdicts(LOOP)[1].decision == "promote", ledger.verdicts(LOOP)[1].reasons
    assert [c.sequence for c in ledger.champions(LOOP)] == [1, 2]

    _together(stack, ("score", LOOP, _as_of(55)))
    _together(stack, ("monitor", LOOP, _as_of(55)))
    held = ledger.decision(LOOP, tiny.day(55))
    assert held is not None and held.outcome == "held", held
    assert any("cooldown of 8d" in reason for reason in held.reasons)
    assert len(ledger.requests(LOOP)) == 1

    last = stack.runs(dag_id("monitor", LOOP))[-1]["dag_run_id"]
    assert _states(stack, dag_id("monitor", LOOP), last)["request"] == "skipped"


def test_the_registry_follows_the_ledger(stack: Stack, ledger: Ledger) -> None:
    from retraining.artifacts.registry import Registry

    champion = ledger.champion(LOOP)
    assert champion is not None
    assert Registry(stack.settings).alias(LOOP) == champion.version


def test_lineage_is_in_the_events_of_assets(stack: Stack, ledger: Ledger) -> None:
    verdicts, champions = ledger.verdicts(LOOP), ledger.champions(LOOP)
    moves = [e for e in stack.events(model_asset(LOOP)) if e["outcome"] == "deployed"]
    assert [(e["release"], e["verdict"], e["version"]) for e in moves] == [
        (c.release_id, c.verdict_id, c.version) for c in champions
    ]
    snapshots = stack.events(snapshot_asset(LOOP))
    assert {v.evaluation.holdout_id for v in verdicts} <= {e["holdout"] for e in snapshots}
    published = [key for e in stack.events(predictions_asset(LOOP)) for key in e["keys"]]
    assert set(published) == {p.key for p in ledger.predictions(LOOP, Window(tiny.day(0), tiny.day(90)))}
