"""200 models with a year of days: what a person and the nightly care wait for, on SQLite and on PostgreSQL.

The year is written through the ledger's own functions (`samples.fleet`); for PostgreSQL they are
copied. Each question is asked in a process of its own; `status` and `history` are timed with their interpreter's start.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, insert, select, text

from benchmarks.figures import Figure, Report, times
from benchmarks.processes import Ended, environment, run, run_json
from retraining.ledger import Ledger
from retraining.ledger.tables import metadata
from retraining.settings import Settings, settings
from retraining.spec import find_models
from samples import postgres
from samples.fleet import fleet, names
from samples.queries import Asked, asked
from samples.tiny import day, environ

_MODELS, _DAYS = 200, 365
_KEEP = "300d"
"""Shorter than the year, so that housekeeping has weeks to free: more than on any usual day."""
_EARLY = 30
"""The day that the last one's monitoring is compared with."""
_REPEATS = 20
_NOW = day(_DAYS + 1)
_ROWS_AT_ONCE = 5_000
_MB = 1_000_000


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Fill both ledgers and ask each the same."""
    begun = time.perf_counter()
    workspace = fleet(folder, _MODELS, _DAYS, {"retention": {"keep": _KEEP}})
    report(f"{_MODELS} models with {_DAYS} days written in {time.perf_counter() - begun:.0f} s")
    yield from _questions("SQLite", workspace.settings, report)
    other = folder / "store"
    shutil.copytree(workspace.settings.home / "store", other, copy_function=os.link)
    try:
        with postgres.cluster() as server:
            url = postgres.create_database(server, "fleet")
            _copy(workspace.settings.ledger, url)
            report("copied to PostgreSQL")
            place = replace(workspace.settings, ledger=url, store=other.as_uri())
            yield from _questions("PostgreSQL", place, report)
            yield from _upkeep("PostgreSQL", place, report)
    except postgres.NotInstalled as error:
        yield Figure("PostgreSQL", "not measured", str(error))
    yield from _upkeep("SQLite", workspace.settings, report)


def _questions(where: str, place: Settings, report: Report) -> Iterator[Figure]:
    variables = {**environment(place.home), **environ(place)}
    targets = {"status": "2.5 s", "history": "1 s", "page": "0.5 s, 10 queries"}
    for what, target in targets.items():
        if what in _COMMANDS:
            whole = run(["-m", "retraining", *_COMMANDS[what]], variables)
            yield Figure(f"{where}: {what}", f"{whole.duration_s:.2f} s", "with its imports", target)
        ended = run(["-m", "benchmarks.fleet", what], variables)
        yield _figure(f"{where}: {what}", ended, target)
        report(f"{where}: {what} took {ended.duration_s:.1f} s")
    yield from _monitoring(where, variables)


def _upkeep(where: str, place: Settings, report: Report) -> Iterator[Figure]:
    """Free what is old; afterwards a monitor run of an early day would have to read its source again."""
    ended = run(["-m", "benchmarks.fleet", "housekeeping"], {**environment(place.home), **environ(place)})
    report(f"{where}: housekeeping took {ended.duration_s:.1f} s")
    yield _figure(f"{where}: housekeeping", ended, "180 s, 1 GB")


def _monitoring(where: str, variables: dict[str, str]) -> Iterator[Figure]:
    """Compare what a monitor run takes of the ledger early and late in a model's life."""
    early, late = (run_json(["-m", "benchmarks.fleet", f"monitor {n}"], variables) for n in (_EARLY, _DAYS))
    for number, found in ((_EARLY, early), (_DAYS, late)):
        ratio = times(found["database"], early["database"], f"day {_EARLY}")
        shown = f"{1000 * found['database'] / _REPEATS:.1f} ms"
        yield Figure(f"{where}: monitor on day {number}, ledger", shown, ratio, "as on day 30")


def _figure(what: str, ended: Ended, target: str) -> Figure:
    found: dict[str, Any] = json.loads(ended.output.strip().splitlines()[-1])
    counted = f"{found['queries']:,} queries, {found['cpu']:.2f} s of CPU, {ended.peak_bytes / _MB:,.0f} MB"
    return Figure(f"{what}, work alone", f"{found['seconds']:.2f} s", counted, target)


