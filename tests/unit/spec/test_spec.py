"""The YAML: every mistake is named with its key and remedy, and freezing loses nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from retraining.errors import SpecError
from retraining.spec import FrozenSpec, Spec, find_models, freeze, load, thaw
from retraining.windows import format_duration
from samples.tiny import SPEC, merged, write_model


def loaded(folder: Path, **changes: Any) -> FrozenSpec:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(merged(SPEC, changes)))
    return load(path)


def message(folder: Path, **changes: Any) -> str:
    with pytest.raises(SpecError) as caught:
        loaded(folder, **changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"data": {"tarjet": "y"}}, ["tiny.yaml: 1 problem", "data.tarjet: unknown key", "Did you mean target?"]),
        ({"gaet": {}}, ["gaet: unknown key", "Did you mean gate?"]),
        ({"monitor": {"drift": {"histroy": 30}}}, ["monitor.drift.histroy", "Did you mean history?"]),
        ({"gate": {"zzz": 1}}, ["gate.zzz: unknown key", "Known: approval, approval_timeout, approvers, block,"]),
        ({"gate": {"min_rows": "many"}}, ["gate.min_rows:", "valid integer", "'many'"]),
        ({"training": {"window": "90 days"}}, ["training.window:", "not a duration", "for example 90d"]),
        ({"training": {"task": "binry"}}, ["training.task:", "'binary'", "'binry'"]),
        ({"data": {"target": None}}, ["data.target: missing. Add this key."]),
        ({"owner": None}, ["owner: missing"]),
        ({"deploy": {"probation": "2d"}}, ["a probation of 2d could never end", "four distinct days", "null for none"]),
        ({"training": {"window": "2d"}}, ["training.window holds 2 partitions", "choose 10 to 400"]),
        ({"features": {"numeric": ["y"]}}, ["may not name the target", "'y'"]),
        ({"features": {"numeric": ["cost"]}}, ["outcome", "'cost'"]),
        ({"monitor": {"drift": {"k": 4}}}, ["k (4) cannot exceed n (3)"]),
        ({"data": {"source": {"connection": "shop"}}}, ["exactly one of files, connection and function"]),
        ({"data": {"source": {"files": None, "connection": "shop"}}}, ["a connection needs a query"]),
        ({"data": {"source": {"files": None, "function": "rows"}}}, ["function is FILE.py:NAME"]),
        ({"data": {"source": {"files": None, "function": "../a.py:rows"}}}, ["a file beside the YAML"]),
        ({"data": {"key": None, "labels": {"files": "labels.csv"}}}, ["labels are joined by key"]),
        ({"data": {"time_column": None}}, ["label_delay has no meaning without data.time_column", "Remove the key"]),
        ({"data": {"columns": {"x1": 3}}}, ["data.columns.x1"]),
    ],
)
def test_a_mistake_is_named_with_its_key_and_remedy(tmp_path: Path, changes: dict[str, Any], parts: list[str]) -> None:
    text = message(tmp_path, **changes)
    assert [part for part in parts if part not in text] == [], text
    assert "docs/reference/yaml.md" in text


def test_a_url_with_a_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    url = "postgresql://me:hunter2@db/shop"
    text = message(tmp_path, data={"source": {"files": None, "connection": url, "query": "q.sql"}})
    assert "connection is a name, not a URL" in text
    assert "RETRAINING_CONN_" in text
    assert "hunter2" not in text
    text = message(tmp_path, data={"source": {"files": "s3://key:hunter2@bucket/rows.csv"}})
    assert "the URL of bucket holds a password" in text
    assert "hunter2" not in text


def test_what_is_only_said_about_the_data_does_not_make_another_model(tmp_path: Path) -> None:
    one = loaded(tmp_path)
    documented = {"source": {"owner": "Data platform", "refresh": "hourly"}, "columns": {"x1": "a number"}}
    two = loaded(tmp_path, data=documented)
    assert two.spec.data.columns["x1"].meaning == "a number"
    assert two.learning_id == one.learning_id
    assert two.id != one.id


def test_all_problems_are_in_one_message_and_it_stays_short(tmp_path: Path) -> None:
    text = message(tmp_path, gate={"min_rows": "a", "margin": -1, "flips": 1}, owner=None, score={"cron": 1})
    for key in ("gate.min_rows", "gate.margin", "gate.flips", "owner", "score.cron"):
        assert f"- {key}: " in text
    many = message(tmp_path, gate={f"unknown{i}": i for i in range(40)})
    assert "40 problems" in many
    assert "and 35 more" in many
    assert len(many.splitlines()) < 10


def test_a_replay_that_is_too_short_is_refused(tmp_path: Path) -> None:
    replay = {"start": "2013-01-01", "days": 28}
    text = message(tmp_path, data={"source": {"replay": replay}})
    assert "longer than the 28 days" in text
    assert loaded(tmp_path, data={"source": {"replay": {**replay, "days": 35}}})


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "a: [1", "\t"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match="bad.yaml: "):
        load(path)


def test_names_of_models(tmp_path: Path) -> None:
    path = write_model(tmp_path)
    with pytest.raises(SpecError, match="Did you mean tiny"):
        load(tmp_path / "tinny.yaml")
    with pytest.raises(SpecError, match="letters, digits and underscores"):
        load(path.rename(tmp_path / "my-model.yaml"))
    with pytest.raises(SpecError, match="no such folder"):
        find_models(tmp_path / "nowhere")
    (tmp_path / "my-model.yml").write_text("")
    with pytest.raises(SpecError, match="same model name"):
        find_models(tmp_path)


def test_a_query_that_is_missing_is_refused(tmp_path: Path) -> None:
    assert "cannot read query.sql beside the YAML" in message(tmp_path, data={"source": {"query": "query.sql"}})


def test_only_what_is_learnt_decides_the_learning_id(tmp_path: Path) -> None:
    base = loaded(tmp_path)
    described = loaded(tmp_path, description="Other words.")
    gated = loaded(tmp_path, gate={"margin": 0.1})
    seeded = loaded(tmp_path, training={"seed": 7})
    assert len({base.id, described.id, gated.id, seeded.id}) == 4
    assert base.learning_id == described.learning_id == gated.learning_id != seeded.learning_id


def test_the_sql_belongs_to_the_identity(tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("select * from data")
    one = loaded(tmp_path, data={"source": {"query": "q.sql"}})
    (tmp_path / "q.sql").write_text("select * from data where x1 > 0")
    two = loaded(tmp_path, data={"source": {"query": "q.sql"}})
    assert one.id != two.id
    assert one.learning_id != two.learning_id


durations = st.integers(1, 24 * 300).map(lambda hours: format_duration(timedelta(hours=hours)))
changes = st.fixed_dictionaries(
    {},
    optional={
        "description": st.text(min_size=1),
        "mode": st.sampled_from(["observe", "suggest", "auto"]),
        "data": st.fixed_dictionaries(
            {}, optional={"label_delay": durations, "look_back": st.integers(0, 9), "max_unlabelled": st.floats(0, 1)}
        ),
        "gate": st.fixed_dictionaries(
            {},
            optional={"holdout": durations, "margin": st.floats(1e-9, 10), "refit": st.booleans()},
        ),
        "training": st.fixed_dictionaries(
            {}, optional={"seed": st.integers(0, 2**40), "task": st.sampled_from(["binary", "regression"])}
        ),
    },
)


@settings(max_examples=40)
@given(changes, st.dictionaries(st.text(), st.text()))
def test_freezing_and_thawing_loses_nothing(changed: dict[str, Any], files: dict[str, str]) -> None:
    frozen = FrozenSpec("tiny", Spec.model_validate(merged(SPEC, changed)), files)
    again = thaw(freeze(frozen))
    assert again == frozen
    assert again.id == frozen.id
    assert freeze(again) == freeze(frozen)


def test_probation_is_as_long_as_the_holdout_unless_the_yaml_says_otherwise(tmp_path: Path) -> None:
    def probation(**changes: Any) -> timedelta | None:
        frozen = loaded(tmp_path, **changes)
        assert thaw(freeze(frozen)).id == frozen.id, "what was filled in stays as it was"
        return frozen.spec.deploy.probation

    assert probation() == timedelta(days=7)
    assert probation(gate={"holdout": "10d"}) == timedelta(days=10)
    assert probation(gate={"holdout": "24h"}) == timedelta(days=4), "four distinct days decide"
    assert probation(deploy={"probation": "14d"}) == timedelta(days=14)
    assert probation(deploy={"probation": "0d"}) is None
    off = yaml.safe_dump({**SPEC, "deploy": {"probation": None}})
    (tmp_path / "tiny.yaml").write_text(off)
    assert load(tmp_path / "tiny.yaml").spec.deploy.probation is None
