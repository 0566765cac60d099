"""Indexes that find what is newest of a model, and what is open, without reading the history."""

from alembic import op

revision = "0003"
down_revision = "0002"

_REPLACED = {"readings": "source_id", "verdicts": "model", "alerts": "model"}
"""Indexes that begin like one of the others of their table."""


def upgrade() -> None:
    for table, column in _REPLACED.items():
        op.drop_index(f"ix_{table}_{column}", table)
    op.create_index("ix_work_newest", "work", ["model", "stage", "row"])
    op.create_index("ix_verdicts_newest", "verdicts", ["model", "row"])
    op.create_index("ix_verdicts_as_of", "verdicts", ["model", "as_of"])
    op.create_index("ix_verdicts_holdout", "verdicts", ["model", "holdout_end"])
    op.create_index("ix_verdicts_promotions", "verdicts", ["decision", "dry_run", "id"])
    op.create_index("ix_approvals_model", "approvals", ["model"])
    op.create_index("ix_alerts_newest", "alerts", ["model", "row"])
    op.create_index("ix_alerts_as_of", "alerts", ["as_of"])
