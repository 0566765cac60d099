"""The DAGs' runs, task by task in this process: what ends green, what fails at once, and what is skipped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag
from airflow.models.xcom import XComModel
from airflow.sdk.exceptions import AirflowFailException
from airflow.utils.session import create_session
from sqlalchemy import select
from threadpoolctl import threadpool_limits

from retraining.care.sealed import check_seals
from retraining.records import Trained
from retraining.rollout.allowed import triggered
from retraining.workspace import Workspace
from retraining_airflow.boundary import named_user
from samples import records
from samples.tiny import NAME, day, environ, merged, retrain, write_model
from tests.e2e.conftest import FIRST, SECOND, edit, misled
from tests.support.forward import scored, turned_round
from tests.support.parse import FOLDER, file_of

_MOST_BYTES = 1000
"""Some digests, names and the sentences a task is skipped with; a verdict with its evaluation is ten times that."""
States = dict[str, str]
Run = Callable[..., tuple[str, States, dict[str, int]]]


@pytest.fixture
def run(airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a DAG; it gives the run's state, its tasks' states and their tries."""
    pause = time.sleep
    # a run looks once more after its last task, and waits a second before it does
    monkeypatch.setattr(time, "sleep", lambda seconds: pause(min(seconds, 0.01)))

    def start(
        workspace: Workspace, name: str, as_of: datetime, *, parsed: Callable[[], object] = int, **conf: Any
    ) -> tuple[str, States, dict[str, int]]:
        for variable, value in environ(workspace.settings).items():
            monkeypatch.setenv(variable, value)
        bag = DagBag(file_of(name), bundle_path=FOLDER)
        parsed()
        with threadpool_limits(2):  # a task limits its own threads; what it hands on must not depend on it
            ended = bag.dags[name].test(run_conf={"as_of": as_of.isoformat(), **conf})
        tasks = ended.get_task_instances()
        states = {t.task_id if t.map_index < 1 else f"{t.task_id}[{t.map_index}]": str(t.state) for t in tasks}
        return str(ended.state), states, {t.task_id: t.try_number for t in tasks}

    return start


def test_a_retraining_ends_in_a_champion_and_tasks_hand_each_other_ids_and_no_records(
    new: Workspace, run: Run, quick_preflight: None
) -> None:
    state, tasks, _ = run(new, f"retrain__{NAME}", FIRST, reason="first one")
    assert (state, {task for task, how in tasks.items() if how != "success"}) == ("success", {"ask", "roll"})
    assert tasks["ask"] == tasks["roll"] == "skipped"
    (champion,) = Workspace(new.settings).ledger.champions(NAME)
    assert (champion.sequence, champion.version, champion.as_of, champion.by) == (1, 1, FIRST, "gate")
    assert new.registry.alias(NAME) == 1

    run(new, f"score__{NAME}", FIRST)
    run(new, f"monitor__{NAME}", FIRST)
    with create_session() as session:
        crossed = session.execute(select(XComModel.dag_id, XComModel.task_id, XComModel.value)).all()
    assert {"admit", "train", "choose", "evaluate", "release", "predict", "decide"} <= {task for _, task, _ in crossed}
    too_much = {task: value for _, task, value in crossed if len(json.dumps(value)) > _MOST_BYTES}
    assert too_much == {}
    words = {"reasons", "checklist", "body", "message", "scores", "params"}
    assert [task for _, task, value in crossed if isinstance(value, dict) and words & value.keys()] == []


def candidates(workspace: Workspace, *estimators: str) -> None:
    """Change the YAML's candidates."""
    path = workspace.settings.models / f"{NAME}.yaml"
    given = {"training": {"candidates": [{"estimator": estimator} for estimator in estimators]}}
    path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), given), sort_keys=False))


LINEAR, BAYES, DUMMY = "sklearn.linear_model.LogisticRegression", "sklearn.naive_bayes.GaussianNB", "sklearn.dummy.DummyClassifier"  # noqa: E501 # fmt: skip


@pytest.mark.parametrize(
    ("when_parsed", "when_run"),
    [((DUMMY, BAYES), (DUMMY, BAYES)), ((DUMMY, BAYES, LINEAR), (BAYES,)), ((DUMMY,), (DUMMY, BAYES, LINEAR))],
    ids=["the same", "fewer when it runs", "more when it runs"],
)
def test_each_candidate_has_a_task_and_the_frozen_spec_decides_which_count(
    new: Workspace, run: Run, when_parsed: tuple[str, ...], when_run: tuple[str, ...]
) -> None:
    candidates(new, *when_parsed)
    state, tasks, _ = run(new, f"retrain__{NAME}", FIRST, dry_run=True, parsed=lambda: candidates(new, *when_run))
    tried = [how for task, how in tasks.items() if task.partition("[")[0] == "train"]
    n_run = min(len(when_parsed), len(when_run))
    assert sorted(tried) == ["skipped"] * (len(when_parsed) - n_run) + ["success"] * n_run
    assert (state, tasks["choose"], tasks["gate"]) == ("success", "success", "success")
    trained = new.ledger.newest(Trained, NAME, "train")
    assert trained is not None
    assert [score.name for score in trained.scores] == [path.rpartition(".")[2] for path in when_run]
    assert trained.why == new.ledger.verdicts(NAME)[-1].evaluation.chosen


