"""Bad input, case by case: the message says what, where and what to do, and nothing is promoted, lost or half written."""

# ruff: noqa: E501 - a table has one line per case

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import create_engine
from sqlalchemy import text as sql_text

from retraining.artifacts import stored
from retraining.audit.reproduce import reproduce
from retraining.calendars import require_scored, require_watched
from retraining.care import retention
from retraining.care.erase import erase
from retraining.checking import check_spec
from retraining.data import snapshots
from retraining.errors import (
    Damaged,
    NotEnoughData,
    RequestError,
    SourceError,
    SpecError,
    TrainingFailed,
    Unavailable,
    ValidationFailed,
)
from retraining.pipeline import monitor, score
from retraining.pipeline.requests import close_request
from retraining.rollout.adopt import adopt
from retraining.rollout.rollback import rollback
from retraining.validation import quarantine
from retraining.workspace import Workspace
from samples.tiny import NAME, day, retrain, rows
from tests.support import faults
from tests.support.faults import (
    AS_OF,
    FIRST,
    SPAN,
    Bed,
    Fault,
    Killed,
    at,
    bed_in,
    frame,
    good_rows,
    parquet,
    python,
    text,
)
from tests.support.pictures import undrawn
from tests.support.postgres import cluster

N_ROWS = 3 * 40


@dataclass(frozen=True)
class Case:
    """A fault and what must come of it: an error with these three parts, or, where `error` is None, so many rows."""

    name: str
    fault: Fault
    what: str = ""
    where: str = NAME
    todo: str = ""
    error: type[Exception] | None = SourceError
    n_rows: int | None = N_ROWS
    does: Callable[[Bed], Any] | None = None
    stored: bool = False


LOGISTIC = "sklearn.linear_model.LogisticRegression"
ENDLESS = ("C", "tol", "l1_ratio", "max_iter", "intercept_scaling", "fit_intercept", "solver", "dual", "verbose", "n_jobs",
           "warm_start", "class_weight")  # fmt: skip
"""Twelve parameters of fifty values each."""
AHEAD = datetime(2126, 1, 1, tzinfo=UTC)
HOSTILE = '"; drop table champions; --'
CSV = f"{NAME}.csv"
SIZES = {"x1": HOSTILE, "x2": "😀 'x2\""}
NEW_YORK = {"timezone": "America/New_York"}


def line(change: Callable[[str], str]) -> Fault:
    """Change the first line of the faulty day."""

    def changed(lines: list[str]) -> str:
        return "\n".join([*lines[: FIRST + 1], change(lines[FIRST + 1]), *lines[FIRST + 2 :], ""])

    return text(lambda whole: changed(whole.splitlines()))


def file(name: str, content: bytes | None = None) -> Fault:
    """Read from another file."""

    def fault(bed: Bed) -> None:
        if content is not None:
            bed.put(name, content)
        bed.read_from(files=name)

    return fault


def moved(name: str) -> Fault:
    """Give the rows under another file name."""

    def fault(bed: Bed) -> None:
        (bed.models / CSV).rename(bed.models / name)
        bed.read_from(files=name)

    return fault


def folder(bed: Bed) -> None:
    (bed.models / CSV).unlink()
    (bed.models / CSV).mkdir()


def broken(share: float, *, cut: bool) -> Fault:
    """Cut a Parquet file off, or overwrite a part of it."""

    def fault(bed: Bed) -> None:
        parquet(lambda table: table)(bed)
        path = bed.models / "rows.parquet"
        data = path.read_bytes()
        n = int(len(data) * share)
        path.write_bytes(data[:n] if cut else data[:n] + bytes(200) + data[n + 200 :])

    return fault


def package(content: bytes) -> Fault:
    """Read a zip out of an installed package."""

    def fault(bed: Bed) -> None:
        inside = bed.workspace.settings.home / "lib" / "fed"
        inside.mkdir(parents=True)
        (inside / "__init__.py").touch()
        (inside / "rows.csv.zip").write_bytes(content)
        bed.patch.syspath_prepend(str(inside.parent))
        bed.read_from(files="package://fed/rows.csv.zip")

    return fault


def extra(values: Any) -> Fault:
    """Add a Parquet column in which each row has this value."""
    return parquet(lambda table: table.append_column("extra", pa.array([values] * table.num_rows)))


def wide(table: pa.Table) -> pa.Table:
    return pa.table(
        {**{n: table[n] for n in table.column_names}, **{f"c{i}": table["x1"] for i in range(10_000)}}
    ).slice(FIRST, 10)


def times(written: Callable[[pd.Series], Any], **data: Any) -> Fault:
    """Write the time column in another way."""
    return frame(lambda f: f.assign(time=written(f.time)), **({"data": data} if data else {}))


def naive(column: pd.Series, zone: str = "UTC") -> pd.Series:
    return column.dt.tz_convert(zone).dt.strftime("%Y-%m-%d %H:%M:%S")


def local(sql: str) -> Fault:
    """Write New York's local times without an offset, and read them by a query."""

    def fault(bed: Bed) -> None:
        times(lambda t: naive(t, "America/New_York"), **NEW_YORK)(bed)
        bed.query(sql)

    return fault


