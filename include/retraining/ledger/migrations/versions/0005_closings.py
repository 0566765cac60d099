"""Closings: requests that were ended without a retraining. Alerts name the incident that they are about."""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ALERTS = sa.table(
    "alerts",
    *(sa.column(name) for name in ("row", "key", "model", "kind", "incident_id")),
    sa.column("body", sa.JSON()),
)


def upgrade() -> None:
    op.create_table(
        "closings",
        sa.Column("row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("row"),
        sa.UniqueConstraint("request_id"),
    )
    op.create_index(op.f("ix_closings_model"), "closings", ["model"], unique=False)
    op.add_column("alerts", sa.Column("incident_id", sa.String(length=64), nullable=False, server_default=""))
    _name_incidents(op.get_bind())
    op.create_index("ix_alerts_incident_id", "alerts", ["incident_id"], unique=False)


def _name_incidents(connection: sa.Connection) -> None:
    """Until now alerts had no incident of their own: each is about its as-of time."""
    c = _ALERTS.c
    seen: set[str] = set()
    for row in connection.execute(sa.select(c.row, c.model, c.kind, c.body).order_by(c.row)).all():
        # as `Alert.about` and the ledger's digest had it when this was written
        text = json.dumps([row.model, row.kind, _iso(row.body["as_of"])], separators=(",", ":"), ensure_ascii=False)
        named = hashlib.sha256(text.encode()).hexdigest()
        first = {} if named in seen else {"key": named}  # the ledger finds an incident by the key of its first row
        seen.add(named)
        connection.execute(sa.update(_ALERTS).where(c.row == row.row).values(incident_id=named, **first))


def _iso(text: str) -> str:
    return text.removesuffix("Z") + "+00:00" if text.endswith("Z") else text