def test_one_candidate_that_cannot_be_fitted_stops_the_run(new: Workspace, run: Run) -> None:
    candidates(new, LINEAR, "sklearn.naive_bayes.CategoricalNB")  # refuses negative numbers when it is fitted
    state, tasks, tries = run(new, f"retrain__{NAME}", FIRST)
    assert (state, tasks["train"], tasks["train[1]"], tasks["choose"]) == (
        "failed",
        "success",
        "failed",
        "upstream_failed",
    )
    assert tries["train"] == 1
    (alert,) = new.ledger.alerts(NAME)
    assert "CategoricalNB with {} cannot be fitted" in alert.message


def test_a_run_that_is_not_admitted_skips_every_stage(
    new: Workspace, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retraining_airflow.boundary.trigger_of", lambda _: "request")  # and no request is open
    state, tasks, _ = run(new, f"retrain__{NAME}", FIRST)
    assert state == "success"
    assert {task for task, how in tasks.items() if how != "skipped"} == {"admit", "announce"}


def test_a_rejected_challenger_is_a_green_run(champion: Workspace, run: Run) -> None:
    state, tasks, _ = run(misled(champion), f"retrain__{NAME}", SECOND)
    assert state == "success"
    assert {task for task, how in tasks.items() if how == "skipped"} == {"roll", "release", "deploy", "ask"}
    assert [v.decision for v in champion.ledger.verdicts(NAME)] == ["promote", "reject"]
    assert len(champion.ledger.champions(NAME)) == 1
    assert triggered(champion, champion.ledger.verdicts(NAME)[-1]).accounts == ("dag_test",), "for gate.four_eyes"


def test_a_replacement_is_rolled_by_tasks_and_the_own_recipe_is_released_in_its_place(
    champion: Workspace, run: Run, quick_preflight: None
) -> None:
    workspace = edit(champion, {"training": {"candidates": [{"estimator": LINEAR, "params": {"C": 1e-6}}]}})
    state, tasks, _ = run(workspace, f"retrain__{NAME}", SECOND)
    assert state == "success" and {task for task, how in tasks.items() if how != "success"} == {"ask"}
    assert {"roll", "roll[1]", "roll[2]"} <= set(tasks)
    first, replacement, own = champion.ledger.verdicts(NAME)
    assert replacement.evaluation.replacement is not None and len(replacement.evaluation.replacement.origins) == 3
    assert own.evaluation.instead_of == replacement.id != first.id
    live = champion.ledger.champion(NAME)
    assert live is not None and (live.sequence, live.verdict_id) == (2, own.id)
    with create_session() as session:
        said = session.execute(select(XComModel.value).where(XComModel.task_id == "announce")).scalars().all()[-1]
    assert f"{replacement.decision} ({replacement.id[:8]})" in said and "in its place the champion's own recipe" in said


def test_without_a_newer_row_no_candidate_is_tried(champion: Workspace, run: Run) -> None:
    state, tasks, _ = run(champion, f"retrain__{NAME}", FIRST)
    assert state == "success"
    skipped = {"train", "choose", "origins", "roll", "release", "deploy", "ask"}
    assert {task for task, how in tasks.items() if how == "skipped"} == skipped
    assert [v.decision for v in champion.ledger.verdicts(NAME)] == ["promote", "nothing_new"]


def test_an_override_is_by_the_user_who_triggered_it(champion: Workspace, run: Run, quick_preflight: None) -> None:
    verdict = retrain(misled(champion), SECOND).verdict
    assert verdict is not None and verdict.decision == "reject"
    state, tasks, _ = run(champion, "override", SECOND, verdict=verdict.id, reason="the holdout was a strike")
    assert (state, tasks) == ("success", {"override": "success"})
    made = champion.ledger.overrides(NAME)[verdict.id]
    assert (made.by, made.account, champion.ledger.champions(NAME)[-1].kind) == ("dag_test", "dag_test", "override")


@pytest.mark.parametrize("name", [None, "", "Anonymous"])
def test_a_user_whom_airflow_does_not_know_overrides_nothing(name: str | None) -> None:
    with pytest.raises(AirflowFailException, match="Airflow does not know who triggered this run"):
        named_user({"dag_run": SimpleNamespace(triggering_user_name=name)}, "override")


@pytest.mark.slow
def test_a_dry_run_stops_after_the_verdict(champion: Workspace, run: Run) -> None:
    state, tasks, _ = run(champion, f"retrain__{NAME}", SECOND, dry_run=True)
    assert state == "success" and tasks["announce"] == "success"
    assert {task for task, how in tasks.items() if how == "skipped"} == {"release", "deploy", "ask", "roll"}
    assert [(v.decision, v.dry_run) for v in champion.ledger.verdicts(NAME)][-1] == ("promote", True)
    assert len(champion.ledger.champions(NAME)) == 1


def test_broken_data_fails_without_a_retry_and_leaves_an_alert(champion: Workspace, run: Run) -> None:
    (champion.settings.models / f"{NAME}.csv").unlink()
    state, tasks, tries = run(champion, f"retrain__{NAME}", SECOND)
    assert state == "failed"
    assert (tasks["admit"], tasks["ingest"], tasks["validate"]) == ("success", "failed", "upstream_failed")
    assert tries["ingest"] == 1
    (alert,) = champion.ledger.alerts(NAME)
    assert (alert.kind, alert.as_of) == ("retrain failed", SECOND)
    assert "task ingest" in alert.message and "tiny.csv: there is no such file" in alert.message
    assert "Done automatically: nothing was promoted" in alert.message
    assert len(champion.ledger.champions(NAME)) == 1


def test_a_day_without_reason_wakes_nobody(champion: Workspace, run: Run) -> None:
    state, tasks, _ = run(champion, f"score__{NAME}", day(42))
    assert (state, set(tasks.values())) == ("success", {"success"})
    state, tasks, _ = run(champion, f"monitor__{NAME}", day(42))
    assert (state, tasks["request"], tasks["announce"]) == ("success", "skipped", "success")
    assert [d.outcome for d in champion.ledger.decisions(NAME)] == ["quiet"]
    assert champion.ledger.requests(NAME) == []


@pytest.mark.slow
def test_a_release_that_is_worse_is_taken_back_by_the_monitor(
    two_champions: Workspace, run: Run, quick_preflight: None
) -> None:
    turned_round(two_champions)
    scored(two_champions, 52, 53)
    for _ in range(2):
        state, tasks, _ = run(two_champions, f"monitor__{NAME}", day(53))
        assert (state, tasks["probation"], tasks["announce"]) == ("success", "success", "success")
        assert [c.kind for c in two_champions.ledger.champions(NAME)][2:] == ["promotion", "return"]


@pytest.mark.slow
def test_a_retraining_ends_with_the_take_back(two_champions: Workspace, run: Run, quick_preflight: None) -> None:
    turned_round(two_champions)
    scored(two_champions, 52, 55)
    state, tasks, _ = run(two_champions, f"retrain__{NAME}", day(55))
    assert (state, tasks["admit"], tasks["ingest"], tasks["announce"]) == ("success", "success", "skipped", "success")
    assert [c.kind for c in two_champions.ledger.champions(NAME)][2:] == ["promotion", "return"]
    assert len(two_champions.ledger.verdicts(NAME)) == 2, "nothing was judged"


def test_scoring_and_watching_a_model_without_champion_is_skipped(new: Workspace, run: Run) -> None:
    for family in ("score", "monitor"):
        state, tasks, _ = run(new, f"{family}__{NAME}", day(42))
        assert (state, {how for task, how in tasks.items() if task != "announce"}) == ("success", {"skipped"})


def test_rollback_puts_the_earlier_champion_back(two_champions: Workspace, run: Run, quick_preflight: None) -> None:
    state, _, _ = run(two_champions, "rollback", SECOND, model=NAME, reason="it predicts nonsense")
    history = two_champions.ledger.champions(NAME)
    assert (state, [c.version for c in history], history[-1].kind) == ("success", [1, 2, 1], "rollback")
    assert two_champions.registry.alias(NAME) == 1


def test_housekeeping_goes_on_with_the_others_and_fails_at_its_end(champion: Workspace, run: Run) -> None:
    write_model(champion.settings.models, "broken", changes={"gate": {"marign": 1}})
    champion.ledger.move_champion(records.champion(model="broken"))
    state, tasks, tries = run(champion, "housekeeping", SECOND)
    assert (state, tasks["reconcile"], tasks["find_stale"], tasks["free_space"]) == (
        "failed",
        "success",
        "failed",
        "success",
    )
    assert tries["find_stale"] == 1
    checked = check_seals(champion)
    assert tasks["seal"] == "success" and checked.n_seals == 1 and checked.findings == ()
    assert champion.ledger.alerts(NAME) == []
    kinds = {alert.kind: alert.message for alert in champion.ledger.alerts("broken")}
    assert "gate.marign: unknown key. Did you mean margin?" in kinds["housekeeping failed"]
    (alert,) = champion.ledger.alerts("housekeeping")
    assert "housekeeping failed for broken; all others are done" in alert.message
