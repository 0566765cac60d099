"""Validation: bad rows go aside up to a budget, windows are judged from profiles, and what changed is said."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from retraining.audit.history import events_of
from retraining.data import chunks, ingest, snapshots
from retraining.data.ingest import source_id_of
from retraining.errors import RequestError, SourceError, ValidationFailed
from retraining.pipeline import monitor, score
from retraining.predictions import batch
from retraining.records import Validation, Window
from retraining.validation import quarantine
from retraining.validation.expectations import name_of
from retraining.validation.validate import Accepted, validate
from retraining.workspace import Workspace
from samples.tiny import day, retrain, rows, rows_of, settings_in, tiny, write_csv
from tests.support.preflight import in_this_process

N_ROWS = 200
BAD_DAY = 39


def with_bad(n_bad: int, number: int = BAD_DAY, value: float = -99.0) -> Callable[[int], pd.DataFrame]:
    def make(day_number: int) -> pd.DataFrame:
        frame = rows_of(day_number, n_rows=N_ROWS)
        if day_number == number:
            frame.loc[frame.index[:n_bad], "x1"] = value
        return frame

    return make


def write(workspace: Workspace, make: Callable[[int], pd.DataFrame], n_days: int = 45) -> None:
    write_csv(workspace.settings.models / "tiny.csv", rows(range(n_days), make))


def checked(workspace: Workspace, first: int = 0, last: int = 10, as_of: float = 12) -> Accepted:
    frozen = workspace.spec("tiny")
    window = Window(day(first), day(last))
    reader = workspace.reader(frozen)
    extent = ingest.read_window(reader, window, day(as_of))
    snapshot = snapshots.freeze(reader, extent, window, day(as_of), labels=True)
    return validate(workspace.store, workspace.ledger, frozen, snapshot)


def page(workspace: Workspace, validation: Validation) -> str:
    return workspace.store.read(validation.report_key).decode()


# --- quarantine ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick_preflight")
def test_half_a_percent_goes_aside_and_a_third_blocks(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, rows(range(45), with_bad(0)))
    assert retrain(workspace, day(38)).verdict.decision == "promote"  # type: ignore[union-attr]  # it has one

    write(workspace, with_bad(1))  # 0.5 % of the day
    result = retrain(workspace, day(41))
    assert result.verdict is not None
    run = ("tiny", day(41), source_id_of(workspace.spec("tiny")))
    holdout_id = result.verdict.evaluation.holdout_id
    manifest = snapshots.read_snapshot(workspace.store, workspace.ledger, holdout_id, *run)
    assert [(s.partition, s.n_rows) for s in manifest.set_aside] == [(day(BAD_DAY), 1)]
    assert manifest.raw_id is not None
    entry = quarantine.entries(workspace.ledger, "tiny")[0]
    assert (entry.state, entry.n_rows, entry.n_partition) == ("aside", 1, N_ROWS)
    kept = quarantine.rows_of(workspace.store, entry).to_pylist()
    assert [(r["x1"], "min_value=-50" in r["failed_checks"]) for r in kept] == [(-99.0, True)]

    write(workspace, with_bad(N_ROWS * 3 // 10))
    with pytest.raises(ValidationFailed, match=r"60 of 200 rows \(e.g. -99.0\); checks.quarantine allows 2"):
        retrain(workspace, day(42))
    assert [c.sequence for c in workspace.ledger.champions("tiny")] == [1, 2], (
        "what is left decides; what blocks moves nothing"
    )
    assert any("set aside" not in e.text and e.event == "quarantine" for e in events_of(workspace.ledger, "tiny"))


@pytest.mark.parametrize("how", ["the rows were repaired at their source", "the check was corrected"])
def test_rows_come_back_by_themselves_and_why_is_known(tmp_path: Path, how: str) -> None:
    workspace = tiny(tmp_path, rows(range(12), with_bad(2, number=3)))
    first = checked(workspace)
    assert first.snapshot.n_rows == 10 * N_ROWS - 2
    passed = page(workspace, first.validation).partition("Checks that passed")[2]
    assert "-99" not in passed, "the page's figures are of the rows that were kept"
    assert "min_value=-50" not in passed, "a check for which rows were set aside did not pass"
    if "repaired" in how:
        write(workspace, with_bad(0), 12)
    else:
        yaml = workspace.settings.models / "tiny.yaml"
        yaml.write_text(yaml.read_text().replace("min_value: -50", "min_value: -100"))
    again = checked(workspace)
    assert (again.snapshot.n_rows, again.snapshot.set_aside) == (10 * N_ROWS, ())
    entry = quarantine.entries(workspace.ledger, "tiny")[0]
    assert (entry.state, entry.detail) == ("taken in", how)
    assert snapshots.load(workspace.store, first.snapshot, workspace.spec("tiny").spec.data).num_rows == 10 * N_ROWS - 2


def test_dropping_lets_the_run_go_on_and_says_who_and_why(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, rows(range(12), with_bad(60, number=3)))
    with pytest.raises(ValidationFailed, match="quarantine show tiny"):
        checked(workspace)
    with pytest.raises(RequestError, match="no rows in quarantine for 2024-01-05T00:00.*2024-01-04T00:00"):
        quarantine.drop(workspace.ledger, "tiny", day(4), "me", "another day")
    dropped = quarantine.drop(workspace.ledger, "tiny", day(3), "me", "a sensor was off")
    assert [e.n_rows for e in dropped] == [60]
    accepted = checked(workspace)
    assert accepted.snapshot.n_rows == 10 * N_ROWS - 60
    entry = quarantine.entries(workspace.ledger, "tiny")[0]
    assert (entry.state, entry.detail) == ("dropped", "by me: a sensor was off")
    write(workspace, with_bad(0), 12)
    checked(workspace)
    entry = quarantine.entries(workspace.ledger, "tiny")[0]
    why = "the rows were repaired at their source; before that dropped by me: a sensor was off"
    assert (entry.state, entry.detail) == ("taken in", why), "why they were left out once is not forgotten"


def test_labels_and_features_of_a_row_go_aside_together(tmp_path: Path) -> None:
    checks = {"checks": {"rows": [{"type": "expect_column_values_to_be_between", "column": "cost", "max_value": 900}]}}

    def make(number: int) -> pd.DataFrame:
        frame = rows_of(number, n_rows=N_ROWS)
        return frame.assign(cost=frame.cost.where(frame.index != 7, 999.0)) if number == 3 else frame

    workspace = tiny(tmp_path, rows(range(12), make), checks)
    accepted = checked(workspace)
    assert (accepted.snapshot.n_rows, accepted.snapshot.n_labelled) == (10 * N_ROWS - 1, 10 * N_ROWS - 1)
    kept = quarantine.rows_of(workspace.store, quarantine.entries(workspace.ledger, "tiny")[0]).to_pylist()
    assert [(r["id"], r["cost"]) for r in kept] == [("00003-007", 999.0)]


def test_what_was_checked_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = tiny(tmp_path, rows(range(14), with_bad(0)))
    checked(workspace)
    seen, read = [], chunks.read
    monkeypatch.setattr(chunks, "read", lambda *a, **k: (seen.append((a[1].start, *a[2:])), read(*a, **k))[1])
    checked(workspace, 1, 11, as_of=13)
    whole = {start for start, *columns in seen if not columns}
    assert whole == {day(10)}, "the new day; of the others only the key, which names no row twice"


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("champion")
    with in_this_process():
        assert retrain(tiny(folder, rows(range(45), with_bad(0))), day(40)).deployment is not None
    return folder


@pytest.fixture
def live(champion: Path, tmp_path: Path) -> Workspace:
    """A copy of an installation with a champion as of day 40."""
    shutil.copytree(champion, tmp_path, dirs_exist_ok=True)
    yaml = tmp_path / "models" / "tiny.yaml"
    yaml.write_text(yaml.read_text().replace(str(champion), str(tmp_path)))
    return Workspace(settings_in(tmp_path))


# --- scoring ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick_preflight")
def test_a_bad_row_is_not_scored_and_the_others_are(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, rows(range(45), with_bad(2, number=40)))
    retrain(workspace, day(40))
    published = score.run(workspace, workspace.spec("tiny"), day(41))
    made = [p for p in published if p.window.start == day(40)]
    assert [p.n_rows for p in made] == [N_ROWS - 2]
    assert batch.read_predictions(workspace.store, made[0]).num_rows == N_ROWS - 2
    decision = monitor.run(workspace, workspace.spec("tiny"), day(41))
    assert decision.outcome not in ("ask", "suggest")
    measured = workspace.ledger.measurement("tiny", day(41))
    assert measured is not None and (measured.n_rows, measured.health) == (N_ROWS - 2, ())


@pytest.mark.parametrize(
    ("change", "blocks", "why"),
    [
        ({"x1": 40.0}, True, "x1: 100% of rows lie far outside"),
        ({"x2": None}, True, "x2: is missing in every row"),
        ({"kind": "z"}, True, "kind: 100% of rows have values never seen in training .e.g. z."),
        ({"x1": 40.0, "share": 0.2}, False, "x1: 20% of rows"),
        ({"x1": 40.0, "share": 0.01}, False, ""),
    ],
)
def test_rows_unlike_the_training_are_not_scored(
    live: Workspace, change: dict[str, Any], blocks: bool, why: str
) -> None:
    share = change.get("share", 1.0)

    def make(number: int) -> pd.DataFrame:
        frame = rows_of(number, n_rows=N_ROWS)
        for name, value in change.items() if number == 40 else ():
            if name == "share":
                continue
            frame.loc[frame.index < share * N_ROWS, name] = value
        return frame

    write(live, make)
    if blocks:
        with pytest.raises(ValidationFailed, match=why):
            score.run(live, live.spec("tiny"), day(41))
        assert live.ledger.predictions("tiny", Window(day(40), day(41))) == []
        return
    score.run(live, live.spec("tiny"), day(41))
    alerts = [a.message for a in live.ledger.alerts("tiny") if a.kind == "skew"]
    assert (why in alerts[0]) if why else not alerts


# --- the window ---------------------------------------------------------------------------------------------------

COLUMN = "expect_column_{}_to_be_between"


@pytest.mark.parametrize(
    ("check", "observed"),
    [
        ({"type": "expect_table_row_count_to_be_between", "min_value": 9999}, "observed 2000"),
        ({"type": COLUMN.format("mean"), "column": "x1", "min_value": 0.5}, "observed"),
        ({"type": COLUMN.format("mean"), "column": "y", "max_value": 0.1}, "observed"),
        ({"type": COLUMN.format("min"), "column": "x1", "min_value": 0}, "observed -"),
        ({"type": COLUMN.format("max"), "column": "x1", "max_value": 0}, "observed"),
        ({"type": COLUMN.format("sum"), "column": "x1", "min_value": 1e6}, "observed"),
        ({"type": COLUMN.format("stdev"), "column": "x1", "min_value": 2}, "observed"),
        ({"type": COLUMN.format("median"), "column": "x1", "min_value": 2}, "observed"),
        ({"type": COLUMN.format("unique_value_count"), "column": "kind", "max_value": 2}, "observed 3"),
        ({"type": "expect_column_distinct_values_to_be_in_set", "column": "kind", "value_set": ["a", "b"]}, "'c'"),
        ({"type": "expect_column_distinct_values_to_contain_set", "column": "kind", "value_set": ["q"]}, "'q'"),
        ({"type": "expect_column_values_to_be_unique", "column": "kind"}, "3 values more than once"),
        ({"type": "expect_compound_columns_to_be_unique", "column_list": ["kind", "y"]}, "6 values more than once"),
        ({"type": "expect_fresh_rows", "max_age": "1d"}, "newest row 2 days"),
        ({"type": "expect_usual_volume", "min_ratio": 1.5}, "200 rows, usual 200"),
        ({"type": COLUMN.format("mean"), "column": "absent", "min_value": 0}, "there is no column absent"),
        ({"type": COLUMN.format("mean"), "column": "kind", "min_value": 0}, "no values"),
    ],
)
def test_a_window_check_blocks_or_warns(tmp_path: Path, check: dict[str, Any], observed: str) -> None:
    workspace = tiny(tmp_path, rows(range(12), with_bad(0)), {"checks": {"window": [check]}})
    with pytest.raises(ValidationFailed) as caught:
        checked(workspace)
    named = name_of(workspace.spec("tiny").spec.checks.window[0])
    assert f"{named}: " in str(caught.value)
    assert observed in str(caught.value)


def test_window_checks_agree_with_great_expectations_arithmetic(tmp_path: Path) -> None:
    """What holds by pandas on all rows holds by the profiles of the partitions."""
    frame = rows(range(10), with_bad(0))
    exact = {
        "mean": frame.x1.mean(),
        "min": frame.x1.min(),
        "max": frame.x1.max(),
        "sum": frame.x1.sum(),
        "stdev": frame.x1.std(),
        "median": frame.x1.median(),
    }
    window = [
        {"type": COLUMN.format(name), "column": "x1", "min_value": float(v) - 1e-5, "max_value": float(v) + 1e-5}
        for name, v in exact.items()
    ]
    workspace = tiny(tmp_path, rows(range(12), with_bad(0)), {"checks": {"window": window}})
    assert checked(workspace).validation.problems == ()


def test_an_unusual_volume_names_the_day(tmp_path: Path) -> None:
    usual = {"type": "expect_usual_volume", "severity": "warning"}
    workspace = tiny(
        tmp_path,
        rows(range(12), lambda n: rows_of(n, n_rows=10 if n == 8 else 100)),
        {"checks": {"window": [usual]}},
    )
    problems = checked(workspace).validation.problems
    assert [p.severity for p in problems] == ["warning"]
    assert "2024-01-09 10 rows, usual 100" in problems[0].observed


def test_a_key_that_names_rows_of_two_days_blocks(tmp_path: Path) -> None:
    frame = rows(range(12))
    frame.loc[frame.id == "00007-000", "id"] = "00002-000"
    workspace = tiny(tmp_path, frame)
    with pytest.raises(SourceError, match="1 keys appear more than once"):
        checked(workspace)
    clean = tiny(tmp_path / "clean", rows(range(14)))
    checked(clean)
    frame = rows(range(14))
    frame.loc[frame.id == "00011-000", "id"] = "00004-000"
    write_csv(clean.settings.models / "tiny.csv", frame)
    with pytest.raises(ValidationFailed, match="unique key: failed: 1 keys name rows of more than one day"):
        checked(clean, 2, 12, as_of=14)


# --- the schema ---------------------------------------------------------------------------------------------------


def changing(**columns: Callable[[pd.DataFrame, int], Any]) -> Callable[[int], pd.DataFrame]:
    def make(number: int) -> pd.DataFrame:
        frame = rows_of(number)
        return frame.assign(**{name: value(frame, number) for name, value in columns.items()})

    return make


def test_new_categories_are_said(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, rows(range(12), changing(kind=lambda f, n: "new" if n == 9 else f.kind)))
    problems = checked(workspace).validation.problems
    assert [(p.severity, p.check, p.observed) for p in problems] == [
        ("warning", "schema: new categories of kind", "new in 100% of its rows, in none before")
    ]


FROM_PARTS = """
import pandas, pathlib
def read(start, end):
    parts = [pandas.read_parquet(p) for p in sorted(pathlib.Path({folder!r}).glob("*.parquet"))]
    frames = [f[(f.time >= start) & (f.time < end)] for f in parts]
    frames = [f for f in frames if len(f)]
    return pandas.concat(frames) if frames else parts[0].head(0)