def one_time(moment: str, **data: Any) -> Fault:
    """Give the first row of the faulty day another time."""

    def written(column: pd.Series) -> pd.Series:
        found = naive(column).copy()
        found[FIRST] = moment
        return found

    return times(written, **data)


def target(sql: str, task: str | None = None) -> Fault:
    """Replace the target in the query; the rows are right as rows, so they are stored."""

    def fault(bed: Bed) -> None:
        bed.query(f"select * replace ({sql}) from data")
        if task:
            bed.change(
                data={"target": "cost", "outcomes": ["y"]}, training={"task": task, "metric": None, "candidates": None}
            )

    return fault


def labels(change: Callable[[pd.DataFrame], pd.DataFrame], **more: Any) -> Fault:
    """Give target and outcome in a file of their own."""

    def fault(bed: Bed) -> None:
        good = good_rows()
        bed.put("labels.csv", change(good[["id", "y", "cost"]]).to_csv(index=False))
        bed.put(CSV, good.drop(columns=["y", "cost"]).to_csv(index=False))
        bed.change(data={"labels": {"files": "labels.csv", **more}})

    return fault


def database(sql: str, url: str | None = None) -> Fault:
    """Read from a database that has the rows in `feed`."""

    def fault(bed: Bed) -> None:
        engine = create_engine(f"sqlite:///{bed.models / 'feed.db'}")
        good_rows().to_sql("feed", engine, index=False)
        engine.dispose()
        bed.patch.setenv("RETRAINING_CONN_FEED", url or str(engine.url))
        bed.put("q.sql", sql)
        bed.read_from(connection="feed", query="q.sql")

    return fault


def unknown_connection(bed: Bed) -> None:
    bed.put("q.sql", "select 1")
    bed.read_from(connection="nowhere", query="q.sql")


def failing_disk(bed: Bed) -> None:
    """Let the third file that is written fail half-way."""
    real, seen = os.fsync, list[int]()

    def fsync(descriptor: int) -> None:
        seen.append(descriptor)
        if len(seen) >= 3:
            raise OSError(5, "Input/output error")
        real(descriptor)

    bed.patch.setattr(os, "fsync", fsync)


def nothing(bed: Bed) -> None:
    """The fault is in what is done."""


def card(bed: Bed) -> stored.ModelCard:
    return stored.read_card(bed.workspace.store, bed.workspace.ledger.champions(NAME)[-1].release_id)


def manifest(change: Callable[[str], str]) -> Fault:
    """Alter the manifest of the rows the champion was made of."""

    def fault(bed: Bed) -> None:
        path = bed.store / "snapshots" / f"{card(bed).snapshot_id}.json"
        path.write_text(change(path.read_text()))

    return fault


def chunk(change: Callable[[Path], object]) -> Fault:
    """Do something to the newest rows the champion was made of."""

    def fault(bed: Bed) -> None:
        name = snapshots.read_manifest(bed.workspace.store, card(bed).snapshot_id).features[-1].id
        change(bed.store / "chunks" / name[:2] / f"{name}.parquet")

    return fault


def spec_cut(bed: Bed) -> None:
    path = bed.store / "specs" / f"{card(bed).spec_id}.json"
    path.write_bytes(path.read_bytes()[:-40])


def reproduced(bed: Bed) -> Any:
    return reproduce(bed.workspace, NAME)


def killed(bed: Bed) -> None:
    bed.kill("after", "retraining.data.chunks:write")


def dropped(bed: Bed) -> None:
    quarantine.drop(bed.workspace.ledger, NAME, day(3), "me", "a sensor was off")


def checked(bed: Bed) -> None:
    """Refuse what `check` refuses."""
    problems = check_spec(bed.workspace.spec(NAME))
    if problems:
        raise SpecError("\n".join(problems))


def scheduled(bed: Bed) -> None:
    """Refuse schedules that could never work, as `check` does."""
    frozen = bed.workspace.spec(NAME)
    require_scored(frozen)
    require_watched(frozen)


def keys(**groups: Any) -> Fault:
    """Change keys of the YAML."""
    return lambda bed: bed.change(**groups)


def trained(**training: Any) -> Fault:
    """Change keys of `training`."""
    return keys(training=training)


def tried(estimator: str = LOGISTIC, **more: Any) -> Fault:
    """Try this one candidate."""
    return trained(candidates=[{"estimator": estimator, **more}])


def regression(**training: Any) -> Fault:
    """Predict the cost instead of the class."""
    task = {"task": "regression", "metric": None, "candidates": None}
    return keys(data={"target": "cost", "outcomes": ["y"]}, training={**task, **training})


def row_check(kind: str, **arguments: Any) -> Fault:
    return keys(checks={"rows": [{"type": kind, **arguments}]})


def window_check(kind: str, **arguments: Any) -> Fault:
    return keys(checks={"window": [{"type": kind, **arguments}]})


def hostile_columns(bed: Bed) -> None:
    frame(lambda f: f.assign(**{new: f[old] for old, new in SIZES.items()}))(bed)  # the champion needs the old ones
    moved("hostile.csv")(bed)  # another source: the columns did not change in the middle of one
    between = {"type": "expect_column_values_to_be_between", "column": HOSTILE, "min_value": -50}
    bed.change(features={"numeric": list(SIZES.values())}, checks={"rows": [between]})


