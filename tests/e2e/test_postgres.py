"""The ledger and a source on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from retraining.ledger import Ledger
from retraining.ledger.tables import metadata
from retraining.records import Champion
from retraining.workspace import Workspace
from samples import tiny
from tests.support import postgres

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.cluster() as url:
        yield url


def _champion(by: str) -> Champion:
    then = datetime(2024, 1, 1, tzinfo=UTC)
    ids = {"release_id": "r" * 64, "verdict_id": "v" * 64, "spec_id": "s" * 64, "recipe_id": "c" * 64}
    rest = {"estimator": "e", "version": 1, "as_of": then, "cutoff": then, "reason": "", "created_at": then}
    return Champion(model="m", sequence=1, kind="promotion", by=by, **ids, **rest)  # type: ignore[arg-type]  # plain values


def test_processes_that_open_a_new_ledger_at_once_find_one_schema(server: str) -> None:
    url = postgres.create_database(server, "ledger_race")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: Ledger(url).close(), range(6)))  # raises what any of them raised
    assert set(metadata.tables) < set(inspect(create_engine(url)).get_table_names())


def test_of_many_promotions_at_once_one_wins(server: str) -> None:
    url = postgres.create_database(server, "champion_race")
    Ledger(url).close()
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: Ledger(url).move_champion(_champion(f"run {n}")), range(8)))
    assert sorted(won) == [False] * 7 + [True]
    assert len(Ledger(url).champions("m")) == 1


@pytest.mark.usefixtures("quick_preflight")
def test_the_loop_runs_on_a_postgresql_ledger_and_source(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows from CSV and from PostgreSQL are the same snapshot, and a rerun has no second effect."""
    ledger_url = postgres.create_database(server, "ledger")
    table_url = postgres.create_database(server, "warehouse")
    engine = create_engine(table_url)
    tiny.rows(range(tiny.N_DAYS)).to_sql("events", engine, index=False)
    engine.dispose()
    from_files = tiny.tiny(tmp_path / "files")
    settings = replace(tiny.settings_in(tmp_path / "database"), ledger=ledger_url)
    query = {"source": {"files": None, "connection": "warehouse", "query": "tiny.sql"}}
    tiny.write_model(settings.models, changes={"data": query})
    (settings.models / "tiny.sql").write_text('select * from events where "time" >= :start and "time" < :end')
    monkeypatch.setenv("RETRAINING_CONN_WAREHOUSE", table_url)
    workspace = Workspace(settings)

    first, reference = tiny.retrain(workspace, tiny.day(40)), tiny.retrain(from_files, tiny.day(40))
    assert first.verdict is not None and reference.verdict is not None
    assert first.verdict.evaluation.holdout_id == reference.verdict.evaluation.holdout_id
    again = tiny.retrain(workspace, tiny.day(40))
    assert first.verdict.decision == "promote"
    assert again.verdict is not None and again.verdict.decision == "nothing_new"
    assert len(workspace.ledger.champions(tiny.NAME)) == 1
