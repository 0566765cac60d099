"""SQL from a YAML: it reads what it was given, writes nothing and opens nothing else, on each kind of source."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from sqlalchemy import create_engine, text

from retraining.checking import check_spec
from retraining.errors import MonitorFailed, RetrainingError, SourceError, SpecError
from retraining.monitor.performance import _business as business_value
from retraining.records import Window
from retraining.sources import Places
from retraining.sources.files import FileSource
from retraining.sources.sql import SqlSource
from retraining.spec import load
from retraining.spec.model import Business
from retraining.stats.slices import matching
from samples.tiny import day, write_model
from tests.support import postgres

WINDOW = Window(day(0), day(1))
TABLE = pa.table({"x": [1, 2], "prediction": [0.5, 0.25]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of models with a declared file, and a secret one beside it."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "rows.csv").write_text("x,y\n1,2\n")
    (models / "secret.csv").write_text("x\n9\n")
    return models


def read(folder: Path, sql: str, files: str = "rows.csv") -> pa.Table:
    return FileSource({"data": files}, sql, (), Places(folder, folder.parent / "cache")).read(WINDOW)


def listed(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}


# --- files, by DuckDB ---------------------------------------------------------------------------------------------

WRITES = (
    "copy (select 1 as x) to '{folder}/out.csv'",
    "copy (select 1 as x, 2 as y) to '{folder}/rows.csv'",
    "attach '{folder}/new.db' as other",
    "export database '{folder}/all'",
    "select * from data; copy (select 1) to '{folder}/out.csv'",
    "create table t as select * from data",
    "set enable_external_access = true; select * from data",
    "install httpfs",
)
READS = (
    "select * from '{folder}/secret.csv'",
    "select * from read_csv('{folder}/secret.csv')",
    "select content as x from read_text('/etc/hostname')",
    "select * from data union all select x, x from '{folder}/../models/secret.csv'",
    "select file as x from glob('{folder}/*')",
)


@pytest.mark.parametrize("sql", WRITES)
def test_a_query_that_is_more_than_a_select_is_not_run(folder: Path, sql: str) -> None:
    before = listed(folder)
    with pytest.raises(SourceError, match=r"rows.csv: the query is .*, and a YAML may only read: write one select"):
        read(folder, sql.format(folder=folder))
    assert listed(folder) == before


@pytest.mark.parametrize("sql", READS)
def test_a_query_opens_no_file_but_the_declared_ones(folder: Path, sql: str) -> None:
    with pytest.raises(SourceError, match=r"the query may open only these files: .* Name what it needs under"):
        read(folder, sql.format(folder=folder))


def test_a_name_that_is_no_table_is_not_looked_up_among_our_variables(folder: Path) -> None:
    connection = pa.table({"secret": [1]})
    with pytest.raises(SourceError, match="Table with name connection does not exist"):
        read(folder, "select * from connection")
    assert connection.num_rows == 1


@pytest.mark.parametrize(
    ("files", "n_rows"),
    [("rows.csv", 1), ("part-*.csv", 2), ("sub/../rows.csv", 1), ("rows.csv.gz", 1), ("memory://in/part-*.csv", 2)],
)
def test_declared_files_are_read_however_they_are_named(folder: Path, files: str, n_rows: int) -> None:
    (folder / "sub").mkdir()
    (folder / "rows.csv.gz").write_bytes(gzip.compress((folder / "rows.csv").read_bytes()))
    for number in (1, 2):
        (folder / f"part-{number}.csv").write_text("x,y\n1,2\n")
        with fsspec.open(f"memory://in/part-{number}.csv", "wb") as file:
            file.write(b"x,y\n1,2\n")
    assert read(folder, "select * from data where x < 5", files).num_rows == n_rows


def test_a_pivot_is_a_select(folder: Path) -> None:
    assert read(folder, "pivot data on x using sum(y)").to_pylist() == [{"1": 2}]


# --- conditions and figures ---------------------------------------------------------------------------------------

AFTER = "; copy (select 1) to '{folder}/out.csv'; select "
BROKEN_OUT = {"condition": f"1)::boolean, false) from rows{AFTER}coalesce((1", "figure": f"1 from scored{AFTER}1"}
ESCAPES = (
    "(select count(*) from read_text('/etc/hostname')) > 0",
    "(select count(*) from '{folder}/secret.csv') > 0",
)


def business(sql: str) -> Business:
    return Business(name="worth", sql=sql, unit="EUR", margin=1)


def test_a_condition_and_a_figure_cannot_begin_another_statement(folder: Path) -> None:
    before = listed(folder)
    broken = {name: sql.format(folder=folder) for name, sql in BROKEN_OUT.items()}
    with pytest.raises(SpecError, match="it is 3 statements, and a YAML may only read"):
        matching(TABLE, broken["condition"])
    with pytest.raises(MonitorFailed, match="it is 3 statements, and a YAML may only read"):
        business_value(business(broken["figure"]), TABLE, "tiny")
    assert listed(folder) == before


@pytest.mark.parametrize("sql", ESCAPES)
def test_a_condition_and_a_figure_see_their_table_alone(folder: Path, sql: str) -> None:
    before = listed(folder)
    with pytest.raises(SpecError, match="Cannot access file"):
        matching(TABLE, sql.format(folder=folder))
    with pytest.raises(MonitorFailed, match="monitor.business.sql failed: .*Cannot access file"):
        business_value(business(sql.format(folder=folder)), TABLE, "tiny")
    assert listed(folder) == before
    assert matching(TABLE, "x > 1").tolist() == [False, True]


# --- other people's databases -------------------------------------------------------------------------------------


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'feed.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table feed (x integer)")
        connection.exec_driver_sql("insert into feed values (1)")
    engine.dispose()
    return url


def from_database(url: str, sql: str) -> pa.Table:
    return SqlSource("feed", sql, lambda _: url).read(WINDOW)


@pytest.mark.parametrize(
    "sql",
    [
        "drop table feed",
        "select * from feed; drop table feed",
        "attach database '{folder}/new.db' as other",
        "with a as (select 1) insert into feed select * from a",
        "select 'a\\' ; drop table feed -- '",
        "select 1 /* a /* b */ ' */ ; drop table feed -- '",
        "pragma journal_mode = delete",
        "select load_extension('x.so')",
        "",
    ],
)
def test_only_a_select_is_sent_to_a_database(tmp_path: Path, sqlite: str, sql: str) -> None:
    with pytest.raises(SourceError, match=r"connection feed: the query .*(only read|quote twice|remove it|one select)"):
        from_database(sqlite, sql.format(folder=tmp_path))
    assert from_database(sqlite, "select * from feed where 'into; drop' <> ''").num_rows == 1


@pytest.mark.parametrize(
    "sql", ["drop table feed", "attach database '{folder}/new.db' as other", "insert into feed values (2) returning x"]
)
def test_sqlite_itself_refuses_to_write(tmp_path: Path, sqlite: str, sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retraining.sources.sql.problem_of", lambda *_: None)
    with pytest.raises(SourceError, match="not authorized"):
        from_database(sqlite, sql.format(folder=tmp_path))
    assert not (tmp_path / "new.db").exists()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.cluster() as found:
        yield found


@pytest.mark.slow
def test_postgresql_itself_refuses_to_write(server: str) -> None:
    url = postgres.create_database(server, "feed")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("create sequence counted"))
        connection.execute(text("create table feed as select 1 as x"))
    for sql in ("select nextval('counted') as x", "select * from feed for update"):
        with pytest.raises(SourceError, match="in a read-only transaction"):
            from_database(url, sql)
    assert from_database(url, "select x from feed").num_rows == 1
    engine.dispose()


# --- check says so before anything runs ---------------------------------------------------------------------------


def connected(sql: str) -> dict[str, Any]:
    return {"data": {"source": {"files": None, "connection": "feed", "query": "q.sql"}}, "__sql__": sql}


def figure(sql: str) -> dict[str, Any]:
    return {"monitor": {"business": {"name": "worth", "sql": sql, "unit": "EUR", "margin": 1}}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"source": {"query": "q.sql"}}}, "data.source.query: q.sql is a copy, and a YAML may only read"),
        (connected("delete from feed"), "data.source.query: q.sql begins with delete, and a YAML may only read"),
        (
            {"gate": {"slices": [{"name": "late", "where": BROKEN_OUT["condition"]}]}},
            "gate.slices: late is 3 statements",
        ),
        (
            figure("1; copy (select 1) to 'a.csv'; select 1"),
            "monitor.business.sql is 3 statements",
        ),
    ],
)
def test_check_names_sql_that_writes(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    (tmp_path / "q.sql").write_text(changes.pop("__sql__", "copy (select 1) to 'out.csv'"))
    path = write_model(tmp_path, changes=changes)
    assert [problem for problem in check_spec(load(path)) if said in problem]


def outside(folder: Path) -> str:
    (folder.parent / "q.sql").write_text("select 1")
    return "../q.sql"


def absolute(folder: Path) -> str:
    return str((folder.parent / outside(folder).removeprefix("../")).absolute())


def linked(folder: Path) -> str:
    (folder / "linked.sql").symlink_to(absolute(folder))
    return "linked.sql"


@pytest.mark.parametrize("place", [outside, absolute, linked])
@pytest.mark.parametrize("key", ["query", "cases"])
def test_a_file_of_a_yaml_lies_within_its_folder(folder: Path, place: Callable[[Path], str], key: str) -> None:
    name = place(folder)
    if key == "cases":
        for path in (folder / name, folder.parent / "q.sql"):
            path.rename(path.with_name(path.name.replace(".sql", ".cases.yaml"))) if path.exists() else None
        name = name.replace(".sql", ".cases.yaml")
    changes = {"gate": {"cases": name}} if key == "cases" else {"data": {"source": {"query": name}}}
    with pytest.raises(RetrainingError, match="is not within the folder of the YAML, models. Put the file"):
        load(write_model(folder, changes=changes))
