"""Schedules follow the partition where the YAML does not say; what could never work is refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from retraining.checking import check_spec
from retraining.spec import FrozenSpec, Spec, load
from retraining.spec.schedules import DEFAULTS
from samples.tiny import SPEC, write_model

LONG = {"hour": "15d", "day": "28d", "week": "364d", "month": "720d"}
"""Training windows that hold enough partitions."""


def spec_of(folder: Path, partition: str, **groups: Any) -> FrozenSpec:
    """Return a spec of a partition; here None is YAML's null, and retrainings are started by hand unless it says so."""
    path = write_model(folder, changes={"data": {"partition": partition}, "training": {"window": LONG[partition]}})
    document = yaml.safe_load(path.read_text())
    for group, keys in {"retrain": {"schedule": None}, **groups}.items():
        document[group] = {**document.get(group, {}), **keys}
    path.write_text(yaml.safe_dump(document))
    return load(path)


@pytest.mark.parametrize("partition", ["hour", "day", "week", "month"])
def test_schedules_follow_the_partition_where_the_yaml_does_not_say(tmp_path: Path, partition: Any) -> None:
    frozen = spec_of(tmp_path, partition)
    wanted = DEFAULTS[partition]
    assert (frozen.spec.score.schedule, frozen.spec.monitor.schedule) == (wanted.score, wanted.monitor)
    assert check_spec(frozen) == []
    never = spec_of(tmp_path, partition, score={"schedule": None}, monitor={"schedule": None})
    assert (never.spec.score.schedule, never.spec.monitor.schedule) == (None, None), "null stays never"


def test_retrainings_of_months_are_monthly_by_default() -> None:
    data, training = {**SPEC["data"], "partition": "month"}, {**SPEC["training"], "window": "720d"}
    spec = Spec.model_validate({**SPEC, "data": data, "training": training, "retrain": {}})
    assert spec.retrain.schedule == "0 4 1 * *"


@pytest.mark.parametrize(
    ("partition", "groups", "why"),
    [
        ("hour", {"monitor": {"schedule": "0 7 * * *"}}, "only 367 of 8,785 hours would ever be watched"),
        ("day", {"monitor": {"schedule": "0 7 * * 1"}}, "only 54 of 372 days would ever be watched"),
        ("day", {"monitor": {"schedule": "0 7 */2 * *", "drift": {"k": 2, "n": 2}}}, ""),
        ("week", {"monitor": {"schedule": "0 7 1 * *"}}, "would ever be watched"),
        (
            "hour",
            {"monitor": {"schedule": "40 */2 * * *", "drift": {"k": 3, "n": 3}}},
            "at most 2 of 3 hours would be watched and drift, which needs 3, never count",
        ),
        (
            "hour",
            {"monitor": {"schedule": "40 */2 * * *", "drift": {"k": 3, "n": 3}}, "retrain": {"on_drift": "never"}},
            "",
        ),
        ("day", {"monitor": {"schedule": "0 4 * * *"}}, "the run of Monday 04:00 would come before score.schedule"),
        ("day", {"score": {"schedule": "0 5 * * 1-5"}}, "the run of Saturday 07:00 would come before"),
        ("week", {"score": {"schedule": "0 5 * * 3"}}, "the run of Monday 07:00 would come before"),
        ("week", {"score": {"schedule": "0 5 * * *"}, "monitor": {"schedule": "0 7 * * *"}}, ""),
        ("day", {"score": {"schedule": "0 5 1 * *"}, "monitor": {"schedule": None}}, "score.catch_up 7d reaches back"),
        ("day", {"score": {"schedule": "0 5 1 * *", "catch_up": "31d"}, "monitor": {"schedule": None}}, ""),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(
    tmp_path: Path, partition: str, groups: dict[str, Any], why: str
) -> None:
    problems = check_spec(spec_of(tmp_path, partition, **groups))
    assert len(problems) == bool(why), problems
    assert not why or why in problems[0]
    assert not why or "Without it" in problems[0] or "Score more often" in problems[0]


def test_the_models_of_every_kind_that_ship_fit(tmp_path: Path) -> None:
    shipped = Path(__file__).resolve().parents[2] / "include" / "models"
    for path in sorted(shipped.glob("*.yaml")):
        if ".cases." not in path.name:
            assert [p for p in check_spec(load(path)) if "schedule" in p] == [], path.name
