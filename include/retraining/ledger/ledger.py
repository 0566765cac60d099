"""The ledger: one class with a part per subject."""

from __future__ import annotations

from retraining.ledger.alerts import Alerts
from retraining.ledger.champions import Champions
from retraining.ledger.looks import Looks
from retraining.ledger.marks import Marks
from retraining.ledger.newest import Newest
from retraining.ledger.origins import Origins
from retraining.ledger.people import People
from retraining.ledger.quarantine import Quarantine
from retraining.ledger.readings import Readings
from retraining.ledger.requests import Requests
from retraining.ledger.seals import Seals
from retraining.ledger.upkeep import Upkeep
from retraining.ledger.watched import Watched
from retraining.ledger.work import Work


class Ledger(
    Alerts,
    Champions,
    Looks,
    Marks,
    Newest,
    Origins,
    People,
    Quarantine,
    Readings,
    Requests,
    Seals,
    Upkeep,
    Watched,
    Work,
):
    """The append-only record of one installation."""
