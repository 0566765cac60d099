"""Quarantine, erasures and marks get tables of their own; `work` keeps the results of stages."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_AT_ONCE = 1000
"""Rows per insert: an old installation has some hundred thousand marks."""
_WORK = sa.table(
    "work",
    *(sa.column(name) for name in ("row", "model", "stage", "key")),
    sa.column("body", sa.JSON()),
    sa.column("recorded_at", sa.DateTime(timezone=True)),
)


def upgrade() -> None:
    for name, columns, unique in _TABLES:
        op.create_table(
            name,
            sa.Column("row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
            *columns,
            sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
            sa.PrimaryKeyConstraint("row"),
            sa.UniqueConstraint(*unique),
        )
    for stage, (name, columns_of) in _MOVED.items():
        _move(stage, name, columns_of)


def _column(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _model() -> sa.Column[Any]:
    return _column("model", sa.String(length=200))


def _id(name: str) -> sa.Column[Any]:
    return _column(name, sa.String(length=64))


def _body() -> sa.Column[Any]:
    return _column("body", sa.JSON())


_TABLES: list[tuple[str, list[sa.Column[Any]], list[str]]] = [
    (
        "quarantined",
        [_model(), _id("key"), _id("mark"), _body()],
        ["model", "key"],
    ),
    (
        "quarantine_drops",
        [_model(), _id("mark"), _column("by", sa.Text()), _column("reason", sa.Text())],
        ["model", "mark"],
    ),
    (
        "quarantine_ends",
        [_model(), _id("key"), _column("why", sa.Text()), _id("features_id")],
        ["model", "key"],
    ),
    (
        "erased_keys",
        [_model(), _id("digest"), _body()],
        ["model", "digest"],
    ),
    ("erased_rows", [_model(), _id("key"), _column("n_rows", sa.Integer())], ["model", "key"]),
    ("erased_chunks", [_id("chunk_id"), _body()], ["chunk_id"]),
    ("erased_predictions", [_id("key"), _body()], ["key"]),
    (
        "freed",
        [_id("key"), _column("as_of", sa.DateTime(timezone=True)), sa.Column("item", sa.Text())],
        ["key"],
    ),
    ("distrusted", [_model(), _id("key"), _id("snapshot_id")], ["model", "key"]),
]


def _of_model(row: Any, **more: Any) -> dict[str, Any]:
    return {"model": row.model, **more}


_MOVED: dict[str, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    "quarantine": ("quarantined", lambda r: _of_model(r, key=r.key, mark=r.body["mark"], body=r.body)),
    "quarantine drop": (
        "quarantine_drops",
        lambda r: _of_model(r, mark=r.key, by=r.body["by"], reason=r.body["reason"]),
    ),
    "quarantine end": ("quarantine_ends", lambda r: _of_model(r, key=r.key, **r.body)),
    "erased key": ("erased_keys", lambda r: _of_model(r, digest=r.key, body=r.body)),
    "erased rows": ("erased_rows", lambda r: _of_model(r, key=r.key, n_rows=r.body["n_rows"])),
    "erased": ("erased_chunks", lambda r: {"chunk_id": r.key, "body": r.body["chunk"]}),
    "erased predictions": ("erased_predictions", lambda r: {"key": r.key, "body": r.body}),
    "freed": (
        "freed",
        lambda r: {"key": r.key, "as_of": datetime.fromisoformat(r.body["as_of"]), "item": r.body.get("item")},
    ),
    "distrusted": ("distrusted", lambda r: _of_model(r, key=r.key, snapshot_id=r.body["snapshot"])),
}
"""By stage: the table that its rows move to, and their columns there."""


def _move(stage: str, name: str, columns_of: Callable[[Any], dict[str, Any]]) -> None:
    """Move a stage's rows in the order they were recorded, with the time of it."""
    connection = op.get_bind()
    columns = next(columns for table, columns, _ in _TABLES if table == name)
    table = sa.table(
        name, *(sa.column(c.name, c.type) for c in columns), sa.column("recorded_at", sa.DateTime(timezone=True))
    )
    rows = connection.execute(sa.select(_WORK).where(_WORK.c.stage == stage).order_by(_WORK.c.row))
    for batch in rows.partitions(_AT_ONCE):
        connection.execute(table.insert(), [{**columns_of(row), "recorded_at": row.recorded_at} for row in batch])
    connection.execute(_WORK.delete().where(_WORK.c.stage == stage))
