"""Sources: files anywhere, functions, labels that come from elsewhere, later and corrected; outages and changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from retraining.data import ingest, snapshots
from retraining.errors import NotEnoughData, SourceError, Unavailable
from retraining.evaluation.standin import AGAIN
from retraining.pipeline import score
from retraining.pipeline.admission import admit
from retraining.records import Snapshot, Window
from retraining.sources.files import FileSource
from retraining.workspace import Workspace
from samples.tiny import day, retrain, rows, rows_of, tiny
from tests.support.s3 import Bucket, bucket

WINDOW = Window(day(0), day(6))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)


@pytest.fixture(scope="module")
def s3() -> Iterator[Bucket]:
    with bucket() as found:
        yield found


def small() -> pd.DataFrame:
    return rows(range(6), lambda number: rows_of(number, n_rows=8))


def snapshot(workspace: Workspace, as_of: float = 10, window: Window = WINDOW) -> Snapshot:
    reader = workspace.reader(workspace.spec("tiny"))
    return snapshots.freeze(reader, ingest.read_window(reader, window, day(as_of)), window, day(as_of), labels=True)


def source(**values: Any) -> dict[str, Any]:
    return {"data": {"source": {"files": None, **values}}}


def beside(workspace: Workspace, name: str, text: str) -> Path:
    path = workspace.settings.models / name
    path.write_text(text)
    return path


# --- the same rows from anywhere are the same snapshot ------------------------------------------------------------


@pytest.mark.slow
def test_the_same_rows_in_any_format_and_order_are_the_same_snapshot(tmp_path: Path, s3: Bucket) -> None:
    frame = small()
    mixed = frame.sample(frac=1, random_state=3)[sorted(frame.columns)]
    folder = tmp_path / "data"
    folder.mkdir()
    frame.to_csv(folder / "rows.csv", index=False)
    mixed.to_parquet(folder / "rows.parquet")
    mixed.assign(time=pd.to_datetime(mixed["time"]).astype("datetime64[ns, UTC]")).to_parquet(folder / "nano.parquet")
    mixed.to_json(folder / "rows.jsonl", orient="records", lines=True, date_format="iso", date_unit="us")
    mixed.head(20).to_parquet(folder / "part-1.parquet")
    mixed.iloc[20:].to_parquet(folder / "part-2.parquet")
    s3.put("rows.csv", (folder / "rows.csv").read_bytes())
    s3.put("in/part-1.parquet", (folder / "part-1.parquet").read_bytes())
    s3.put("in/part-2.parquet", (folder / "part-2.parquet").read_bytes())
    with fsspec.open("memory://rows.parquet", "wb") as file:
        file.write((folder / "rows.parquet").read_bytes())
    changes = {
        "csv": source(files=str(folder / "rows.csv")),
        "parquet": source(files=str(folder / "rows.parquet")),
        "parquet, nanoseconds": source(files=str(folder / "nano.parquet")),
        "json lines": source(files=str(folder / "rows.jsonl")),
        "pattern": source(files=str(folder / "part-*.parquet")),
        "s3": source(files=s3.url("rows.csv")),
        "s3 pattern": source(files=s3.url("in/*.parquet")),
        "memory": source(files="memory://rows.parquet"),
        "function": source(function="tiny.py:read"),
    }
    found = {}
    for name, change in changes.items():
        workspace = tiny(tmp_path / name, frame, change)
        beside(
            workspace,
            "tiny.py",
            f"import pandas\ndef read(start, end):\n    return pandas.read_parquet({str(folder / 'rows.parquet')!r})\n",
        )
        found[name] = snapshot(workspace).id
    assert len(set(found.values())) == 1, found


def test_a_relative_path_is_beside_the_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = tiny(tmp_path, small(), source(files="tiny.csv"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert snapshot(workspace).n_rows == 48


@pytest.mark.slow
def test_the_store_may_be_an_object_store(tmp_path: Path, s3: Bucket) -> None:
    workspace = tiny(tmp_path)
    workspace = Workspace(replace(workspace.settings, store=s3.url("store")))
    assert retrain(workspace, day(40)).verdict.decision == "promote"  # type: ignore[union-attr]  # it has one
    assert score.run(workspace, workspace.spec("tiny"), day(41))[0].n_rows == 40


# --- functions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def rows(start, end): pass", "has no function read"),
        ("def read(start, end): return 7", "returned int; return a pandas data frame"),
        ("def read(start, end): return {}['x']", "KeyError: 'x'"),
        ("import nowhere", "cannot be loaded: ModuleNotFoundError"),
        ("def read(start, end", "cannot be loaded: SyntaxError"),
        ("import pandas\ndef read(start, end): return pandas.DataFrame({'a': [1, 'x']})", "Give each column one type"),
    ],
)
def test_a_function_that_fails_is_named(tmp_path: Path, code: str, why: str) -> None:
    workspace = tiny(tmp_path, small(), source(function="tiny.py:read"))
    beside(workspace, "tiny.py", code)
    with pytest.raises(SourceError, match=r"source tiny.py:read") as caught:
        snapshot(workspace)
    assert why in str(caught.value)
    assert workspace.ledger.readings(workspace.reader(workspace.spec("tiny")).source_id, WINDOW) == {}


def test_a_run_uses_the_function_it_was_admitted_with(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, small(), source(function="tiny.py:read"))
    csv = workspace.settings.models / "tiny.csv"
    good = f"import pandas\ndef read(start, end):\n    return pandas.read_csv({str(csv)!r}, parse_dates=['time'])\n"
    beside(workspace, "tiny.py", good)
    frozen = workspace.spec("tiny")
    admitted = admit(workspace, frozen, as_of=day(6), fallback=day(6), trigger="person", reason="", dry_run=False)
    beside(workspace, "tiny.py", "raise RuntimeError('edited while its run is under way')")
    reader = workspace.reader(workspace.frozen(admitted.spec_id))
    assert ingest.read_window(reader, WINDOW, day(6)).n_partitions_read == 6
    assert workspace.spec("tiny").id != admitted.spec_id


# --- outages, and changes under the reader ------------------------------------------------------------------------

FLAKY = """
import pathlib, pandas
def read(start, end):
    marks = pathlib.Path({marks!r})
    marks.write_text(marks.read_text() + "x" if marks.exists() else "x")
    if len(marks.read_text()) <= {failures}:
        raise ConnectionError("the feed is down")
    return pandas.read_csv({csv!r}, parse_dates=["time"])
