"""The ledger's tables. Rows are only ever added; a record's JSON stands in `body`, its keys in columns of their own."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()
_ID = String(64)
_MODEL = String(200)
_SERIAL = BigInteger().with_variant(Integer, "sqlite")


def _table(name: str, *columns: Column[object] | UniqueConstraint) -> Table:
    return Table(
        name,
        metadata,
        Column("row", _SERIAL, primary_key=True, autoincrement=True),
        *columns,
        Column("recorded_at", DateTime(timezone=True), nullable=False),
    )


readings = _table(
    "readings",
    Column("source_id", _ID, nullable=False, index=True),
    Column("start", DateTime(timezone=True), nullable=False),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("source_id", "start", "as_of"),
)
work = _table(
    "work",
    Column("model", _MODEL, nullable=False),
    Column("stage", String(40), nullable=False),
    Column("key", _ID, nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("model", "stage", "key"),
)
provenance = _table(
    "provenance",
    Column("key", _ID, nullable=False, unique=True),
    Column("snapshot_id", _ID, nullable=False, index=True),
    Column("model", _MODEL, nullable=False, index=True),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("source_id", _ID, nullable=False),
    Column("body", JSON, nullable=False),
)
verdicts = _table(
    "verdicts",
    Column("id", _ID, nullable=False, unique=True),
    Column("model", _MODEL, nullable=False, index=True),
    Column("decision", String(20), nullable=False),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("holdout_start", DateTime(timezone=True), nullable=False),
    Column("holdout_end", DateTime(timezone=True), nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("body", JSON, nullable=False),
)
releases = _table(
    "releases",
    Column("model", _MODEL, nullable=False, index=True),
    Column("verdict_id", _ID, nullable=False, unique=True),
    Column("release_id", _ID, nullable=False, index=True),
    Column("body", JSON, nullable=False),
)
approvals = _table(
    "approvals",
    Column("model", _MODEL, nullable=False),
    Column("verdict_id", _ID, nullable=False, unique=True),
    Column("approved", Boolean, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
overrides = _table(
    "overrides",
    Column("model", _MODEL, nullable=False, index=True),
    Column("verdict_id", _ID, nullable=False, unique=True),
    Column("body", JSON, nullable=False),
)
champions = _table(
    "champions",
    Column("model", _MODEL, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("verdict_id", _ID),
    Column("release_id", _ID, nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("model", "sequence"),
)
aliases = _table(
    "aliases",
    Column("model", _MODEL, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("model", "sequence"),
)
outcomes = _table(
    "outcomes",
    Column("model", _MODEL, nullable=False),
    Column("verdict_id", _ID, nullable=False, unique=True),
    Column("body", JSON, nullable=False),
)
requests = _table(
    "requests",
    Column("id", _ID, nullable=False, unique=True),
    Column("model", _MODEL, nullable=False, index=True),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("body", JSON, nullable=False),
)
served = _table(
    "served",
    Column("request_id", _ID, nullable=False, unique=True),
    Column("verdict_id", _ID, nullable=False),
)
predictions = _table(
    "predictions",
    Column("model", _MODEL, nullable=False),
    Column("start", DateTime(timezone=True), nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("model", "start"),
)
decisions = _table(
    "decisions",
    Column("id", _ID, nullable=False, unique=True),
    Column("model", _MODEL, nullable=False),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("model", "as_of"),
)
measurements = _table(
    "measurements",
    Column("model", _MODEL, nullable=False),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("model", "as_of"),
)
alerts = _table(
    "alerts",
    Column("key", _ID, nullable=False, unique=True),
    Column("model", _MODEL, nullable=False, index=True),
    Column("kind", String(40), nullable=False),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("body", JSON, nullable=False),
)
