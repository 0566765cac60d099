"""The record of decisions: append-only, in any SQLAlchemy database."""

from retraining.ledger.ledger import Ledger
from retraining.ledger.readings import Reading

__all__ = ["Ledger", "Reading"]
