"""Opening the ledger's database: engine, waiting for locks, and migrations."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError

from retraining.errors import RequestError, Unavailable

READS = "ledger_reads"
"""Execution option of a connection that only reads."""
_BUSY_TIMEOUT_S = 30
"""How long a SQLite writer waits for another: a task's transactions take milliseconds, so this means a hung process."""
_MIGRATION_LOCK = 727_413_925
"""PostgreSQL advisory lock under which migrations run; an arbitrary constant of this application."""


def open_engine(url: str) -> Engine:
    """Return an engine whose schema is up to date.

    Raises
    ------
    RequestError
        When the URL is not a SQLAlchemy URL.
    Unavailable
        When the database does not answer.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise RequestError(
            "RETRAINING_LEDGER is not a SQLAlchemy URL, for example sqlite:////path/ledger.db"
        ) from error
    engine = create_engine(parsed, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin)
    try:
        if engine.dialect.name == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        _upgrade(engine)
    except (OperationalError, OSError) as error:
        shown, cause = parsed.render_as_string(hide_password=True), getattr(error, "orig", error)
        text = f"ledger {shown}: cannot be opened: {first_line(cause)}. Check RETRAINING_LEDGER and the database."
        raise Unavailable(text) from error
    return engine


def first_line(error: object) -> str:
    """Return what a driver said without its advice on further lines."""
    return str(error).strip().splitlines()[0].rstrip(".")


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


def _upgrade(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == head:
            return
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
