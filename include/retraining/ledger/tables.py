"""The ledger's tables. Rows are only ever added; a record's JSON stands in `body`, its keys in columns of their own."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
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


def _table(name: str, *columns: Column[object] | UniqueConstraint | Index) -> Table:
    return Table(
        name,
        metadata,
        Column("row", _SERIAL, primary_key=True, autoincrement=True),
        *columns,
        Column("recorded_at", DateTime(timezone=True), nullable=False),
    )


readings = _table(
    "readings",
    Column("source_id", _ID, nullable=False),
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
    Index("ix_work_newest", "model", "stage", "row"),
)
quarantined = _table(
    "quarantined",
    Column("model", _MODEL, nullable=False),
    Column("key", _ID, nullable=False),
    Column("mark", _ID, nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("model", "key"),
)
quarantine_drops = _table(
    "quarantine_drops",
    Column("model", _MODEL, nullable=False),
    Column("mark", _ID, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("model", "mark"),
)
quarantine_ends = _table(
    "quarantine_ends",
    Column("model", _MODEL, nullable=False),
    Column("key", _ID, nullable=False),
    Column("why", Text, nullable=False),
    Column("features_id", _ID, nullable=False),
    UniqueConstraint("model", "key"),
)
erased_keys = _table(
    "erased_keys",
    Column("model", _MODEL, nullable=False),
    Column("digest", _ID, nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("model", "digest"),
)
erased_rows = _table(
    "erased_rows",
    Column("model", _MODEL, nullable=False),
    Column("key", _ID, nullable=False),
    Column("n_rows", Integer, nullable=False),
    UniqueConstraint("model", "key"),
)
erased_chunks = _table(
    "erased_chunks",
    Column("chunk_id", _ID, nullable=False, unique=True),
    Column("body", JSON, nullable=False),
)
erased_predictions = _table(
    "erased_predictions",
    Column("key", _ID, nullable=False, unique=True),
    Column("body", JSON, nullable=False),
)
freed = _table(
    "freed",
    Column("key", _ID, nullable=False, unique=True),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("item", Text),
)
distrusted = _table(
    "distrusted",
    Column("model", _MODEL, nullable=False),
    Column("key", _ID, nullable=False),
    Column("snapshot_id", _ID, nullable=False),
    UniqueConstraint("model", "key"),
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
    Column("model", _MODEL, nullable=False),
    Column("decision", String(20), nullable=False),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("holdout_start", DateTime(timezone=True), nullable=False),
    Column("holdout_end", DateTime(timezone=True), nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("body", JSON, nullable=False),
    Index("ix_verdicts_newest", "model", "row"),
    Index("ix_verdicts_as_of", "model", "as_of"),
    Index("ix_verdicts_holdout", "model", "holdout_end"),
    Index("ix_verdicts_promotions", "decision", "dry_run", "id"),  # few are, and those that wait are asked for
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
    Column("model", _MODEL, nullable=False, index=True),
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
closings = _table(
    "closings",
    Column("request_id", _ID, nullable=False, unique=True),
    Column("model", _MODEL, nullable=False, index=True),
    Column("body", JSON, nullable=False),
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
    Column("model", _MODEL, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("incident_id", _ID, nullable=False, index=True, server_default=""),
    Column("body", JSON, nullable=False),
    Index("ix_alerts_newest", "model", "row"),
    Index("ix_alerts_as_of", "as_of"),
)
seals = _table(
    "seals",
    Column("sequence", Integer, nullable=False, unique=True),
    Column("digest", _ID, nullable=False, unique=True),
    Column("body", JSON, nullable=False),
)
