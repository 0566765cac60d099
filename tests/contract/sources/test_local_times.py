"""Naive local times: whatever the source, each row is read in exactly one window, also when clocks change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import create_engine, text

from retraining.data import rows
from retraining.errors import SourceError
from retraining.records import Window
from retraining.windows import Partition, partitions
from retraining.workspace import Workspace
from samples.tiny import NAME, rows_of, tiny
from tests.support.postgres import cluster, create_database

SPRING, AUTUMN = datetime(2024, 3, 9, tzinfo=UTC), datetime(2024, 11, 2, tzinfo=UTC)
"""New York's clocks go forward on the day after the first, and back on the day after the second."""
N_DAYS = 3
WINDOWED = "select * from {} where time >= :start and time < :end"
PYTHON = """
import pandas
def read(start, end):
    frame = pandas.read_parquet({path!r})
    first, last = (bound.replace(tzinfo=None) for bound in (start, end))
    return frame[(frame.time >= first) & (frame.time < last)]
"""
Written = Callable[[pd.Series, str], pd.Series]
Change = dict[str, Any]


def naive(time: pd.Series, zone: str) -> pd.Series:
    return time.dt.tz_convert(zone).dt.tz_localize(None)


def aware(time: pd.Series, zone: str) -> pd.Series:
    return time


def texts(form: str) -> Written:
    return lambda time, zone: naive(time, zone).dt.strftime(form)


def with_offset(time: pd.Series, zone: str) -> pd.Series:
    return time.dt.tz_convert(zone).map(lambda t: t.isoformat(sep=" "))


def feed(start: datetime, zone: str, write: Written) -> tuple[pd.DataFrame, dict[str, datetime]]:
    """Return a row every quarter of an hour, but for those whose local time is ambiguous, and when each really was."""
    time = pd.Series(pd.date_range(start, start + timedelta(days=N_DAYS), freq="15min", inclusive="left"), dtype=None)
    time = time.dt.as_unit("us")
    if write not in (aware, with_offset):
        shown = naive(time, zone)
        time = time[~shown.duplicated(keep=False)].reset_index(drop=True)
    frame = rows_of(0, n_rows=len(time))
    return frame.assign(time=write(time, zone)), dict(zip(frame.id, time, strict=True))


def csv(workspace: Workspace, frame: pd.DataFrame) -> Change:
    frame.to_csv(workspace.settings.models / "feed.csv", index=False)
    return {"files": "feed.csv", "query": sql(workspace, "data")}


def parquet(workspace: Workspace, frame: pd.DataFrame) -> Change:
    frame.to_parquet(workspace.settings.models / "feed.parquet")
    return {"files": "feed.parquet", "query": sql(workspace, "data")}


def function(workspace: Workspace, frame: pd.DataFrame) -> Change:
    path = workspace.settings.models / "feed.parquet"
    frame.to_parquet(path)
    (workspace.settings.models / "feed.py").write_text(PYTHON.format(path=str(path)))
    return {"function": "feed.py:read"}


def database(url: str) -> Callable[[Workspace, pd.DataFrame], Change]:
    def written(workspace: Workspace, frame: pd.DataFrame) -> Change:
        engine = create_engine(url)
        frame.to_sql("feed", engine, index=False, if_exists="replace")
        engine.dispose()
        return {"connection": "feed", "query": sql(workspace, "feed")}

    return written


def sql(workspace: Workspace, table: str) -> str:
    (workspace.settings.models / "feed.sql").write_text(WINDOWED.format(table))
    return "feed.sql"


def found(workspace: Workspace, span: Window, unit: Partition) -> dict[str, datetime]:
    """Return each row that is read in one window after the other, and its time; read twice is an error."""
    reader = workspace.reader(workspace.spec(NAME))
    seen: dict[str, datetime] = {}
    for part in partitions(span, unit):
        table = rows.locate(reader.frozen, reader.source.read(part), part)
        here = dict(zip(*(table.column(name).to_pylist() for name in ("id", "time")), strict=True))
        assert not here.keys() & seen.keys()
        seen |= here
    return seen


def installed(
    folder: Path, frame: pd.DataFrame, put: Callable[[Workspace, pd.DataFrame], Change], zone: str
) -> Workspace:
    workspace = tiny(folder)
    source = {"files": None, **put(workspace, frame)}
    return tiny(folder, changes={"data": {"timezone": zone, "source": source}})


