"""A day as the monitor finds it: booleans, columns without a value, late rows, and figures that are no numbers."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from retraining.errors import MonitorFailed
from retraining.pipeline import monitor, score
from retraining.records import Measurement
from retraining.workspace import Workspace
from samples.records import champion
from samples.tiny import N_ROWS, NAME, day, merged, retrain, rows, rows_of, settings_in, tiny, write_csv
from tests.support.pictures import undrawn
from tests.support.preflight import in_this_process

N_DAYS = 50
SHAPE: dict[str, Any] = {
    "features": {"numeric": ["x1", "x2", "flag"], "categorical": ["kind"]},
    "score": {"max_skew": 1},
    "monitor": {
        "business": {"name": "minutes", "unit": "minutes", "sql": "avg(coalesce(cost, 0))", "margin": 1000},
    },
}


def flagged(number: int) -> pd.DataFrame:
    """Return a day's rows with a boolean, and a column that never has a value."""
    frame = rows_of(number)
    return frame.assign(flag=frame.x1 + np.random.default_rng(number).normal(size=N_ROWS) > 0, note=None)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation whose champion of day 40 has scored ten days."""
    folder = tmp_path_factory.mktemp("scored")
    workspace = tiny(folder, rows(range(N_DAYS), flagged), SHAPE)
    with in_this_process(), undrawn():
        assert retrain(workspace, day(40)).deployment is not None
    for number in (46, 50):
        score.run(workspace, workspace.spec(NAME), day(number))
    return folder


@pytest.fixture
def live(scored: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(scored, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "models" / f"{NAME}.yaml"
    path.write_text(path.read_text().replace(str(scored), str(tmp_path)))
    return Workspace(settings_in(tmp_path))


def source(workspace: Workspace, frame: pd.DataFrame) -> None:
    write_csv(workspace.settings.models / f"{NAME}.csv", frame)


def change(workspace: Workspace, **groups: Any) -> None:
    path = workspace.settings.models / f"{NAME}.yaml"
    path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), groups)))


def on(number: int, **values: Any) -> pd.DataFrame:
    """Return all days' rows, with columns of one day changed."""
    return rows(range(N_DAYS), lambda n: flagged(n).assign(**values) if n == number else flagged(n))


def watched(workspace: Workspace, hours: float = 0, number: int = 50) -> Measurement:
    """Measure and decide, and return the measurement as the ledger has it."""
    as_of = day(number) + timedelta(hours=hours)
    monitor.run(workspace, workspace.spec(NAME), as_of)
    found = workspace.ledger.measurement(NAME, as_of)
    assert found is not None
    return found


def test_a_boolean_and_a_column_without_values_are_measured(live: Workspace) -> None:
    found = watched(live)
    assert {d.column for d in found.drift} == {"x1", "x2", "flag", "kind", "prediction"}
    assert {c.name for c in found.performance} == {"roc_auc", "minutes"}, "ten labelled days are compared"
    assert (found.health, found.unknown, found.n_rows) == ((), (), N_ROWS)
    assert live.ledger.alerts(NAME) == []


def test_a_boolean_that_turned_is_drift(live: Workspace) -> None:
    source(live, on(49, flag=True))
    found = {d.column: d for d in watched(live, hours=1).drift}["flag"]
    assert (found.method, found.drifted) == ("wasserstein", True)


@pytest.mark.parametrize("column", ["flag", "kind"])
def test_a_feature_that_lost_all_values_is_health_and_no_crash(live: Workspace, column: str) -> None:
    source(live, on(49, **{column: None}))
    assert watched(live, hours=1).health == (f"{column}: 100% missing, 0% in training",)


def test_an_outcome_without_values_on_a_day_is_no_crash(live: Workspace) -> None:
    source(live, on(48, cost=None))
    found = watched(live, hours=1)
    assert (len(found.performance), found.unknown) == (2, ())


@pytest.mark.parametrize(("n_late", "told"), [(1, False), (5, True)])
def test_one_late_row_is_not_data_health(live: Workspace, n_late: int, told: bool) -> None:
    late = rows_of(49).head(n_late)
    late = late.assign(id=[f"late{i}" for i in range(n_late)], flag=True, note=None)
    source(live, pd.concat([rows(range(N_DAYS), flagged), late]))
    found = watched(live, hours=1)
    assert found.n_rows == N_ROWS + n_late
    text = f"{n_late} of {N_ROWS + n_late} rows have no published prediction: they came after the day was scored"
    assert found.health == ((text,) if told else ())
    assert [a.kind for a in live.ledger.alerts(NAME)] == (["data health"] if told else [])


@pytest.mark.parametrize("wrong", ["nan", "-inf"])
def test_a_business_figure_that_is_no_number_is_an_alarm(live: Workspace, wrong: str) -> None:
    sql = f"case when min(id) >= '00047' then '{wrong}'::double else avg(cost) end"
    change(live, monitor={"business": {"sql": sql}})
    found = watched(live)
    assert found.unknown[0] == f"minutes is {wrong} (on 2 of 5 days, last on 2024-02-18)"
    assert [c.name for c in found.performance] == ["roc_auc"]
    assert found.performance_note == "not all of realised performance is known"
    decision = live.ledger.decision(NAME, day(50))
    assert decision is not None and decision.outcome == "watch"
    assert [a.kind for a in live.ledger.alerts(NAME)] == ["not computable"]
    with sqlite3.connect(live.settings.ledger.removeprefix("sqlite:///")) as connection:
        for table in ("measurements", "work"):
            bodies = [body for (body,) in connection.execute(f"select body from {table}")]
            assert not any("NaN" in body or "Infinity" in body for body in bodies), "PostgreSQL takes neither as JSON"


def test_a_metric_that_most_labelled_days_leave_undefined_is_an_alarm(live: Workspace) -> None:
    source(live, rows(range(N_DAYS), lambda n: flagged(n).assign(y=1) if n in (46, 47, 48) else flagged(n)))
    with sqlite3.connect(live.settings.ledger.removeprefix("sqlite:///")) as connection:
        connection.execute("delete from readings")
    found = watched(live, hours=1)
    assert found.unknown == ("roc_auc: is defined on too few of 10 labelled days to be compared",)


def test_labels_of_a_class_nobody_was_trained_on_say_so(live: Workspace) -> None:
    source(live, on(48, y=7))
    with pytest.raises(MonitorFailed, match="labels hold classes that the champion was not trained on: 7"):
        watched(live, hours=1)


def test_a_watched_column_the_champion_does_not_have_says_so(live: Workspace) -> None:
    change(live, monitor={"columns": ["x1", "x9"]})
    with pytest.raises(MonitorFailed, match=r"monitor.columns names x9, which the champion was not trained on"):
        watched(live)


def test_skew_is_measured_against_the_champion_that_scores(live: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A promotion while a scoring run is under way: its own champion goes on, whatever is live by then."""
    source(live, rows(range(N_DAYS + 1), flagged))
    read = score.ingest

    def overtaken(workspace: Workspace, *given: Any) -> Any:
        found = read(workspace, *given)
        workspace.ledger.move_champion(champion(2, release_id="f" * 64))  # one whose release cannot even be read
        return found

    monkeypatch.setattr(score, "ingest", overtaken)
    (made,) = score.run(live, live.spec(NAME), day(51))
    assert made.sequence == 1