"""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda f: f.drop(columns="x2"), "schema: column x2: failed: removed on 2024-01-09; 2 of 10 partitions"),
        (
            lambda f: f.assign(x2=f.x2.astype(str)),
            "x2: failed: retyped: number from 2024-01-01, string from 2024-01-09",
        ),
    ],
)
def test_a_column_that_goes_or_changes_its_type_blocks(
    tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], why: str
) -> None:
    """The source is read in two parts, as a feed that changed: the older partitions were stored before."""
    workspace = tiny(tmp_path, rows(range(12)), {"data": {"source": {"files": None, "function": "tiny.py:read"}}})
    folder = tmp_path / "parts"
    folder.mkdir()
    (workspace.settings.models / "tiny.py").write_text(FROM_PARTS.format(folder=str(folder)))
    rows(range(8)).to_parquet(folder / "1.parquet", index=False)
    checked(workspace, 0, 8, as_of=9)
    (folder / "1.parquet").unlink()
    change(rows(range(6, 12))).to_parquet(folder / "2.parquet", index=False)
    rows(range(6, 8)).to_parquet(folder / "1.parquet", index=False)
    (folder / "2.parquet").unlink()
    change(rows(range(8, 12))).to_parquet(folder / "2.parquet", index=False)
    with pytest.raises(ValidationFailed) as caught:
        _in_two_readings(workspace)
    assert why in str(caught.value)


def _in_two_readings(workspace: Workspace) -> None:
    frozen = workspace.spec("tiny")
    reader = workspace.reader(frozen)
    for number in range(6, 10):  # a partition at a time: a whole reading has one type per column
        ingest.read_window(reader, Window(day(number), day(number + 1)), day(12))
    window = Window(day(0), day(10))
    extent = ingest.read_window(reader, window, day(12))
    snapshot = snapshots.freeze(reader, extent, window, day(12), labels=True)
    validate(workspace.store, workspace.ledger, frozen, snapshot)


# --- the page -----------------------------------------------------------------------------------------------------


def test_the_page_shows_everything_and_escapes_it(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    changes = {
        "data": {"source": {"owner": hostile}, "columns": {"x1": {"meaning": hostile, "unit": "m"}}},
        "checks": {"window": [{"type": "expect_fresh_rows", "max_age": "1d", "severity": "warning"}]},
    }
    workspace = tiny(tmp_path, rows(range(12), with_bad(1, number=3)), changes)
    accepted = checked(workspace)
    text = page(workspace, accepted.validation)
    assert "<script>" not in text
    assert text.count("&lt;script&gt;") == 2
    for part in ("passed", "expect_fresh_rows", "newest row 2 days", "Rows set aside", "min_value=-50", "kind"):
        assert part in text
