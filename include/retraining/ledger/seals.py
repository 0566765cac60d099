"""Seals: digests over the ledger's own rows, table by table. What they prove is said in `care.seal`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, UniqueConstraint, func, select

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected
from retraining.ledger.database import newest_revision
from retraining.records import digest_of, to_dict
from retraining.windows import to_utc

_SEALED = tuple(table for table in t.metadata.sorted_tables if table is not t.seals)
"""Every table: rows are only ever added, so that none has to be left out. Seals are chained, and need no other."""
_IN_FLIGHT = timedelta(minutes=10)
"""PostgreSQL numbers a row before its transaction ends, and ours take milliseconds: what is older has ended."""
_BATCH = 5_000


@dataclass(frozen=True)
class SealedTable:
    """What a seal says of a table: rows numbered above `after` (None: from the beginning) up to `upto`.

    `digest` is over the digests of the rows' `columns`, in the order of the rows' numbers.
    """

    name: str
    columns: tuple[str, ...]
    after: int | None
    upto: int
    n_rows: int
    digest: str


@dataclass(frozen=True)
class Seal:
    """What was added to the ledger since the seal before, whose digest is `previous`.

    `whole` is a seal of everything, the first one and each after a migration: what earlier ones said of rows is over.
    """

    sequence: int
    previous: str
    revision: str
    whole: bool
    why: str
    sealed_at: datetime
    tables: tuple[SealedTable, ...]

    @property
    def digest(self) -> str:
        """What the next seal is chained to, and what the ledger and the store must agree on."""
        return digest_of(to_dict(self))


@dataclass(frozen=True)
class StoredSeal:
    """A seal's row as it stands in the ledger, which may not be as it was written."""

    sequence: int
    digest: str
    body: Any


@dataclass(frozen=True)
class SealedRow:
    """A row by its number, what names it for people, and the digest of its values."""

    row: int
    key: str
    digest: str


class Seals(Connected):
    """A mixin of `Ledger`."""

    def add_seal(self, seal: Seal) -> bool:
        """Add a seal; return False when another process took its place in the chain first."""
        return self._add(t.seals, sequence=seal.sequence, digest=seal.digest, body=to_dict(seal))

    def seals(self) -> list[StoredSeal]:
        """Return the seals in their order."""
        c = t.seals.c
        rows = self._all(select(c.sequence, c.digest, c.body).order_by(c.sequence))
        return [StoredSeal(row.sequence, row.digest, row.body) for row in rows]

    def schema(self) -> str:
        """Return the revision of the ledger's schema."""
        return newest_revision()  # opening a ledger brings it there

    def settled(self, now: datetime) -> dict[str, int]:
        """Return up to which row each table has only rows that nobody can come before any more."""
        with self._reading() as connection:
            return {table.name: self._settled_in(connection, table, now) for table in _SEALED}

    def _settled_in(self, connection: Connection, table: Table, now: datetime) -> int:
        newest = connection.execute(select(func.max(table.c.row))).scalar() or 0
        if self._engine.dialect.name == "sqlite":  # one writer at a time: rows are numbered in the order they appear
            return int(newest)
        young = select(func.min(table.c.row)).where(table.c.recorded_at > now - _IN_FLIGHT)
        first = connection.execute(young).scalar()
        return int(newest) if first is None else int(first) - 1

    def n_rows_above(self, upto: dict[str, int]) -> int:
        """Count the rows of all tables above these numbers; of a table that is not named, all."""
        with self._reading() as connection:
            counted = (
                select(func.count()).select_from(table).where(table.c.row > upto.get(table.name, -(2**62)))
                for table in _SEALED
            )
            return sum(connection.execute(query).scalar() or 0 for query in counted)

    def row_digests(self, name: str, columns: Iterable[str], after: int | None, upto: int) -> Iterator[SealedRow]:
        """Give the rows of a range with the digest of some of their columns.

        Raises
        ------
        KeyError
            When there is no such table or column: a migration took it away.
        """
        table = t.metadata.tables[name]
        naming = [table.c[column] for column in _naming(table)]
        wanted = [table.c.row, *naming, *(table.c[column] for column in columns)]
        query = select(*(column.label(f"c{place}") for place, column in enumerate(wanted)))
        last = after
        while True:
            part = query.where(table.c.row <= upto)
            if last is not None:
                part = part.where(table.c.row > last)
            rows = self._all(part.order_by(table.c.row).limit(_BATCH))
            yield from (_sealed(name, row, 1 + len(naming)) for row in rows)
            if len(rows) < _BATCH:
                return
            last = rows[-1][0]


def sealed_columns() -> dict[str, tuple[str, ...]]:
    """Return which columns of which tables a seal is about today: all of them."""
    return {table.name: tuple(column.name for column in table.columns) for table in _SEALED}


def digest_of_rows(rows: Iterable[SealedRow]) -> tuple[str, int]:
    """Return the digest over rows in their order, and how many there are."""
    whole, n_rows = hashlib.sha256(), 0
    for row in rows:
        whole.update(f"{row.digest}\n".encode())
        n_rows += 1
    return whole.hexdigest(), n_rows


def _sealed(name: str, row: Any, first: int) -> SealedRow:
    values: list[Any] = [_plain(value) for value in row]
    return SealedRow(values[0], " ".join(map(str, values[1:first])), digest_of([name, values[first:]]))


def _naming(table: Table) -> list[str]:
    """Return the columns that name a row: of its unique key, the model first."""
    unique = [[c.name for c in one.columns] for one in table.constraints if isinstance(one, UniqueConstraint)]
    named = sorted(unique)[0] if unique else [c.name for c in table.columns if c.unique][:1]
    return named if "model" in named or "model" not in table.c else ["model", *named]


def _plain(value: object) -> object:
    """Return a value that both databases give alike, and JSON can hold."""
    return to_utc(value).isoformat() if isinstance(value, datetime) else value
