"""Opening the ledger's database: one engine per process, waiting for locks, and migrations."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, column, create_engine, event, make_url, select, table, text
from sqlalchemy.exc import ArgumentError, DisconnectionError, OperationalError, ProgrammingError

from retraining.errors import RequestError, Unavailable

READS = "ledger_reads"
"""Execution option of a connection that only reads."""
_BUSY_TIMEOUT_S = 30
"""How long a SQLite writer waits for another: a task's transactions take milliseconds, so this means a hung process."""
_PATIENCE = {"connect_timeout": 10}
"""Seconds until a server that does not answer counts as away: a page says so then, instead of hanging."""
_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 727_413_925
"""PostgreSQL advisory lock under which migrations run; an arbitrary constant of this application."""


_engines: dict[str, Engine] = {}
_opening = threading.Lock()
_inherited: list[object] = []
"""Pools of connections that a parent opened, kept so that no one closes them here: the parent goes on using them."""


def open_engine(url: str, variable: str = "RETRAINING_LEDGER") -> Engine:
    """Return this process's engine for a database, whose schema is up to date; `variable` says where it is.

    Raises
    ------
    RequestError
        When the URL is not a SQLAlchemy URL.
    Unavailable
        When the database does not answer.
    """
    _watch_process()
    with _opening:
        if url not in _engines:
            _engines[url] = _upgraded(url, variable)
        return _engines[url]


def close_engine(url: str) -> None:
    """Give the connections back; whoever still holds the engine gets new ones when it asks."""
    with _opening:
        engine = _engines.pop(url, None)
    if engine is not None:
        engine.dispose()


@cache
def _watch_process() -> None:
    os.register_at_fork(after_in_child=_after_fork)
    atexit.register(_at_exit)


def _after_fork() -> None:
    """Start with connections and a lock of this process's own: a connection serves one process only."""
    global _opening
    _opening = threading.Lock()
    for engine in _engines.values():
        _inherited.append(engine.pool)
        engine.dispose(close=False)


def _at_exit() -> None:
    """Close what is open, however the process ends its objects: SQLite then has all that was written in one file."""
    for engine in _engines.values():
        engine.dispose()


def _upgraded(url: str, variable: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise RequestError(
            "RETRAINING_LEDGER is not a SQLAlchemy URL, for example sqlite:////path/ledger.db"
        ) from error
    engine = _engine(parsed)
    try:
        if engine.dialect.name == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        _upgrade(engine)
    except ProgrammingError as error:  # a role that may insert and read, and the owner has not migrated yet
        engine.dispose()
        shown = parsed.render_as_string(hide_password=True)
        raise Unavailable(
            f"ledger {shown}: its tables are not those of this version, and this role may not change them: "
            f"{first_line(error.orig)}. Run `python -m retraining ledger upgrade` as their owner."
        ) from error
    except (OperationalError, OSError) as error:
        engine.dispose()
        shown, cause = parsed.render_as_string(hide_password=True), getattr(error, "orig", error)
        text = f"ledger {shown}: cannot be opened: {first_line(cause)}. Check {variable} and the database."
        raise Unavailable(text) from error
    return engine


def _engine(parsed: URL) -> Engine:
    """Return an engine; of the databases SQLAlchemy knows, the ledger speaks to those that its tests run on."""
    dialect = parsed.get_backend_name()
    if dialect == "postgresql":
        return create_engine(parsed, pool_pre_ping=True, connect_args=_PATIENCE if _knows_patience(parsed) else {})
    if dialect != "sqlite":
        raise RequestError(f"RETRAINING_LEDGER names a {dialect} database. The ledger runs on sqlite or postgresql.")
    engine = create_engine(parsed, pool_pre_ping=True)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "checkout", partial(_refuse_replaced, parsed.database))
    event.listen(engine, "begin", _begin)
    return engine


def _knows_patience(parsed: URL) -> bool:
    return parsed.get_driver_name().startswith("psycopg") and "connect_timeout" not in parsed.query


def first_line(error: object) -> str:
    """Return what a driver said without its advice on further lines."""
    return str(error).strip().splitlines()[0].rstrip(".")


def _file_of(database: str | None) -> int | None:
    """Return which file a path names now; None where there is none, or the database is in memory."""
    with suppress(OSError):
        return Path(database).stat().st_ino if database else None
    return None


def _refuse_replaced(database: str | None, _connection: object, record: Any, _proxy: object) -> None:
    """Have a new connection made when the file was replaced, by a restored backup say: this one has the old file."""
    now = _file_of(database)
    if record.info.setdefault("file", now) != now:
        raise DisconnectionError("the ledger's file was replaced")


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, so that a writer waits instead of failing late
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_S * 1000}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin(connection: Connection) -> None:
    """A writer waits for its turn before it looks; a reader sees one state of the ledger, and waits for nobody."""
    reads = connection.get_execution_options().get(READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def newest_revision() -> str:
    """Return the revision of the newest migration: the number its file's name begins with."""
    return max(path.name for path in (_MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]


def _upgrade(engine: Engine) -> None:
    if _revision(engine) == newest_revision():
        return
    from alembic import command  # takes longer to import than a question to the ledger takes
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(engine: Engine) -> str | None:
    """Return the revision the tables are at, None where there are none."""
    with engine.connect() as connection:
        try:
            return connection.execute(select(column("version_num")).select_from(table("alembic_version"))).scalar()
        except (OperationalError, ProgrammingError):  # SQLite, PostgreSQL: there is no such table
            connection.rollback()
            if engine.dialect.has_table(connection, "alembic_version"):
                raise
            return None
