"""A database behind a named connection: any SQLAlchemy URL, streamed, with bound parameters, read and never written."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import ArgumentError, InterfaceError, NoSuchModuleError, OperationalError, SQLAlchemyError

from retraining.errors import SourceError, Unavailable
from retraining.records import Window
from retraining.sources.base import Resolver, parameters_of
from retraining.sources.selects import problem_of
from retraining.windows import ceil

_ROWS_PER_FETCH = 50_000
"""Rows held at once while streaming: some tens of megabytes for a wide table."""
_ONE_SNAPSHOT = {"postgresql": "REPEATABLE READ", "mysql": "REPEATABLE READ", "mariadb": "REPEATABLE READ"}
"""Isolation under which a query that is fetched in parts sees one state of the tables, however they change."""
_IN_UTC = "set local time zone 'UTC'"
"""The zone in which PostgreSQL compares naive times with a query's bounds: not the one the server happens to have."""
_REFUSED = ("authentication failed", "access denied", "permission denied", "no password supplied")
"""What databases say when credentials are refused: trying again would only lock the account."""


class SqlSource:
    """The rows a query gives on a database."""

    def __init__(self, connection: str, sql: str, resolver: Resolver) -> None:
        self._name, self._sql, self._resolver = connection, sql, resolver

    def read(self, window: Window) -> pa.Table:
        """Return the window's rows.

        Raises
        ------
        Unavailable
            When the database does not answer.
        SourceError
            When the connection's URL or the query is wrong or more than a select, or the credentials are refused.
        """
        engine = self._engine()
        problem = problem_of(self._sql, engine.dialect.name)
        if problem is not None:
            raise SourceError(f"connection {self._name}: the query {problem}. Nothing was sent. Check the .sql.")
        try:
            tables = self._fetch(engine, window)
        except (OperationalError, InterfaceError) as error:
            cause = _without_password(_first_line(error.orig), engine)
            if any(words in cause.lower() for words in _REFUSED):
                raise SourceError(
                    f"connection {self._name}: the credentials were refused: {cause}. Correct the connection."
                ) from None
            if any(words in cause.lower() for words in _WRONG):
                raise SourceError(f"connection {self._name}: {cause}. Check the .sql and the connection.") from None
            raise Unavailable(f"connection {self._name}: does not answer: {cause}. Run again when it does.") from error
        except (SQLAlchemyError, pa.ArrowException, ValueError, OverflowError) as error:
            cause = _without_password(_first_line(getattr(error, "orig", None) or error), engine)
            raise SourceError(f"connection {self._name}: the query failed: {cause}. Check the .sql.") from error
        finally:
            engine.dispose()
        return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})

    def _engine(self) -> Engine:
        url = self._resolver(self._name)
        try:
            return _only_reading(create_engine(url))
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
            cause = _first_line(error).replace(url, "its URL")
            raise SourceError(
                f"connection {self._name}: {cause}. Give it a SQLAlchemy URL whose driver is installed."
            ) from None

    def _fetch(self, engine: Engine, window: Window) -> list[pa.Table]:
        values = _bounds(window, engine.dialect.name)
        used = {name: values[name] for name in parameters_of(self._sql)}
        options = {"stream_results": True, "postgresql_readonly": True}
        isolation = _ONE_SNAPSHOT.get(engine.dialect.name)
        with engine.connect().execution_options(
            **options, **({"isolation_level": isolation} if isolation else {})
        ) as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(_IN_UTC, execution_options={"stream_results": False})
            frames = pd.read_sql(
                text(self._sql), connection, params=used, chunksize=_ROWS_PER_FETCH, dtype_backend="pyarrow"
            )
            return [pa.Table.from_pandas(frame, preserve_index=False) for frame in frames]


_WRONG = ("syntax error", "no such table", "no such column", "no such function", "does not exist")
"""What databases say under the name of an operational error although the query or the connection is wrong."""


def _only_reading(engine: Engine) -> Engine:
    """Have the database itself refuse to write, where it can; PostgreSQL is told with each transaction."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _only_reading_sqlite)
    elif engine.dialect.name in ("mysql", "mariadb"):
        event.listen(engine, "connect", _only_reading_mysql)
    return engine


def _only_reading_sqlite(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only = ON")
    connection.set_authorizer(_allowed_in_sqlite)


def _allowed_in_sqlite(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """Allow what a select does: SQLite asks about each part of a statement before it runs. No file is attached."""
    if action == sqlite3.SQLITE_FUNCTION:
        allowed = second not in ("load_extension", "fts3_tokenizer")
    elif action == sqlite3.SQLITE_PRAGMA:
        allowed = first == "read_uncommitted" and second is None  # SQLAlchemy asks for it
    else:
        allowed = action in _SELECTING
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


_SELECTING = (
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_TRANSACTION,
)


def _only_reading_mysql(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION READ ONLY")


def _bounds(window: Window, dialect: str) -> dict[str, datetime | str]:
    """Return what :start and :end stand for.

    SQLite compares times as texts, whose order depends on how they are written (T or a space, an offset or none). Days
    are in order however they are written, and one more on each side holds what any offset can move.
    """
    if dialect != "sqlite":
        return {"start": window.start, "end": window.end}
    day = timedelta(days=1)
    return {"start": f"{window.start - day:%Y-%m-%d}", "end": f"{ceil(window.end + day, 'day'):%Y-%m-%d}"}


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _without_password(message: str, engine: Engine) -> str:
    password = engine.url.password
    return message.replace(str(password), "***") if password else message
