"""The demo works on the models that are shipped, with nothing in their folder taken for another."""

from __future__ import annotations

from pathlib import Path

from retraining.spec import find_models, load
from retraining_airflow.demo.story import copy_models


def test_the_shipped_models_load_with_their_schedules_off(tmp_path: Path) -> None:
    copy_models(tmp_path)
    found = {name: load(path).spec for name, path in find_models(tmp_path).items()}
    assert "flight_delay" in found and "flight_delay.cases" not in found
    assert all(s.retrain.schedule is s.score.schedule is s.monitor.schedule is None for s in found.values())
    assert load(tmp_path / "flight_delay.yaml").cases
