"""The ledger: one class with a part per subject."""

from __future__ import annotations

from retraining.ledger.champions import Champions
from retraining.ledger.newest import Newest
from retraining.ledger.people import People
from retraining.ledger.readings import Readings
from retraining.ledger.requests import Requests
from retraining.ledger.verdicts import Verdicts
from retraining.ledger.watched import Watched


class Ledger(Champions, Newest, People, Readings, Requests, Verdicts, Watched):
    """The append-only record of one installation."""

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()