def _copy(source: str, target: str) -> None:
    """Copy every row of a ledger into an empty one."""
    Ledger(target).close()
    origin, goal = create_engine(source), create_engine(target)
    with origin.connect() as reading, goal.begin() as writing:
        for table in metadata.sorted_tables:
            for rows in reading.execute(select(table)).mappings().partitions(_ROWS_AT_ONCE):
                writing.execute(insert(table), [dict(row) for row in rows])
            writing.execute(
                text(
                    f"select setval(pg_get_serial_sequence('{table.name}', 'row'), "  # noqa: S608 - our own tables
                    f"(select coalesce(max(row), 1) from {table.name}))"
                )
            )
    with goal.connect().execution_options(isolation_level="AUTOCOMMIT") as writing:
        writing.execute(text("analyze"))
    origin.dispose()
    goal.dispose()


# --- the processes that are measured ------------------------------------------------------------------------------

_MODEL = names(1)[0]
_COMMANDS = {"status": ["status", "--as-of", _NOW.isoformat(), "--json"], "history": ["history", _MODEL, "--json"]}


def _command(what: str) -> Callable[[], object]:
    from typer.testing import CliRunner

    from retraining.cli.app import app

    def call() -> None:
        result = CliRunner().invoke(app, _COMMANDS[what])
        if result.exit_code:
            raise RuntimeError(result.output)

    return call


def _page() -> Callable[[], object]:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi.testclient import TestClient

    from retraining_airflow.ui.app import make_app

    class AllowsAll:
        def is_authorized_dag(self, **_: object) -> bool:
            return True

    app = make_app()
    app.dependency_overrides[get_user] = lambda: "somebody"
    app.dependency_overrides[get_auth_manager] = AllowsAll
    browser = TestClient(app)

    def call() -> None:
        answer = browser.get("/models")
        if answer.status_code != 200 or answer.text.count("<tr>") <= len(find_models(settings().models)):
            raise RuntimeError(answer.text[:2000])

    call()  # a web server has answered before
    return call


def _housekeeping() -> Callable[[], object]:
    from retraining.care import reconcile, retention
    from retraining.workspace import Workspace

    def call() -> None:
        work = Workspace(settings())
        reconcile.find_stale(work, _NOW)
        retention.sweep(work, retention.plan(work, _NOW))

    return call


def _monitored(number: int) -> Callable[[], object]:
    """Return what the newest monitor run of a day asks of the ledger; Evidently's report needs none of it."""
    from retraining.monitor import performance
    from retraining.pipeline import monitor
    from retraining.workspace import Workspace

    work, as_of = Workspace(settings()), day(number)
    frozen, measured = work.spec(_MODEL), work.ledger.measurement(_MODEL, as_of)
    champion = [c for c in work.ledger.champions(_MODEL) if c.as_of <= as_of][-1]
    if measured is None:
        raise RuntimeError(f"day {number} was not measured")

    def call() -> None:
        for minute in range(_REPEATS):
            performance.compare(work, frozen, champion, as_of)
            monitor.decide(work, frozen, replace(measured, as_of=as_of + timedelta(minutes=1 + minute)))

    return call


def _prepared(what: str) -> Callable[[], object]:
    if what.startswith("monitor "):
        return _monitored(int(what.split()[1]))
    return {"page": _page, "housekeeping": _housekeeping}[what]() if what not in _COMMANDS else _command(what)


def _ask(what: str) -> dict[str, Any]:
    """Ask once in this process; return the seconds of the work alone and how much was asked of the ledger."""
    call = _prepared(what)
    seen: Asked
    with asked() as seen:
        begun, busy = time.perf_counter(), time.process_time()
        call()
        seconds, cpu = time.perf_counter() - begun, time.process_time() - busy
    return {"seconds": seconds, "cpu": cpu, "queries": len(seen), "database": seen.seconds}


if __name__ == "__main__":
    print(json.dumps(_ask(sys.argv[1])))
