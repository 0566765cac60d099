"""One contract for every stage and every record: a new one gets all of it by being listed."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from retraining import records
from retraining.artifacts import stored
from retraining.errors import NotEnoughData, RequestError, RetrainingError, ValidationFailed
from retraining.monitor import measure
from retraining.pipeline import monitor, score
from retraining.pipeline import retrain as stages
from retraining.records import from_dict, to_dict
from retraining.workspace import Workspace
from samples.tiny import NAME
from tests.contract.conftest import AS_OF, SCORED, STAGES, Loop

RECORDS = [
    *[
        c
        for _, c in inspect.getmembers(records, inspect.isclass)
        if dataclasses.is_dataclass(c) and c.__module__.startswith(records.__name__)
    ],
    stored.ModelCard,
    measure.Calibration,
]

INPUTS: dict[str, dict[str, str]] = {
    "ingest": {},
    "try": {"snapshot_id": "train", "spec_id": "spec"},
    "train": {"snapshot_id": "train", "spec_id": "spec"},
    "evaluate": {"holdout_id": "holdout", "candidate_id": "candidate", "recipe_id": "recipe", "spec_id": "spec"},
    "release": {"verdict_id": "verdict", "snapshot_id": "refit"},
    "pin": {"release_id": "release", "verdict_id": "verdict", "spec_id": "spec", "recipe_id": "recipe"},
    "predict": {"release_id": "release"},
    "measure": {"release_id": "release"},
}

SAID_ONCE: dict[str, dict[str, Any]] = {
    "admit": {"champion": None},  # which champion it found; there is one now
    "ingest": {"n_partitions_read": 0, "n_chunks_written": 0},  # how much work it was; the second time none
}


def each(result: Any) -> list[Any]:
    """Return a stage's records: one, or those of a list."""
    return result if isinstance(result, list) else [result]


@pytest.mark.parametrize("cls", RECORDS, ids=lambda c: c.__name__)
def test_records_are_frozen_typed_and_described(cls: Any) -> None:
    assert cls.__dataclass_params__.frozen
    assert cls.__doc__ and not cls.__doc__.startswith(cls.__name__ + "("), "a docstring of its own"
    assert cls.__module__ != "retraining.records" or "dict[str, Any]" not in {
        f.type for f in dataclasses.fields(cls) if f.name != "params"
    }


@pytest.mark.parametrize("name", STAGES)
def test_an_output_is_a_frozen_record_that_survives_json(loop: Loop, name: str) -> None:
    made = each(loop.results[name])
    assert made
    for record in made:
        assert type(record) in RECORDS
        with pytest.raises(dataclasses.FrozenInstanceError):
            record.model = "other"
        assert from_dict(type(record), json.loads(json.dumps(to_dict(record)))) == record


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_run_twice_gives_the_same_and_has_no_second_effect(loop: Loop, name: str) -> None:
    same = SAID_ONCE.get(name, {})
    if same:
        STAGES[name](loop.workspace, loop.results)  # what it looks at has changed since the loop ran; now it stays
    before = loop.effects()
    assert before["store"], "there is something to be changed"
    again = STAGES[name](loop.workspace, loop.results)
    if same:
        again = dataclasses.replace(again, **same)
        assert again == dataclasses.replace(loop.results[name], **same)
    else:
        assert again == loop.results[name]
    assert loop.effects() == before


@pytest.mark.parametrize("name", INPUTS)
def test_an_output_carries_the_ids_of_its_inputs(loop: Loop, name: str) -> None:
    r = loop.results
    ids = {
        "spec": r["admit"].spec_id,
        "train": r["ingest"].train.id,
        "holdout": r["ingest"].holdout.id,
        "refit": r["ingest"].refit.id,
        "candidate": r["train"].artifact_id,
        "recipe": r["train"].recipe_id,
        "verdict": r["gate"].id,
        "release": r["release"].id,
    }
    for record in each(r[name]):
        assert {field: getattr(record, field) for field in INPUTS[name]} == {k: ids[v] for k, v in INPUTS[name].items()}


def test_what_crosses_a_task_boundary_is_small_and_names_no_path(loop: Loop) -> None:
    home = str(loop.workspace.settings.home)
    ids = {"ingest": loop.results["ingest"], "validate": loop.results["validate"].ingested}
    outputs = {**loop.results, **{name: stages.snapshot_ids(ingested) for name, ingested in ids.items()}}
    for name, result in outputs.items():
        text = json.dumps([r if isinstance(r, dict) else to_dict(r) for r in each(result)])
        assert len(text) < 10_000, name
        assert home not in text, name
    assert stages.ingested_from(loop.workspace, loop.results["admit"], outputs["ingest"]) == loop.results["ingest"]


def test_unknown_and_missing_fields_are_refused(loop: Loop) -> None:
    from pydantic import ValidationError

    for name in STAGES:
        record = each(loop.results[name])[0]
        body = to_dict(record)
        required = next(iter(body))
        with pytest.raises(ValidationError):
            from_dict(type(record), {k: v for k, v in body.items() if k != required})


def test_empty_input_raises(nothing: Workspace) -> None:
    from retraining.pipeline.admission import admit

    frozen = nothing.spec(NAME)
    admission = admit(nothing, frozen, as_of=AS_OF, fallback=AS_OF, trigger="person", reason="", dry_run=False)
    with pytest.raises((NotEnoughData, RetrainingError), match=NAME):
        stages.ingest(nothing, admission)
    with pytest.raises(RequestError, match="has no champion yet"):
        score.run(nothing, frozen, SCORED)
    with pytest.raises(RetrainingError, match="has no champion"):
        monitor.measure(nothing, frozen, SCORED)
    assert nothing.ledger.alerts(NAME), "a monitor that cannot compute is an alarm"


def test_empty_snapshots_raise_in_the_stages_that_learn_or_check(loop: Loop) -> None:
    empty = {"features": (), "labels": ()}
    snapshots = loop.results["ingest"]
    hollow = dataclasses.replace(
        snapshots,
        train=dataclasses.replace(snapshots.train, id="0" * 64, **empty),
        refit=dataclasses.replace(snapshots.refit, id="1" * 64, **empty),
    )
    admission = loop.results["admit"]
    with pytest.raises(NotEnoughData, match="0 rows.*there are no rows"):
        stages.train(loop.workspace, admission, hollow)
    with pytest.raises(ValidationFailed, match="row count: failed: there are no rows"):
        stages.validate(loop.workspace, admission, hollow)


def test_the_core_works_without_airflow(loop: Loop) -> None:
    code = """
import sys
sys.modules["airflow"] = None  # an import of it now fails
import importlib, pkgutil, retraining
for module in pkgutil.walk_packages(retraining.__path__, "retraining."):
    if not module.name.endswith("__main__") and ".migrations" not in module.name:
        importlib.import_module(module.name)
assert not [name for name in sys.modules if name.startswith("airflow.")]
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_gate_knows_the_day_of_each_block(loop: Loop) -> None:
    from retraining.evaluation.holdout import judge

    holdout, frozen = loop.results["validate"].ingested.holdout, loop.workspace.spec(NAME)
    judged = judge(loop.workspace, frozen, loop.results["train"], holdout)
    assert judged.days is not None, "6-hour blocks of a day share it: without the days the interval is too narrow"
    assert judged.days.tolist() == [number // 4 for number in range(28)]
