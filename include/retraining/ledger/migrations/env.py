"""Runs migrations on the connection that `database` holds, inside its transaction."""

from alembic import context

from retraining.ledger.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
context.run_migrations()
