"""Refresh or replace follows from what is learnt and by which estimator, not from the whole YAML."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from retraining.spec import FrozenSpec, load, thaw
from retraining.spec.learning import learns_same
from samples.tiny import write_model

LINEAR = "sklearn.linear_model.LogisticRegression"
BOOSTING = "sklearn.ensemble.HistGradientBoostingClassifier"
TWO = [{"estimator": LINEAR}, {"estimator": BOOSTING}]
SEARCHED = [{"estimator": LINEAR, "search": {"C": [0.1, 1.0]}}]


def loaded(folder: Path, **changes: Any) -> FrozenSpec:
    return load(write_model(folder, changes=changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": {"technical": "others@example.com"}},
        {"description": "In other words."},
        {"gate": {"margin": 0.01, "holdout": "14d"}},
        {"retrain": {"schedule": "0 4 * * 2"}},
        {"data": {"columns": {"x1": "A number."}, "source": {"owner": "somebody"}}},
        {"training": {"candidates": TWO}},
        {"training": {"folds": 3, "trials": 2}},
    ],
)
def test_what_is_not_learnt_makes_no_replacement(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert learns_same(loaded(tmp_path), loaded(tmp_path, **changes), LINEAR)


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"window": "21d"}},
        {"training": {"seed": 7}},
        {"training": {"calibration": "sigmoid"}},
        {"training": {"class_weight": "balanced"}},
        {"training": {"candidates": [{"estimator": LINEAR, "params": {"C": 0.5}}]}},
        {"training": {"candidates": SEARCHED}},
        {"training": {"candidates": TWO[1:]}},
        {"features": {"numeric": ["x1"]}},
        {"data": {"label_delay": "2d"}},
    ],
)
def test_what_is_learnt_makes_a_replacement(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert not learns_same(loaded(tmp_path), loaded(tmp_path, **changes), LINEAR)


def test_how_settings_are_compared_counts_only_where_there_are_several(tmp_path: Path) -> None:
    one = loaded(tmp_path, training={"candidates": SEARCHED})
    other = loaded(tmp_path, training={"candidates": SEARCHED, "folds": 3})
    assert not learns_same(one, other, LINEAR)


def test_a_key_of_a_later_version_counts_only_where_it_differs_from_its_default(tmp_path: Path) -> None:
    now = loaded(tmp_path)
    document = copy.deepcopy(now.document())
    for key in ("calibration", "class_weight", "seconds"):
        del document["spec"]["training"][key]
    del document["spec"]["data"]["look_back"]
    earlier = thaw(json.dumps(document).encode())
    assert learns_same(earlier, now, LINEAR)
    assert not learns_same(earlier, loaded(tmp_path, training={"calibration": "isotonic"}), LINEAR)


def test_behavioural_cases_are_not_learnt_and_the_query_is(tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("select * from data")
    (tmp_path / "tiny.cases.yaml").write_text("- {kind: direction, name: a, set: {x1: 1.0}, expect: increase}\n")
    query = {"data": {"source": {"query": "q.sql"}}}
    one = loaded(tmp_path, **query)
    assert learns_same(one, loaded(tmp_path, **query, gate={"cases": "tiny.cases.yaml"}), LINEAR)
    (tmp_path / "q.sql").write_text("select * from data where x1 > 0")
    assert not learns_same(one, loaded(tmp_path, **query), LINEAR)
