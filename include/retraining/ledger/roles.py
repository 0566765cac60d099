"""Roles: on PostgreSQL the database itself refuses what our code never does, to rewrite or to remove a row.

Three roles: the owner, who migrates; the services, who insert and read; and housekeeping, who may add seals, too.
"""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from retraining.errors import RequestError
from retraining.ledger import tables as t
from retraining.ledger.database import first_line, open_engine

_TABLES = tuple(table.name for table in t.metadata.sorted_tables)


def grant(url: str, services: str, keeper: str) -> None:
    """Give two roles exactly what they need in a ledger, as its owner; doing so twice has no second effect.

    Parameters
    ----------
    services
        The role of whatever retrains, scores, watches and shows: reads everything, inserts everywhere but seals.
    keeper
        The role of housekeeping: the same, and inserts seals.

    Raises
    ------
    RequestError
        When the ledger is no PostgreSQL, a role is missing, is the owner or both are one, or the owner is another.
    """
    engine = open_engine(url)
    if engine.dialect.name != "postgresql":
        raise RequestError(
            f"the ledger is a {engine.dialect.name} database, which has no roles. RETRAINING_LEDGER names one on "
            "PostgreSQL where there are."
        )
    try:
        with engine.begin() as connection:
            _require_others(connection, services, keeper)
            _grant(connection, services, [name for name in _TABLES if name != t.seals.name])
            _grant(connection, keeper, list(_TABLES))
    except ProgrammingError as error:
        raise RequestError(
            f"ledger: {first_line(error.orig)}. Nothing was granted: run this as the owner of the ledger's tables."
        ) from error


def _require_others(connection: Connection, services: str, keeper: str) -> None:
    owner = str(connection.execute(text("select current_user")).scalar())
    if len({owner, services, keeper}) < 3:
        raise RequestError(
            f"ledger: the owner ({owner}), the services' role ({services}) and the keeper ({keeper}) must be three: an "
            "owner may rewrite what it owns. Nothing was granted."
        )
    for role in (services, keeper):
        found = connection.execute(text("select rolsuper from pg_roles where rolname = :role"), {"role": role}).scalar()
        if found is None:
            raise RequestError(f"ledger: there is no role {role}. Nothing was granted: create it, with login.")
        if found:
            raise RequestError(f"ledger: {role} is a superuser, whom no grant limits. Nothing was granted.")


def _grant(connection: Connection, role: str, inserts: list[str]) -> None:
    quote = connection.dialect.identifier_preparer.quote_identifier
    schema = quote(str(connection.execute(text("select current_schema()")).scalar()))
    who, listed = quote(role), ", ".join(map(quote, inserts))
    sequences = ", ".join(quote(f"{name}_row_seq") for name in inserts)
    for statement in (
        f"revoke all on all tables in schema {schema} from {who}",
        f"revoke all on all sequences in schema {schema} from {who}",
        f"revoke create on schema {schema} from public, {who}",
        f"grant usage on schema {schema} to {who}",
        f"grant select on all tables in schema {schema} to {who}",
        f"grant insert on {listed} to {who}",
        f"grant usage on sequence {sequences} to {who}",
    ):
        connection.exec_driver_sql(statement)
