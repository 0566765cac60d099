"""What holds for every DAG that the shipped YAMLs give."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from retraining.spec import find_models, load
from retraining.spec.gate import LONGEST_APPROVAL
from retraining_airflow.callbacks import record_failure
from retraining_airflow.names import RETRAIN, dag_id, model_asset, predictions_asset, request_asset, snapshot_asset
from tests.support.parse import FOLDER, ROOT

MODELS = find_models(ROOT / "include" / "models")
SHARED = ["approve", "housekeeping", "override", "rollback"]
ALL = sorted([f"{family}__{model}" for family in ("monitor", "retrain", "score") for model in MODELS] + SHARED)
AT_A_TIME = [name for name in ALL if name not in ("approve", "override")]
"""DAGs whose runs are about a time: an answer and an override are about a verdict, which has one."""


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RETRAINING_MODELS", raising=False)
        bag = DagBag(FOLDER, bundle_path=FOLDER)
    assert bag.import_errors == {}
    return bag.dags


def test_there_is_one_dag_per_family_and_model(dags: dict[str, DAG]) -> None:
    assert MODELS and sorted(dags) == ALL


@pytest.mark.parametrize("name", ALL)
def test_every_dag_can_be_found_and_understood(dags: dict[str, DAG], name: str) -> None:
    dag = dags[name]
    assert "retraining" in dag.tags and len(dag.tags) >= 2
    assert dag.description
    assert dag.doc_md and len(dag.doc_md) > 150
    family, _, model = name.partition("__")
    if model:
        assert {family, model} <= set(dag.tags)
        sections = ("### What starts it", "### Parameters", "### When it fails", "### The YAML")
        assert [s for s in sections if s not in dag.doc_md] == []


@pytest.mark.parametrize("name", ALL)
def test_every_dag_starts_by_itself_and_ends_by_itself(dags: dict[str, DAG], name: str) -> None:
    dag = dags[name]
    assert dag.catchup is False
    assert dag.is_paused_upon_creation is False
    waits = name == "approve"  # for people, about any number of verdicts at a time
    assert dag.max_active_runs == (1000 if waits else 1)
    assert dag.dagrun_timeout is not None
    assert dag.dagrun_timeout > LONGEST_APPROVAL if waits else dag.dagrun_timeout <= timedelta(days=1)


@pytest.mark.parametrize("name", ALL)
def test_every_task_has_an_owner_and_an_end_and_tells_when_it_fails(dags: dict[str, DAG], name: str) -> None:
    for task in dags[name].tasks:
        assert task.owner not in ("", "airflow")
        assert task.retries >= 1 and task.retry_delay >= timedelta(seconds=30)
        assert task.execution_timeout is not None and task.execution_timeout < dags[name].dagrun_timeout
        told = task.on_failure_callback
        assert [told] == [record_failure] if callable(told) else list(told) == [record_failure]  # a mapped task has one
        assert task.doc or task.doc_md or task.python_callable.__doc__


@pytest.mark.parametrize("name", AT_A_TIME)
def test_every_dag_that_is_about_a_time_takes_it_as_a_parameter(dags: dict[str, DAG], name: str) -> None:
    param = dags[name].params.get_param("as_of")
    assert param.schema["format"] == "date-time" and param.description
    assert param.value is None


@pytest.mark.parametrize("name", ALL)
def test_only_request_of_the_monitor_has_the_asset_as_outlet(dags: dict[str, DAG], name: str) -> None:
    outlets = {task.task_id: [asset.name for asset in task.outlets] for task in dags[name].tasks if task.outlets}
    family, _, model = name.partition("__")
    lineage = {
        "retrain": {"validate": [snapshot_asset(model)], "deploy": [model_asset(model)]},
        "score": {"publish": [predictions_asset(model)]},
        "monitor": {"request": [request_asset(model)]},
    }
    assert outlets == lineage.get(family, {})


@pytest.mark.parametrize("model", MODELS)
def test_a_retraining_starts_by_the_clock_or_by_a_request(dags: dict[str, DAG], model: str) -> None:
    dag = dags[dag_id(RETRAIN, model)]
    timetable = DagSerialization.serialize_dag(dag)["timetable"]
    assert timetable["__type"] == "airflow.timetables.assets.AssetOrTimeSchedule"
    cron = timetable["__var"]["timetable"]["__var"]["expression"]
    asset = timetable["__var"]["asset_condition"]["objects"][0]["name"]
    assert (cron, asset) == (load(MODELS[model]).spec.retrain.schedule, request_asset(model))
    assert {"as_of", "reason", "dry_run"} <= set(dag.params)


def test_the_stages_follow_each_other(dags: dict[str, DAG]) -> None:
    first = ["admit", "ingest", "validate", "train", "choose", "origins", "roll"]
    order = [*first, "evaluate", "gate", "release", "deploy", "announce"]
    for model in MODELS:
        dag = dags[dag_id(RETRAIN, model)]
        assert sorted(dag.task_ids) == sorted([*order, "ask"])
        assert dag.get_task("ask").upstream_task_ids == {"gate", "deploy"}
        for before, after in pairwise(order):
            assert after in dag.get_task(before).downstream_task_ids