def check(folder: Path, put: Callable[[Workspace, pd.DataFrame], Change], write: Written, zone: str) -> None:
    for start in (SPRING, AUTUMN):
        frame, times = feed(start, zone, write)
        workspace = installed(folder / f"{start:%m}", frame, put, zone)
        assert found(workspace, Window(start, start + timedelta(days=N_DAYS)), "day") == times
        change = start + timedelta(days=1)  # New York's clocks change at six or seven
        hours = Window(change + timedelta(hours=4), change + timedelta(hours=9))
        assert found(workspace, hours, "hour") == {k: t for k, t in times.items() if hours.start <= t < hours.end}


ZONES = ("America/New_York", "Asia/Tokyo")
FILES = {
    "csv": (csv, naive),
    "csv, aware": (csv, aware),
    "parquet": (parquet, naive),
    "parquet, aware": (parquet, aware),
    "a function that compares its naive times": (function, naive),
}
LITE = {
    "sqlite": naive,
    "sqlite, with T": texts("%Y-%m-%dT%H:%M:%S"),
    "sqlite, to the minute": texts("%Y-%m-%d %H:%M"),
    "sqlite, with offsets": with_offset,
}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("kind", FILES)
def test_rows_of_files(tmp_path: Path, kind: str, zone: str) -> None:
    check(tmp_path, *FILES[kind], zone)


@pytest.mark.parametrize("zone", ["UTC", *ZONES])
@pytest.mark.parametrize("kind", LITE)
def test_rows_of_sqlite(tmp_path: Path, kind: str, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "feed.db"
    monkeypatch.setenv("RETRAINING_CONN_FEED", f"sqlite:///{path}")
    check(tmp_path, database(f"sqlite:///{path}"), LITE[kind], zone)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with cluster() as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("write", [naive, aware])
def test_rows_of_postgresql_whatever_its_own_zone(
    tmp_path: Path, write: Written, zone: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = create_database(server, f"{write.__name__} {zone}".replace("/", " "))
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"alter database \"{engine.url.database}\" set timezone to 'Europe/Berlin'"))
    engine.dispose()
    monkeypatch.setenv("RETRAINING_CONN_FEED", url)
    check(tmp_path, database(url), write, zone)


@pytest.mark.parametrize(
    ("hour", "why"), [("2024-11-03 01:30:00", "is ambiguous"), ("2024-03-10 02:30:00", "doesn't exist")]
)
@pytest.mark.parametrize("unit", ["day", "hour"])
def test_a_local_hour_that_means_nothing_is_an_error_and_not_a_lost_row(
    tmp_path: Path, hour: str, why: str, unit: Partition
) -> None:
    time = pd.Series([pd.Timestamp(hour)])
    start = datetime.fromisoformat(hour[:10]).replace(tzinfo=UTC)
    workspace = installed(tmp_path, rows_of(0, n_rows=1).assign(time=time), csv, "America/New_York")
    with pytest.raises(SourceError, match=f"{why}.*Give times with an offset"):
        found(workspace, Window(start, start + timedelta(days=1)), unit)


def test_a_replay_of_local_times_gives_each_row_once(tmp_path: Path) -> None:
    zone, start = "America/New_York", datetime(2024, 1, 1, tzinfo=UTC)
    shown = pd.Series(pd.date_range("2024-01-01", "2024-01-20", freq="h", inclusive="left"))
    workspace = installed(tmp_path, rows_of(0, n_rows=len(shown)).assign(time=shown), csv, zone)
    source = {"files": "feed.csv", "query": "feed.sql", "replay": {"start": start.date(), "days": 14}}
    changes = {"data": {"timezone": zone, "source": source}, "training": {"window": "10d"}, "gate": {"holdout": "2d"}}
    workspace = tiny(tmp_path, changes=changes)
    reader = workspace.reader(workspace.spec(NAME))
    around = Window(start + timedelta(days=13), start + timedelta(days=16))
    table = rows.locate(reader.frozen, reader.source.read(around), around)
    assert sorted(table.column("time").to_pylist()) == [around.start + timedelta(hours=n) for n in range(72)]
