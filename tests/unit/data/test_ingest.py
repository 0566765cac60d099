"""Ingest: every fault of a source is named, only what is new is read, and nothing stored is ever changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import time_machine

from retraining.data import ingest, plan, snapshots
from retraining.data.ingest import Reader
from retraining.errors import NotEnoughData, SourceError, SpecError
from retraining.records import Snapshot, Window
from retraining.sources import RowSource
from retraining.workspace import Workspace
from samples.tiny import day, rows, rows_of, tiny, write_csv


class Counted:
    """A source that remembers which windows were read from it."""

    def __init__(self, reader: Reader) -> None:
        self._source, self.windows = reader.source, list[Window]()

    def read(self, window: Window) -> pa.Table:
        self.windows.append(window)
        return self._source.read(window)

    @property
    def n_days(self) -> int:
        return sum((w.end - w.start).days for w in self.windows)


def reader_of(workspace: Workspace) -> tuple[Reader, Counted]:
    reader = workspace.reader(workspace.spec("tiny"))
    counted = Counted(reader)
    return dataclasses.replace(reader, source=counted), counted


def read(workspace: Workspace, first: int, last: int, as_of: float) -> tuple[Snapshot, int]:
    reader, counted = reader_of(workspace)
    window = Window(day(first), day(last))
    extent = ingest.read_window(reader, window, day(as_of))
    assert extent.n_partitions_read == counted.n_days
    return snapshots.freeze(reader, extent, window, day(as_of), labels=True), counted.n_days


def csv_of(workspace: Workspace) -> Path:
    return workspace.settings.models / "tiny.csv"


def small(n_days: int = 6) -> pd.DataFrame:
    return rows(range(n_days), lambda number: rows_of(number, n_rows=5))


# --- what a source can get wrong ----------------------------------------------------------------------------------


def failure(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> str:
    workspace = tiny(folder, change(small()))
    with pytest.raises(SourceError) as caught:
        read(workspace, 0, 5, 10)
    assert not list(folder.rglob("*.parquet")), "a chunk was stored although the source is wrong"
    return str(caught.value)


def set_in(frame: pd.DataFrame, row: int, **values: object) -> pd.DataFrame:
    frame = frame.astype({name: object for name in values})
    for name, value in values.items():
        frame.loc[row, name] = value
    return frame


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            lambda f: f.drop(columns="y"),
            ["tiny, source", "missing column y", "It has: ", "Change the query or the YAML"],
        ),
        (lambda f: f.drop(columns=["id", "cost"]), ["missing column cost, id"]),
        (lambda f: pd.concat([f, f.iloc[[3]]]), ["1 keys appear more than once", "00000-003", "Nothing was stored"]),
        (lambda f: set_in(f, 2, id=None), ["1 rows have no id, which is in data.key"]),
        (lambda f: set_in(f, 2, time=None), ["1 rows have no time", "Drop them in the query"]),
        (lambda f: f.assign(time="soon"), ["time holds", "not times"]),
        (lambda f: f.assign(x1=float("inf")), ["column x1 holds infinite values"]),
    ],
)
def test_a_fault_is_named_and_nothing_is_stored(
    tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], parts: list[str]
) -> None:
    text = failure(tmp_path, change)
    assert [part for part in parts if part not in text] == [], text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, small())
    csv_of(workspace).unlink()
    with pytest.raises(SourceError, match="tiny.csv: there is no such file. Check data.source.files"):
        read(workspace, 0, 5, 10)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, small())
    csv_of(workspace).write_text("")
    with pytest.raises(SourceError, match="tiny"):
        read(workspace, 0, 5, 10)


def test_a_file_without_rows_is_not_enough(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, small().iloc[:0])
    with pytest.raises((NotEnoughData, SourceError), match="tiny"):
        read(workspace, 0, 5, 10)


@pytest.mark.parametrize("content", [b"\x00\xff\x00\xfe" * 50, b'id,time\n1,2,3,4\n"a', b"PAR1 no parquet"])
def test_a_corrupt_file_is_named(tmp_path: Path, content: bytes) -> None:
    workspace = tiny(tmp_path, small())
    csv_of(workspace).write_bytes(content)
    with pytest.raises(SourceError, match="tiny"):
        read(workspace, 0, 5, 10)


def test_a_corrupt_line_is_named(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, small())
    path = csv_of(workspace)
    path.write_text(path.read_text() + '00009-000,2024-01-05 00:00:00+00:00,"1\n')
    with pytest.raises(SourceError, match="tiny"):
        read(workspace, 0, 5, 10)


def test_text_in_a_number_column_is_named_where_the_model_needs_it(tmp_path: Path) -> None:
    from retraining.artifacts.features import FeaturePlan, matrix

    workspace = tiny(tmp_path, set_in(small(), 7, x1="n/a"))
    manifest, _ = read(workspace, 0, 5, 10)
    table = snapshots.load(workspace.store, manifest, workspace.spec("tiny").spec.data)
    with pytest.raises(SourceError, match="here: column x1 holds string values .* features.numeric"):
        matrix(table, FeaturePlan(("x1",), ()), "here")


def test_a_query_that_fails_is_named(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, small(), {"data": {"source": {"query": "q.sql"}}})
    (workspace.settings.models / "q.sql").write_text("select nothing from data where time >= :start")
    with pytest.raises(SourceError, match="the query failed: .*nothing.* the .sql beside the YAML"):
        read(workspace, 0, 5, 10)


def local(times: list[str]) -> pd.DataFrame:
    frame = small(1).iloc[: len(times)]
    return frame.assign(time=times)


@pytest.mark.parametrize("hour", ["2024-11-03 01:30:00", "2024-03-10 02:30:00"])
def test_a_local_hour_that_is_ambiguous_or_missing_is_an_error(tmp_path: Path, hour: str) -> None:
    workspace = tiny(tmp_path, local([hour]), {"data": {"timezone": "America/New_York"}})
    reader, _ = reader_of(workspace)
    start = datetime.fromisoformat(hour[:10]).replace(tzinfo=UTC)
    with pytest.raises(SourceError, match="Give times with an offset"):
        ingest.read_window(reader, Window(start, start + timedelta(days=1)), start + timedelta(days=9))


def test_naive_times_are_of_the_models_time_zone(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, local(["2024-01-01 20:00:00"]), {"data": {"timezone": "America/New_York"}})
    manifest, _ = read(workspace, 0, 3, 9)
    assert [(chunk.start, chunk.n_rows) for chunk in manifest.features] == [(day(1), 1)]
    assert manifest.empty == (day(0), day(2))


def replay(folder: Path, sql: str) -> RowSource:
    source = {"query": "q.sql", "replay": {"start": day(0).date(), "days": 28}}
    workspace = tiny(folder, changes={"data": {"source": source}, "training": {"window": "14d"}})
    (workspace.settings.models / "q.sql").write_text(sql)
    return workspace.reader(workspace.spec("tiny")).source


WINDOWED = "select * from data where time >= :start and time < :end"


def test_a_replay_needs_a_query_that_keeps_to_the_window(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="tiny.yaml: data.source.replay needs .* :start and :end"):
        replay(tmp_path, "select * from data where time >= :start")


def test_a_replay_refuses_windows_in_which_rows_would_repeat(tmp_path: Path) -> None:
    replayed = replay(tmp_path, WINDOWED)
    with pytest.raises(SourceError, match="repeats after 28 days"):
        replayed.read(Window(day(0), day(29)))


def test_a_replay_is_a_pure_function_of_the_day(tmp_path: Path) -> None:
    replayed = replay(tmp_path, WINDOWED)
    once, later = (replayed.read(Window(day(d), day(d + 1))).drop(["time"]) for d in (3, 3 + 28 * 40))
    assert once.equals(later)
    around = replayed.read(Window(day(26), day(30))).column("time").to_pylist()
    assert (min(around), max(around) < day(30)) == (day(26), True)
    assert len(around) == 4 * 40
    before = replayed.read(Window(day(-28), day(-27))).drop(["time"])
    assert before.equals(replayed.read(Window(day(0), day(1))).drop(["time"]))


# --- how much is read ---------------------------------------------------------------------------------------------


def test_an_unchanged_window_is_not_read_again(tmp_path: Path) -> None:
    workspace = tiny(tmp_path)
    first, n = read(workspace, 0, 30, 31)
    assert n == 30
    files = sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*.parquet"))
    again, n = read(workspace, 0, 30, 31)
    assert n == 0
    assert again == first
    assert sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*.parquet")) == files


def test_a_window_moved_by_a_day_reads_the_look_back_and_stores_a_day(tmp_path: Path) -> None:
    workspace = tiny(tmp_path)
    read(workspace, 0, 30, 31)
    before = len(list(tmp_path.rglob("*.parquet")))
    moved, n = read(workspace, 1, 31, 32)
    assert n == 2, "the new day and the one day of the look-back that has labels"
    assert len(list(tmp_path.rglob("*.parquet"))) == before + 2, "one chunk of features, one of labels"
    assert moved.window == Window(day(1), day(31))


def test_labels_that_come_later_are_picked_up(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, changes={"data": {"label_delay": "3d"}})
    early, _ = read(workspace, 0, 10, 10)
    assert (len(early.features), len(early.labels)) == (10, 7)
    late, _ = read(workspace, 0, 10, 13)
    assert (len(late.features), len(late.labels)) == (10, 10)
    assert late.features == early.features
    much_later, n = read(workspace, 0, 10, 40)
    assert len(much_later.labels) == 10
    assert n == 0


def test_immature_readings_are_read_again_however_much_later(tmp_path: Path) -> None:
    workspace = tiny(tmp_path)
    scoring = read(workspace, 9, 10, 10)[0]
    assert not scoring.labels
    assert len(read(workspace, 9, 10, 40)[0].labels) == 1


def test_what_was_read_before_it_was_final_is_read_again(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, small(6))
    with time_machine.travel(day(3), tick=False):  # a clock as it was when nothing refused times that had not come
        assert read(workspace, 0, 6, 8)[0].n_labelled == 30
    reader, _ = reader_of(workspace)
    made = workspace.ledger.readings(reader.source_id, Window(day(0), day(6)))
    assert {r.made_at for seen in made.values() for r in seen} == {day(3)}
    corrected, n = read(workspace, 0, 6, 20)
    assert n == 4, "two days had final labels on the third day: the others were guesses"
    assert corrected.n_labelled == 30
    assert read(workspace, 0, 6, 20)[1] == 0


def test_a_schedule_whose_clock_runs_ahead_reads_nothing_twice(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, small(6))
    with time_machine.travel(day(6) - timedelta(minutes=5), tick=False):
        assert read(workspace, 0, 6, 6)[1] == 6
    assert read(workspace, 0, 5, 9)[1] == 0


def test_late_and_corrected_rows_make_a_new_snapshot_and_the_old_one_stays(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, small(8))
    old, _ = read(workspace, 0, 7, 8)
    late = rows_of(6, n_rows=6).iloc[[5]]
    corrected = small(8).assign(y=lambda f: f.y.where(f.id != "00005-002", 1 - f.y))
    write_csv(csv_of(workspace), pd.concat([corrected, late]))
    new, n = read(workspace, 0, 7, 8.5)
    assert n == 2
    assert new.id != old.id
    assert (old.n_rows, new.n_rows) == (35, 36)
    data = workspace.spec("tiny").spec.data
    assert snapshots.load(workspace.store, snapshots.read_manifest(workspace.store, old.id), data).num_rows == 35
    assert snapshots.load(workspace.store, new, data).num_rows == 36
    assert read(workspace, 0, 7, 8)[0] == old, "the past, asked again, is as it was"


def test_rows_change_the_id_and_their_source_does_not(tmp_path: Path) -> None:
    frame = small()
    one, _ = read(tiny(tmp_path / "a", frame), 0, 5, 10)
    two, _ = read(tiny(tmp_path / "b", frame.sample(frac=1, random_state=0)), 0, 5, 10)
    workspace = tiny(tmp_path / "c", frame)
    parquet = workspace.settings.models / "rows.parquet"
    frame.astype({"y": "int8"}).to_parquet(parquet)
    yaml = workspace.settings.models / "tiny.yaml"
    yaml.write_text(yaml.read_text().replace(str(csv_of(workspace)), str(parquet)))
    three, _ = read(workspace, 0, 5, 10)
    assert one.id == two.id == three.id
    assert three.source_id != one.source_id
    assert read(tiny(tmp_path / "d", frame.assign(x1=frame.x1 + 1)), 0, 5, 10)[0].id != one.id


def test_empty_partitions_are_facts(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, rows([0, 1, 4], lambda number: rows_of(number, n_rows=5)))
    manifest, _ = read(workspace, 0, 5, 10)
    assert manifest.empty == (day(2), day(3))
    with pytest.raises(NotEnoughData, match="no rows in 2024-01-03 to 2024-01-05 UTC"):
        read(workspace, 2, 4, 10)


def test_a_column_that_changes_its_type_is_named(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, small())
    read(workspace, 0, 5, 5)
    write_csv(csv_of(workspace), set_in(small(), 27, x1="broken"))
    manifest, _ = read(workspace, 0, 6, 6)
    with pytest.raises(SourceError, match="column x1 changes its type inside the window"):
        snapshots.load(workspace.store, manifest, workspace.spec("tiny").spec.data)


# --- windows of a retraining --------------------------------------------------------------------------------------


def test_the_holdout_is_whole_and_newer_than_what_is_trained_on(tmp_path: Path) -> None:
    data = tiny(tmp_path, small()).spec("tiny").spec.data
    train, held, refit = plan.plan_windows(data, timedelta(days=28), timedelta(days=7), day(40))
    assert (train, held, refit) == (Window(day(4), day(32)), Window(day(32), day(39)), Window(day(11), day(39)))