def hostile_view(bed: Bed) -> None:
    bed.put("q.sql", 'select * from "x""; drop table y; --"')
    bed.read_from(files={'x"; drop table y; --': CSV}, query="q.sql")


MEAN, BETWEEN = "expect_column_mean_to_be_between", "expect_column_values_to_be_between"
UTF8, MEND = "Save the file as UTF-8", "Mend or remove the line"
PATH, YAML = "Check the path and the file", f"{NAME}.yaml"
QUERY, CONNECTION, FUNCTION = "in the query", "connection feed", "source rows.py:read"
BACKUP, AGAIN = "Restore it from a backup", "run again"
TYPED, CONVERT = "Give each column one type and a name of its own", "Convert it in the query"
CHECKS = f"change checks in {NAME}.yaml"
BOUNDED = "where time >= :start and time < :end"
SECRET = "postgresql://me:secret@host/db"

FILE = (
    Case("latin-1", text(lambda t: t.replace(",a,", ",é,").encode("latin-1")), "is not UTF-8 text", CSV, UTF8),
    Case("UTF-16", text(lambda t: t.encode("utf-16")), "line 1 is not UTF-8 text", CSV, UTF8),
    Case("byte order mark", text(lambda t: "\ufeff" + t), error=None),
    Case("too few fields", line(lambda x: x.rsplit(",", 2)[0]), "has 5 fields, the header 7", "line 1602", MEND),
    Case("too many fields", line(lambda x: x + ",7,8"), "has 9 fields, the header 7", "line 1602", MEND),
    Case("unclosed quote", line(lambda x: '"' + x), "a quote may not be closed", CSV, "Mend the line"),
    Case("empty", text(lambda _: ""), "it is empty", CSV, "Check whether its export failed"),
    Case("header only", text(lambda t: t.splitlines()[0] + "\n"), "not a single row", CSV, "export failed"),
    Case("not text", text(lambda _: b"\0\xff" * 500), "line 1 is not UTF-8", CSV, UTF8),
    Case("corrupt Parquet", file("a.parquet", b"PAR1 nothing"), "No magic bytes", "a.parquet", PATH),
    Case("truncated Parquet", broken(0.7, cut=True), "No magic bytes", "rows.parquet", PATH),
    Case("damaged Parquet", broken(0.3, cut=False), "decompression failure", "rows.parquet", "Check the file"),
    Case("zip that is none", package(b"PK"), "not a zip file", "fed/rows.csv.zip", "Replace the file"),
    Case("gzip that is none", file("a.csv.gz", b"text"), "not a GZIP stream", "a.csv.gz", PATH),
    Case("folder", folder, "is a folder", CSV, "Name a file in it"),
    Case("missing", lambda bed: (bed.models / CSV).unlink(), "no such file", CSV, "Check data.source.files"),
    Case("without permission", faults.unreadable, "Permission denied", CSV, PATH),
    Case("pattern without match", file("part-*.csv"), "no file matches", "part-*.csv", "Check data.source.files"),
    Case("unknown suffix", file("a.xlsx", b"x"), "is not .csv", "a.xlsx", "Convert it or use a connection"),
    Case("unknown scheme", file("nowhere://a.csv"), "Protocol not known", "nowhere://a.csv", "Install"),
    Case("missing package", file("package://absent/a.csv"), "is not installed", "package absent", "Install it"),
    Case("missing in package", file("package://yaml/a.csv"), "has no file a.csv", "package yaml", "Correct the path"),
    Case("hostile name", moved("ro'ws\"; drop table x; -- 😀.csv"), error=None),
    Case("hostile name in a query", hostile_view, error=None),
)  # fmt: skip
ROWS = (
    Case("doubled key", frame(lambda f: pd.concat([f, f.iloc[[FIRST]]])), "1 keys appear more than once",
         todo="Make data.key unique"),
    Case("key of another day", frame(lambda f: at(f, id=f.id[FIRST - 400])), "1 keys name rows of more than one day",
         todo="Make data.key unique for ever", error=ValidationFailed, stored=True),
    Case("key with a null", frame(lambda f: at(f, id=None)), "1 rows have no id", todo="Drop them in the query"),
    Case("key of nulls", frame(lambda f: f.assign(id=None)), "120 rows have no id", todo="Drop them in the query"),
    Case("rows of the future", frame(lambda f: pd.concat([f, rows(range(44, 50))])), error=None),
    Case("empty partition", frame(lambda f: f[(f.time < day(40)) | (f.time >= day(41))]), error=None, n_rows=80),
    Case("no rows in the window", frame(lambda f: f[f.time < day(39)]), "no rows in 2024-02-09 to 2024-02-12",
         todo="Check the source", error=NotEnoughData, does=Bed.ingest, stored=True),
    Case("beyond the quarantine's budget", frame(lambda f: f.assign(x1=f.x1.where(f.time < day(41), -99))),
         "40 of 40 rows", "2024-02-11", CHECKS, ValidationFailed, stored=True),
)  # fmt: skip
COLUMNS = (
    Case("missing target", frame(lambda f: f.drop(columns="y")), "missing column y", todo="Change the query"),
    Case("missing feature", frame(lambda f: f.drop(columns="x1")), "missing column x1", todo=CHECKS,
         error=ValidationFailed, stored=True),
    Case("doubled in the header", text(lambda t: t.replace("x2", "x1", 1)), "x1 appears twice", CSV, "Name the columns"),
    Case("doubled but for case", text(lambda t: t.replace("x2", "X1", 1)), "X1 appears twice", CSV, "lower case"),
    Case("doubled in Parquet", parquet(lambda t: t.append_column("x1", t["x2"])), "x1 appears twice", "rows.parquet",
         "Name the columns apart"),
    Case("doubled in the query", lambda bed: bed.query("select *, x1 from data"), "x1 appears twice", todo=QUERY),
    Case("row_id", frame(lambda f: f.rename(columns={"id": "row_id"}), data={"key": None}), "row_id is ours",
         todo="Rename it"),
    Case("__partition__", frame(lambda f: f.assign(__partition__="a")), "__partition__ is ours", todo="Rename it"),
    Case("__row__", frame(lambda f: f.assign(__row__=1)), "__row__ is ours", todo="Rename it"),
    Case("failed_checks", frame(lambda f: f.assign(failed_checks="")), "failed_checks is ours", todo="Rename it"),
    Case("another key than the champion's", frame(lambda f: f.assign(key=f.id), data={"key": ["key"]}),
         "which a model was trained on: missing column key", "snapshot", "Change the query", stored=True),
    Case("key called count_all", frame(lambda f: f.rename(columns={"id": "count_all"}), data={"key": ["count_all"]}),
         error=None),
    Case("hostile names", hostile_columns, error=None, does=Bed.retrain),
    Case("lists", extra([1]), "extra holds list", todo=CONVERT),
    Case("structs", extra({"a": 1}), "extra holds struct", todo=CONVERT),
    Case("times of day", extra(time(1)), "extra holds time64", todo=CONVERT),
    Case("binary", extra(b"\xff"), "extra holds binary", todo=CONVERT),
    Case("10,000 columns", parquet(wide), "has 10,007 columns, at most 2,000", todo="Select those"),
    Case("mixed types", frame(lambda f: at(f, x1="n/a")), "x1: failed: holds string, not numbers", todo="cast it",
         error=ValidationFailed, stored=True),
    Case("changed type", frame(lambda f: f.assign(kind=range(len(f)))), "kind: failed: retyped: string from",
         "number from 2024-02-09", "Cast it in the query", ValidationFailed, stored=True),
)  # fmt: skip
TIMES = (
    Case("text", times(lambda t: "soon"), "time holds string, not times", todo="Cast it in the query"),
    Case("numbers", times(lambda t: t.astype("int64")), "time holds int64, not times", todo="Cast it in the query"),
    Case("null", frame(lambda f: at(f, time=None)), "1 rows have no time", todo="Drop them in the query"),
    Case("ambiguous hour", one_time("2024-11-03 01:30:00", **NEW_YORK), "is ambiguous", todo="Give times with an offset"),
    Case("missing hour", one_time("2024-03-10 02:30:00", **NEW_YORK), "doesn't exist", todo="Give times with an offset"),
    Case("naive, of a zone", times(lambda t: naive(t, "America/New_York"), **NEW_YORK), error=None),
    Case("naive, of a zone, by a query", local(f"select * from data {BOUNDED}"), error=None),
    Case("text of a query", lambda bed: bed.query(f"select * replace (time::text as time) from data {BOUNDED}"),
         error=None),
    Case("some with an offset", times(lambda t: [str(x) if i % 2 else f"{x:%Y-%m-%d %H:%M:%S}" for i, x in enumerate(t)]), "has times with an offset and without one", todo="Give all of them an offset"),
    Case("mixed offsets", times(lambda t: [str(x.tz_convert(["UTC", "Asia/Kolkata"][i % 2])) for i, x in enumerate(t)]),
         error=None),
    Case("year 9999", one_time("9999-12-31 23:59:59"), error=None, n_rows=N_ROWS - 1),
    Case("year 0001", one_time("0001-01-01 00:00:00"), error=None, n_rows=N_ROWS - 1),
    Case("year 9999 of a zone", one_time("9999-12-31 23:59:59", timezone="Asia/Tokyo"), error=None, n_rows=None),
    Case("infinity", one_time("infinity"), error=None, n_rows=N_ROWS - 1),
    Case("unknown zone", keys(data={"timezone": "Mars/Olympus"}), "timezone is not known", YAML, "give a name", SpecError),
)  # fmt: skip
VALUES = (
    Case("NaN", frame(lambda f: at(f, x1="NaN")), error=None),
    Case("infinity", frame(lambda f: at(f, x1=float("inf"))), "x1 holds infinite values", todo="replace them"),
    Case("text inf", frame(lambda f: f.assign(kind="inf")), "kind holds infinite values", todo="make them null"),
    Case("integers beyond 64 bits", parquet(lambda t: t.append_column("u", pa.array([2**64 - 1] * len(t), pa.uint64()))),
         "u holds integers beyond 64 bits", todo="make it text"),
    Case("hostile", frame(lambda f: at(f, kind=HOSTILE, id="'; drop table readings; -- 😀")), error=None,
         does=Bed.retrain),
    Case("one class", target("1 as y"), "has one class only", "snapshot", "Check data.target", NotEnoughData,
         stored=True),
    Case("target of nulls", target("null as y"), "100.0% of the mature rows have no label", "snapshot", "Repair",
         NotEnoughData, stored=True),
    Case("text to regress", target("kind as cost", "regression"), "holds text", "snapshot", "Check data.target", NotEnoughData, stored=True),
    Case("labels: doubled key", labels(lambda f: pd.concat([f, f.iloc[[FIRST]]])), "1 keys appear more than once",
         "labels", "Make data.key unique"),
    Case("labels: missing column", labels(lambda f: f.drop(columns="cost")), "missing column cost", "labels", "Change"),
    Case("labels: other type of key", labels(lambda f: f.assign(id=range(len(f)))), "id holds number values", "labels",
         "Cast it in the query"),
    Case("labels: no rows", labels(lambda f: f.iloc[:0]), "not a single row", "labels.csv", "export failed"),
    Case("Python: a number", python("return 7"), "returned int", FUNCTION, "return a pandas data frame"),
    Case("Python: nothing", python("return None"), "returned NoneType", FUNCTION, "return a pandas data frame"),
    Case("Python: an error", python("return {}['x']"), "KeyError: 'x'", FUNCTION, "Mend the function"),
    Case("Python: an exit", python("raise SystemExit(0)"), "SystemExit", FUNCTION, "Mend the function"),
    Case("Python: no columns", python("return pandas.DataFrame()"), "not even columns", todo="Check data.source"),
    Case("Python: doubled columns", python("return pandas.concat([frame, frame[['x1']]], axis=1)"), "Duplicate column",
         FUNCTION, TYPED),
    Case("Python: mixed types", python("return frame.astype({'x1': object}).replace({'kind': {'a': 1}})"),
         "column kind", FUNCTION, TYPED),
    Case("Python: huge integers", python("return frame.assign(z=2**70)"), "too large", FUNCTION, TYPED),
)  # fmt: skip
SQL = (
    Case("syntax", database("select * frm feed"), "syntax error", CONNECTION, "Check the .sql"),
    Case("missing table", database("select * from fed"), "no such table: fed", CONNECTION, "Check the .sql"),
    Case("a statement that is no query", database("drop table feed"), "begins with drop, and a YAML may only read", CONNECTION, "Check the .sql"),
    Case("two statements", database("select * from feed; drop table feed"), "more than one statement", CONNECTION,
         "write one select"),
    Case("a table that is made on the way", database("select * into copied from feed"), "writes (into)", CONNECTION, "write one select"),
    Case("doubled columns", database("select *, x1 from feed"), "Duplicate column", CONNECTION, "Check the .sql"),
    Case("unknown parameter", database("select :other"), "bind parameter 'other'", CONNECTION, "Check the .sql"),
    Case("times, which SQLite keeps as text", database(f"select * from feed {BOUNDED}"), error=None),
    Case("an empty day", database("select * from feed where id = ''"), "no rows in 2024", todo="Check the source",
         error=NotEnoughData, does=Bed.ingest, stored=True),
    Case("unknown connection", unknown_connection, "is not known", "connection nowhere", "Set RETRAINING_CONN_NOWHERE"),
    Case("unknown driver", database("", "foo+bar://u:secret@h/db"), "Can't load plugin", CONNECTION, "driver is installed"),
    Case("no URL", database("", "u:secret@h"), "Could not parse", CONNECTION, "Give it a SQLAlchemy URL"),
    Case("wrong port", database("", "sqlite://u:secret@h:x/db"), "invalid literal", CONNECTION, "Give it a SQLAlchemy URL"),
    Case("nobody listens", database("select 1", "postgresql+psycopg2://u:secret@127.0.0.1:9/db"), "does not answer",
         CONNECTION, "Run again when it does", Unavailable),
    Case("DuckDB: syntax", lambda bed: bed.query("selekt * from data"), "syntax error", CSV, "Check the file and the .sql"),
    Case("DuckDB: nothing", lambda bed: bed.query(""), "the query gives no rows", CSV, "Write a select"),
    Case("DuckDB: writes a file", lambda bed: bed.query("copy data to 'out.csv'"), "the query is a copy", CSV, "write one select"),
    Case("DuckDB: another file", lambda bed: bed.query("select * from '/etc/passwd.csv'"), "may open only these files", CSV,
         "Name what it needs under data.source.files"),
    Case("a query from elsewhere", keys(data={"source": {"query": "../q.sql"}}), "../q.sql is not within the folder of the YAML", YAML,
         "Put the file beside the YAML", SpecError),
    Case("a slice that writes", keys(gate={"slices": [{"name": "s", "where": "1)::boolean, false) from rows; drop table rows; select coalesce((1"}]}),
         "is 3 statements, and a YAML may only read", "gate.slices: s", "write one select", SpecError, does=checked),
    Case("missing file", keys(data={"source": {"query": "q.sql"}}), "cannot read q.sql", YAML, "Correct the name", SpecError),
)  # fmt: skip
TRAINING = (
    Case("metric of another task", trained(metric="mae"), "training.metric: mae does not fit the task binary", "",
         "Choose one of roc_auc", SpecError, stored=True),
    Case("endless grid", tried(search={name: [*range(50)] for name in ENDLESS}), "more than can be numbered", LOGISTIC,
         "give numbers as {low, high}", SpecError, stored=True),
    Case("too many trials", trained(trials=10**9), "less than or equal to 1000", YAML, "training.trials", SpecError),
    Case("empty search", tried(search={"C": []}), "at least 1 item", YAML, "candidates.0.search.C", SpecError),
    Case("range upside down", tried(search={"C": {"low": 2, "high": 1}}), "low (2) must be less than high (1)", YAML,
         "candidates.0.search.C", SpecError),
    Case("not on the allow-list", tried("sklego.naive_bayes.GaussianMixtureNB"), "not on the allow-list",
         "sklego.naive_bayes.GaussianMixtureNB", "RETRAINING_TRUSTED=sklego", SpecError, stored=True),
    Case("unknown parameter", tried(params={"depth": 3}), "has no parameter depth", LOGISTIC, "It has: C", SpecError,
         stored=True),
    Case("value out of range", tried(params={"C": -1.0}), "with {'C': -1.0} cannot be fitted", LOGISTIC,
         "take it out of training.candidates", TrainingFailed, stored=True),
    Case("weight of an unknown label", trained(class_weight={2: 5.0}), "the target has no label 2", "class_weight",
         "It has: 0, 1", SpecError, stored=True),
    Case("weight of nothing", trained(class_weight={1: 0}), "greater than 0", YAML, "class_weight.1", SpecError),
    Case("weights of a regression", regression(class_weight="balanced"), "class_weight is about classes", YAML,
         "Remove the key", SpecError),
    Case("calibrated regression", regression(calibration="sigmoid"), "calibration is about classes", YAML,
         "Remove the key", SpecError),
)  # fmt: skip
STORE = (
    Case("full disk", faults.full_disk, "No space left", "store file:", "Check its space", Unavailable),
    Case("read-only", faults.read_only, "Read-only file system", "store file:", "rights, then run again", Unavailable),
    Case("fails midway", failing_disk, "Input/output error", "store file:", AGAIN, Unavailable),
    Case("dies between two writes", nothing, "killed", "chunks", "", Killed, does=killed),
    Case("missing chunk", chunk(Path.unlink), ".parquet is missing", "chunks/", BACKUP, Damaged, stored=True),
    Case("altered chunk", chunk(lambda p: p.write_bytes(b"x")), "was altered or truncated", "chunks/", BACKUP, Damaged,
         stored=True),
    Case("reproduce: missing chunk", chunk(Path.unlink), ".parquet is missing", "chunks/", BACKUP, Damaged,
         does=reproduced),
    Case("reproduce: altered manifest", manifest(lambda t: t.replace('"start": "2024', '"start": "2023')), "was altered", "snapshots/",
         BACKUP, Damaged, does=reproduced),
    Case("reproduce: cut manifest", manifest(lambda t: t[:-40]), "was altered", "snapshots/", BACKUP, Damaged,
         does=reproduced),
    Case("reproduce: empty manifest", manifest(lambda t: "{}"), "was altered", "snapshots/", BACKUP, Damaged,
         does=reproduced),
    Case("reproduce: cut spec", spec_cut, "was altered", "specs/", BACKUP, Damaged, does=reproduced),
    Case("quarantine: nothing to drop", nothing, "no rows in quarantine", "2024-01-04", "There are for: none",
         RequestError, does=dropped),
)  # fmt: skip
YAMLS = (
    Case("margin without end", keys(monitor={"margin": float("inf")}), "finite number", YAML, "monitor.margin", SpecError),
    Case("margin that is no number", keys(gate={"max_flips": float("nan")}), "finite number", YAML, "gate.max_flips", SpecError),
    Case("hours watched once a day", keys(data={"partition": "hour"}, training={"window": "10d"}, monitor={"schedule": "0 7 * * *"}),
         "only 367 of 8,785 hours would ever be watched", "monitor.schedule '0 7 * * *'", "Without it it is '40 * * * *'", SpecError,
         does=scheduled),
    Case("watched before scored", keys(monitor={"schedule": "0 4 * * *"}), "would come before score.schedule", "monitor.schedule '0 4 * * *'",
         "where scoring has another one, watch after that", SpecError, does=scheduled),
    Case("scored too seldom", keys(score={"schedule": "0 5 1 * *"}), "score.catch_up 7d reaches back 7 days", "score.schedule '0 5 1 * *'",
         "Score more often", SpecError, does=scheduled),
    Case("folds that fill the window", keys(training={"folds": 4}), "nothing is left to learn from before the oldest", "training.window",
         "Use a training.window of at least", SpecError, does=checked),
    Case("signed URL of Google", lambda bed: bed.read_from(files="https://storage.googleapis.com/b/a.csv?X-Goog-Signature=12ab"),
         "holds a signature or key (X-Goog-Signature)", YAML, "credentials of its own", SpecError),
    Case("password in a file's URL", lambda bed: bed.read_from(files="s3://me:secret@bucket/a.csv"), "holds a password",
         YAML, "Leave it out", SpecError),
    Case("password with a slash", lambda bed: bed.read_from(files="s3://me:secret/1@bucket/a.csv"), "holds a password",
         YAML, "Leave it out", SpecError),
    Case("signed URL of S3", lambda bed: bed.read_from(files="https://b.s3.amazonaws.com/a.csv?X-Amz-Signature=12ab"),
         "holds a signature or key (X-Amz-Signature)", YAML, "credentials of its own", SpecError),
    Case("signed URL of Azure", lambda bed: bed.read_from(files="https://a.blob.core.windows.net/b/a.csv?sv=1&sig=12ab"),
         "holds a signature or key (sig)", YAML, "credentials of its own", SpecError),
    Case("key in a URL", lambda bed: bed.read_from(files="https://host.example/a.csv?api_key=12ab"),
         "holds a signature or key (api_key)", YAML, "credentials of its own", SpecError),
    Case("URL as a connection", lambda bed: bed.read_from(connection=SECRET, query="q.sql"), "a name, not a URL", YAML,
         "put the URL into RETRAINING_CONN", SpecError),
    Case("URL as labels", keys(data={"labels": SECRET}), "valid dictionary", YAML, "docs/reference/yaml.md", SpecError),
    Case("URL as a query", keys(data={"source": {"query": SECRET}}), "cannot read", YAML, "Correct the name", SpecError),
    Case("not UTF-8", lambda bed: bed.put(f"{NAME}.yaml", "a: é".encode("latin-1")), "cannot be read as YAML", YAML,
         "UTF-8", SpecError),
    Case("unknown expectation", row_check("expect_column_value_to_be_between", column="x1"), "there is no expectation",
         "checks", f"Did you mean {BETWEEN}", SpecError, stored=True),
    Case("aggregate among rows", row_check(MEAN, column="x1", min_value=-9), "about many rows at once", "checks.rows",
         "Move it to checks.window", SpecError, stored=True),
    Case("wrong argument", row_check(BETWEEN, colum="x1"), "extra fields not permitted", "checks",
         "Correct its arguments", SpecError, stored=True),
    Case("check of no column", row_check(BETWEEN, column="x9", min_value=0), "not evaluated", "x9", CHECKS,
         ValidationFailed, stored=True),
    Case("check of a wrong type", row_check(BETWEEN, column="kind", min_value=0, severity="warning"), "not evaluated",
         "kind", CHECKS, ValidationFailed, stored=True),
    Case("check of a wrong pattern", row_check("expect_column_values_to_match_regex", column="kind", regex="("),
         "not evaluated", "kind", CHECKS, ValidationFailed, stored=True),
    Case("window: wrong argument", window_check("expect_fresh_rows", min_age="1d"), "takes max_age", "expect_fresh_rows",
         CHECKS, ValidationFailed, stored=True),
    Case("window: no duration", window_check("expect_fresh_rows", max_age="soon"), "is not a duration",
         "expect_fresh_rows", CHECKS, ValidationFailed, stored=True),
    Case("window: of rows", window_check(BETWEEN, column="x1"), "cannot be computed for a window", "checks.window",
         "Move it to checks.rows", ValidationFailed, stored=True),
)  # fmt: skip
HOURLY = keys(data={"partition": "hour"}, training={"window": "10d"})
ADMISSION = (
    Case("retrain in the future", nothing, "2126-01-01 00:00 UTC has not come yet", NAME, "Leave out the as-of time",
         RequestError, does=lambda bed: retrain(bed.workspace, AHEAD)),
    Case("score in the future", nothing, "has not come yet", NAME, "Leave out the as-of time", RequestError,
         does=lambda bed: score.run(bed.workspace, bed.workspace.spec(NAME), AHEAD)),
    Case("monitor in the future", nothing, "has not come yet", NAME, "Leave out the as-of time", RequestError,
         does=lambda bed: monitor.run(bed.workspace, bed.workspace.spec(NAME), AHEAD)),
    Case("collect in the future", nothing, "has not come yet", NAME, "Leave out the as-of time", RequestError,
         does=lambda bed: monitor.collect(bed.workspace, bed.workspace.spec(NAME), AHEAD)),
    Case("housekeeping in the future", nothing, "has not come yet", "housekeeping", "Leave out the as-of time",
         RequestError, does=lambda bed: retention.plan(bed.workspace, AHEAD)),
    Case("retrain by another partition", keys(data={"partition": "week"}, training={"window": "70d"}), "data.partition was day", "champion 1",
         "Set it back to day, or copy the YAML under another name", RequestError),
    Case("score by another partition", HOURLY, "is hour now", NAME, "Set it back to day",
         RequestError, does=lambda bed: score.run(bed.workspace, bed.workspace.spec(NAME), AS_OF)),
    Case("monitor by another partition", HOURLY, "is hour now", NAME, "Set it back to day",
         RequestError, does=lambda bed: monitor.run(bed.workspace, bed.workspace.spec(NAME), AS_OF)),
)  # fmt: skip
KEPT = "it is kept for ever. Nothing was changed"
PEOPLE = (
    Case("roll back without a reason", nothing, "a rollback needs a reason", "", "--reason says why. Nothing was changed", RequestError,
         does=lambda bed: rollback(bed.workspace, NAME, None, "me", " ", AS_OF)),
    Case("roll back by nobody", nothing, "a rollback needs a named person", "nobody knows who this is", "Use a login of Airflow", RequestError,
         does=lambda bed: rollback(bed.workspace, NAME, None, " ", "because", AS_OF)),
    Case("roll back for a letter", nothing, "the reason 'x' is too short", "a rollback", KEPT, RequestError,
         does=lambda bed: rollback(bed.workspace, NAME, None, "me", "x", AS_OF)),
    Case("roll back in the future", nothing, "has not come yet", NAME, "Leave out the as-of time", RequestError,
         does=lambda bed: rollback(bed.workspace, NAME, None, "me", "because", AHEAD)),
    Case("adopt in the future", nothing, "has not come yet", NAME, "Leave out the as-of time", RequestError,
         does=lambda bed: adopt(bed.workspace, NAME, "models:/theirs/1", as_of=AHEAD, by="me")),
    Case("drop for a letter", nothing, "the reason 'x' is too short", "a drop", KEPT, RequestError,
         does=lambda bed: quarantine.drop(bed.workspace.ledger, NAME, day(3), "me", "x")),
    Case("close for a letter", nothing, "the reason 'x' is too short", "closing a request", KEPT, RequestError,
         does=lambda bed: close_request(bed.workspace, NAME, "r1", by="Ann", account="ann", reason="x", closed_at=AS_OF)),
    Case("erase for a letter", nothing, "the reason 'x' is too short", "an erasure", KEPT, RequestError,
         does=lambda bed: erase(bed.workspace, NAME, {"id": "3"}, reason="x", by="me", erased_at=AS_OF)),
    Case("erase nobody", nothing, "no stored row has that id", NAME, "Compare the value with the source's", RequestError,
         does=lambda bed: erase(bed.workspace, NAME, {"id": "nobody"}, reason="because", by="me", erased_at=AS_OF)),
)  # fmt: skip
TABLE = {"file": FILE, "admission": ADMISSION, "people": PEOPLE, "rows": ROWS, "columns": COLUMNS, "times": TIMES, "values": VALUES, "sql": SQL, "store": STORE,
         "training": TRAINING, "yaml": YAMLS}  # fmt: skip


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return faults.install(tmp_path_factory.mktemp("pristine"))


