"""Opening the ledger's database: engine, waiting for locks, and migrations."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, column, create_engine, event, make_url, select, table, text
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError

from retraining.errors import RequestError, Unavailable

_BUSY_TIMEOUT_S = 30
"""How long a SQLite writer waits for another: a task's transactions take milliseconds, so this means a hung process."""
_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 727_413_925
"""PostgreSQL advisory lock under which migrations run; an arbitrary constant of this application."""


def open_engine(url: str, variable: str = "RETRAINING_LEDGER") -> Engine:
    """Return an engine whose schema is up to date; `variable` is where its address comes from.

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
        event.listen(engine, "begin", _begin_immediate)
    try:
        if engine.dialect.name == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        _upgrade(engine)
    except (OperationalError, OSError) as error:
        shown, cause = parsed.render_as_string(hide_password=True), getattr(error, "orig", error)
        text = f"ledger {shown}: cannot be opened: {first_line(cause)}. Check {variable} and the database."
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


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


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