"""


@pytest.mark.parametrize(("failures", "heals"), [(3, True), (4, False)])
def test_a_source_that_is_briefly_down_is_asked_again(tmp_path: Path, failures: int, heals: bool) -> None:
    who = {"owner": "Data platform", "contact": "data@example.com", "upstream": "the order system"}
    workspace = tiny(tmp_path, small(), source(function="tiny.py:read", **who))
    csv, marks = workspace.settings.models / "tiny.csv", tmp_path / "marks"
    beside(workspace, "tiny.py", FLAKY.format(marks=str(marks), failures=failures, csv=str(csv)))
    if heals:
        assert snapshot(workspace).n_rows == 48
        return
    with pytest.raises(Unavailable, match="the feed is down") as caught:
        snapshot(workspace)
    assert "fed by the order system. The source's owner: Data platform, data@example.com." in str(caught.value)


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = tiny(tmp_path, small())
    csv, query, times = workspace.settings.models / "tiny.csv", FileSource._query, list[int]()

    def meddled(self: FileSource, window: Window) -> Any:
        found = query(self, window)
        times.append(1)
        if len(times) == 1:
            rows(range(6), lambda number: rows_of(number, n_rows=9)).to_csv(csv, index=False)
        return found

    monkeypatch.setattr(FileSource, "_query", meddled)
    assert snapshot(workspace).n_rows == 54
    assert len(times) == 2


@pytest.mark.slow
def test_s3_without_credentials_or_object_is_an_error_of_the_source(
    tmp_path: Path, s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = tiny(tmp_path, small(), source(files=s3.url("missing.csv")))
    with pytest.raises(SourceError, match="there is no such file"):
        snapshot(workspace)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(SourceError, match="credentials"):
        snapshot(workspace)
    fsspec.get_filesystem_class("s3").clear_instance_cache()


# --- labels from elsewhere ----------------------------------------------------------------------------------------

LABELS = {"data": {"labels": {"files": "labels.csv"}}}


def split_tables(workspace: Workspace, frame: pd.DataFrame, labels: pd.DataFrame) -> None:
    frame.drop(columns=["y", "cost"]).to_csv(workspace.settings.models / "tiny.csv", index=False)
    labels.to_csv(workspace.settings.models / "labels.csv", index=False)


def test_labels_from_another_source_give_the_same_snapshot(tmp_path: Path) -> None:
    frame = small()
    together = tiny(tmp_path / "one", frame)
    apart = tiny(tmp_path / "two", frame, LABELS)
    split_tables(apart, frame, frame[["id", "y", "cost"]].sample(frac=1, random_state=1))
    assert snapshot(apart).id == snapshot(together).id


def test_a_corrected_label_makes_a_new_chunk_of_labels_only(tmp_path: Path) -> None:
    frame = small()
    workspace = tiny(tmp_path, frame, LABELS)
    labels = frame[["id", "y", "cost"]].copy()
    split_tables(workspace, frame, labels)
    before = snapshot(workspace, 7)
    labels.loc[labels.id == "00005-003", "y"] = 1 - labels.y
    labels = labels[labels.id != "00005-004"]
    split_tables(workspace, frame, labels)
    after = snapshot(workspace, 8)
    assert [c.id for c in after.features] == [c.id for c in before.features]
    assert [a.id == b.id for a, b in zip(after.labels, before.labels, strict=True)] == [True] * 5 + [False]
    assert (before.n_labelled, after.n_labelled) == (48, 47)
    assert snapshots.load(workspace.store, before, workspace.spec("tiny").spec.data).num_rows == 48


def test_of_several_labels_the_newest_known_at_the_time_counts(tmp_path: Path) -> None:
    frame = small()
    changes = {"data": {"labels": {"files": "labels.csv", "recorded_at": "recorded"}}}
    workspace = tiny(tmp_path, frame, changes)
    first = frame[["id", "y", "cost"]].assign(recorded=day(6.5))
    second = first.assign(y=1 - first.y, recorded=day(8.5)).head(5)
    split_tables(workspace, frame, pd.concat([second, first]))
    data, truth = workspace.spec("tiny").spec.data, frame.set_index("id").y

    def n_corrected(as_of: float) -> int:
        fresh = tiny(tmp_path / f"as of {as_of}", frame, changes)
        split_tables(fresh, frame, pd.concat([second, first]))
        found = snapshots.load(fresh.store, snapshot(fresh, as_of), data).to_pandas()
        return int((found.y.to_numpy() != truth[found.id].to_numpy()).sum())

    assert [n_corrected(as_of) for as_of in (8, 9)] == [0, 5]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda labels: pd.concat([labels, labels.head(1)]), "labels: 1 keys appear more than once"),
        (lambda labels: labels.drop(columns="cost"), "labels: missing column cost"),
        (lambda labels: labels.assign(id=range(len(labels))), "labels: id holds number values, in the features string"),
    ],
)
def test_labels_that_cannot_be_joined_are_named(tmp_path: Path, change: Any, why: str) -> None:
    frame = small()
    workspace = tiny(tmp_path, frame, LABELS)
    split_tables(workspace, frame, change(frame[["id", "y", "cost"]]))
    with pytest.raises(SourceError, match=why):
        snapshot(workspace)


def test_too_many_rows_without_a_label_block_and_the_share_is_known(tmp_path: Path) -> None:
    frame = rows(range(60))
    workspace = tiny(tmp_path, frame, LABELS)
    split_tables(workspace, frame, frame[["id", "y", "cost"]].sample(frac=0.9, random_state=1))
    with pytest.raises(NotEnoughData, match=r"(9|10|11)\.\d% of the mature rows have no label"):
        retrain(workspace, day(40))


# --- rows without a time ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick_preflight")
def test_a_table_without_time_or_key_is_gated_on_a_fifth_of_each_version(tmp_path: Path) -> None:
    frame = load_breast_cancer(as_frame=True).frame.iloc[:, -9:]  # eight numbers and the target
    nothing = dict.fromkeys(("time_column", "key", "outcomes", "label_delay"))
    changes: dict[str, Any] = {
        "data": {**nothing, "target": "target"},
        "checks": None,
        "features": None,
        "training": {"window": None},
        "gate": {"holdout": None, "min_rows": 50},
        "monitor": None,
    }
    workspace = tiny(tmp_path, frame, changes)
    when = datetime(2026, 1, 5, tzinfo=UTC)
    first = retrain(workspace, when).verdict
    assert first is not None and first.decision == "promote"
    assert "not time-ordered" in first.reasons[0]
    assert 0.15 < first.evaluation.n_rows / len(frame) < 0.25
    again = retrain(workspace, when + timedelta(days=1)).verdict
    assert again is not None and again.decision == "nothing_new"
    frame.sample(450, random_state=1).to_csv(workspace.settings.models / "tiny.csv", index=False)
    third = retrain(workspace, when + timedelta(days=2)).verdict
    assert third is not None and third.evaluation.rule == "refresh"
    assert third.evaluation.leaked_rows == 0 and third.evaluation.looks == 0
    assert third.evaluation.holdout_id != first.evaluation.holdout_id
    opponent = third.evaluation.opponent
    assert opponent is not None and opponent.how == AGAIN and opponent.n_rows == third.evaluation.n_rows
    assert any(f"champion 1, {AGAIN}" in reason for reason in third.reasons)
