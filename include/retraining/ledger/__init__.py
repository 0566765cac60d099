"""The record of decisions: append-only, in any SQLAlchemy database."""

from retraining.ledger.ledger import Ledger, Reading

__all__ = ["Ledger", "Reading"]
