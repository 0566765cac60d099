"""What the care of the store asks of the ledger: which models there are."""

from __future__ import annotations

from sqlalchemy import select, union

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected, models_in


class Upkeep(Connected):
    """A mixin of `Ledger`."""

    def known_models(self) -> list[str]:
        """Return every model the ledger has heard of, whether or not its YAML is still there."""
        heard = (t.champions, t.verdicts, t.requests, t.predictions, t.work)
        query = union(*(select(models_in(table).c.model) for table in heard))
        return sorted(row.model for row in self._all(query) if row.model and row.model.isidentifier())
