"""A database behind a named connection: any SQLAlchemy URL, streamed, with bound parameters."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from retraining.errors import SourceError, Unavailable
from retraining.records import Window
from retraining.sources.base import Resolver, parameters_of

_ROWS_PER_FETCH = 50_000
"""Rows held at once while streaming: some tens of megabytes for a wide table."""


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
            When the connection's URL or the query is wrong.
        """
        values = {"start": window.start, "end": window.end}
        used = {name: values[name] for name in parameters_of(self._sql)}
        try:
            engine = create_engine(self._resolver(self._name))
            with engine.connect().execution_options(stream_results=True) as connection:
                frames = pd.read_sql(text(self._sql), connection, params=used, chunksize=_ROWS_PER_FETCH)
                tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in frames]
            engine.dispose()
        except OperationalError as error:
            raise Unavailable(f"connection {self._name}: {str(error.orig).splitlines()[0]}") from error
        except (SQLAlchemyError, ArgumentError, pa.ArrowException) as error:
            cause = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise SourceError(f"connection {self._name}: the query failed: {cause}. Check the .sql.") from error
        return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})