@pytest.fixture(scope="module")
def right(pristine: Workspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of the span's snapshot when nothing is wrong."""
    return bed_in(tmp_path_factory.mktemp("right"), pristine, pytest.MonkeyPatch()).ingest().id


@pytest.fixture
def quick_pictures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hostile names are drawn, too."""
    with nullcontext() if "hostile" in request.node.name else undrawn():
        yield


@pytest.fixture
def bed(pristine: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    with monkeypatch.context() as lasting:
        lasting.setattr("tenacity.nap.time.sleep", lambda _: None)
        found = bed_in(tmp_path, pristine, monkeypatch)
        yield found
        found.faults.close()
        faults.unmount()


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=f"{group}: {c.name}") for group, cases in TABLE.items() for c in cases]
)
def test_bad_input(case: Case, bed: Bed, right: str) -> None:
    case.fault(bed)
    before = bed.before()
    if case.error is None:
        works(case, bed)
        bed.unharmed(before, stored=True)
        return
    with pytest.raises(case.error) as caught:
        (case.does or Bed.retrain)(bed)
    said = str(caught.value)
    assert [part for part in (case.what, case.where, case.todo) if part not in said] == [], said
    assert "secret" not in said
    bed.unharmed(before, stored=case.stored)
    bed.mend()
    if not case.stored:
        assert bed.ingest().id == right, "mended, the same run reads the right rows"


def works(case: Case, bed: Bed) -> None:
    snapshot = bed.ingest()
    assert case.n_rows in (None, snapshot.n_rows)
    assert all(SPAN.start <= chunk.start < SPAN.end for chunk in snapshot.features)
    if case.does is not None:
        verdict = case.does(bed).verdict
        decided = "promote" if verdict.evaluation.rule == "refresh" else "reject"
        assert verdict.decision == decided, "the same columns under other names replace nothing"


@pytest.mark.slow
def test_refused_credentials_do_not_show_the_password(bed: Bed, right: str) -> None:
    with cluster() as server:
        engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            hba = connection.execute(sql_text("show hba_file")).scalar()
            connection.execute(sql_text("create role reader login password 'right'"))
            rule = f"copy (select 'host all all 127.0.0.1/32 scram-sha-256') to '{hba}'"
            connection.execute(sql_text(rule))
            connection.execute(sql_text("select pg_reload_conf()"))
        engine.dispose()
        url = server.replace("tester@", "{}:secret@") + "/postgres"
        database("select 1")(bed)
        for user in ("reader", "nobody"):
            bed.patch.setenv("RETRAINING_CONN_FEED", url.format(user))
            before = bed.before()
            with pytest.raises(
                SourceError, match="connection feed: the credentials were refused: .* Correct the"
            ) as caught:
                bed.retrain()
            assert "secret" not in str(caught.value)
            bed.unharmed(before, stored=False)
    bed.mend()
    assert bed.ingest().id == right
