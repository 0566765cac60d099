"""What the care of the store asks of the ledger: what models there are, and marks about what models share."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, union

from retraining.ledger import tables as t
from retraining.ledger.connection import models_in
from retraining.ledger.work import Work
from retraining.records import PredictionSet, digest_of, from_dict

EVERY_MODEL = "*"
"""Under this name stand marks about stored objects, which models may share. No model can be called so."""
FREED, ERASED, ERASED_SET = "freed", "erased", "erased predictions"
"""Stages of such marks: of readings and objects that housekeeping freed, of chunks and predictions with erased rows."""


class Upkeep(Work):
    """A mixin of `Ledger`."""

    def known_models(self) -> list[str]:
        """Return every model the ledger has heard of, whether or not its YAML is still there."""
        heard = (t.champions, t.verdicts, t.requests, t.predictions, t.work)
        query = union(*(select(models_in(table).c.model) for table in heard))
        return sorted(row.model for row in self._all(query) if row.model and row.model.isidentifier())

    def present(self, sets: Sequence[PredictionSet]) -> list[PredictionSet]:
        """Return published sets as they are now: where rows were erased, the set of the others."""
        bodies = self.finished_keys(EVERY_MODEL, ERASED_SET, [digest_of(s.key) for s in sets])
        if not bodies:
            return list(sets)
        found = [bodies.get(digest_of(s.key)) for s in sets]
        return self.present([from_dict(PredictionSet, b) if b else s for s, b in zip(sets, found, strict=True)])
