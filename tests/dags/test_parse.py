"""What Airflow's parsing of dags/ imports, reads and builds; each parse is a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from samples.tiny import write_model
from tests.support.parse import Parsed, parse, parse_at_task_start

FAMILIES = ("monitor", "retrain", "score")
SHARED = {"approve", "housekeeping", "override", "rollback"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two YAMLs that load and one with a misspelt key."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder, "first")
    write_model(folder, "second")
    write_model(folder, "broken", changes={"gate": {"holdout": None, "holdot": "7d"}})
    return folder


@pytest.fixture(scope="module")
def parsed(models: Path) -> Parsed:
    return parse(models)


def test_parsing_imports_no_heavy_library(parsed: Parsed) -> None:
    assert parsed.heavy_before == []  # Airflow itself imports none, or the next line would prove nothing
    assert parsed.heavy == []


def test_a_broken_yaml_takes_no_other_model_with_it(parsed: Parsed) -> None:
    expected = {f"{family}__{model}" for family in FAMILIES for model in ("first", "second")}
    assert set(parsed.dags) == expected | SHARED


def test_the_broken_yaml_is_an_import_error_of_check_specs_alone(parsed: Parsed) -> None:
    assert list(parsed.errors) == ["check_specs.py"]
    message = parsed.errors["check_specs.py"]
    assert "SpecError: broken.yaml: 1 problem" in message
    assert "gate.holdot: unknown key. Did you mean holdout?" in message
    assert "docs/reference/yaml.md" in message


def test_the_start_of_a_task_reads_one_yaml_and_builds_one_dag(models: Path) -> None:
    starts = parse_at_task_start(models, ["retrain__second", "score__second", "monitor__second", "rollback"])
    for dag_id, parsed in starts.items():
        yamls = [] if dag_id in SHARED else ["second.yaml"]
        assert (list(parsed.dags), parsed.errors, parsed.yamls) == ([dag_id], {}, yamls)
        assert parsed.heavy == []


def test_two_parses_serialise_identically(models: Path, parsed: Parsed) -> None:
    assert parse(models).dags == parsed.dags
