"""Transactions on the ledger's database. There are no locks: unique keys decide who was first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, TypeVar

from sqlalchemy import CTE, ColumnElement, CompoundSelect, Connection, Insert, Select, Table, and_, func, select
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from retraining.errors import LedgerError, Unavailable
from retraining.ledger.database import READS, close_engine, first_line, open_engine
from retraining.records import from_dict

R = TypeVar("R")

BATCH = 500
"""Keys per query: old builds of SQLite bind at most 999 variables."""
Query = Select[Any] | CompoundSelect[Any]


class Connected:
    """What every part of the ledger stands on: reading, and adding what is not there yet."""

    def __init__(self, url: str, variable: str = "RETRAINING_LEDGER") -> None:
        self._url, self._engine = url, open_engine(url, variable)

    def close(self) -> None:
        """Give the connections back. Other ledgers of this process, which share them, go on with new ones."""
        close_engine(self._url)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the ledger, and keeps nobody from writing."""
        with self._told(), self._engine.connect() as connection:
            reader = connection.execution_options(**{READS: True})
            with reader.begin():
                yield reader

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._told(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            url = self._engine.url.render_as_string(hide_password=True)
            cause = first_line(getattr(error, "orig", None) or error)
            raise Unavailable(f"ledger {url}: {cause}. Nothing was recorded.") from error
        except ProgrammingError as error:
            if "permission denied" not in str(error):
                raise
            raise LedgerError(
                f"ledger: {first_line(error.orig)}. Nothing was recorded. This role may not do that: another one, of "
                "RETRAINING_LEDGER_KEEPER, is housekeeping's, and `ledger grant` gives both what they need."
            ) from error

    def _insert(self, connection: Connection, table: Table, row: dict[str, Any]) -> bool:
        """Add a row; return whether it was not there yet. Whatever else is wrong with it is an error."""
        return connection.execute(self._unless_there(table).values(row | _now())).rowcount > 0

    def _unless_there(self, table: Table) -> Insert:
        """Return an insert that leaves alone what another writer added first: only unique keys may be in its way."""
        # a dialect's own insert, imported when something is written: most of what people ask only reads
        insert = import_module(f"sqlalchemy.dialects.{self._engine.dialect.name}").insert
        found: Insert = insert(table).on_conflict_do_nothing().inline()
        return found

    def _add(self, table: Table, **row: Any) -> bool:
        with self._writing() as connection:
            return self._insert(connection, table, row)

    def _add_many(self, table: Table, rows: Iterable[dict[str, Any]]) -> None:
        """Add rows in one transaction. Callers sort them: two writers with the same rows then wait, and never lock."""
        now = _now()
        listed = [row | now for row in rows]
        if listed:
            with self._writing() as connection:
                connection.execute(self._unless_there(table), listed)

    def _all(self, query: Query) -> Sequence[Any]:
        with self._reading() as connection:
            return connection.execute(query).all()

    def _among(self, query: Select[Any], column: ColumnElement[str], keys: Iterable[str]) -> list[Any]:
        """Return the rows whose column is among the keys."""
        listed = sorted(set(keys))
        batches = (listed[start : start + BATCH] for start in range(0, len(listed), BATCH))
        return [row for batch in batches for row in self._all(query.where(column.in_(batch)))]

    def _one(self, query: Query) -> Any:
        with self._reading() as connection:
            return connection.execute(query).scalar()

    def _records(self, cls: type[R], query: Query) -> list[R]:
        """Return the records whose bodies a query finds."""
        return [from_dict(cls, row.body) for row in self._all(query)]

    def _record(self, cls: type[R], query: Query) -> R | None:
        """Return the record whose body a query finds first, or None."""
        body = self._one(query)
        return None if body is None else from_dict(cls, body)


def _now() -> dict[str, datetime]:
    return {"recorded_at": datetime.now(UTC)}


def begins_with(column: ColumnElement[str], identity: str) -> ColumnElement[bool]:
    """Return the condition that an id begins so. Ids are lower-case hex: the range around them lets an index help."""
    return and_(column >= identity, column < f"{identity}g", column.startswith(identity, autoescape=True))


def models_in(table: Table) -> CTE:
    """Return the models in a table, sorted: one step into its index per model, however many rows each has."""
    first = select(func.min(table.c.model).label("model")).cte(f"{table.name}_models", recursive=True)
    after = select(func.min(table.c.model)).where(table.c.model > first.c.model).scalar_subquery()
    return first.union_all(select(after).where(first.c.model.is_not(None)))
