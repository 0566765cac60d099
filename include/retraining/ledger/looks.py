"""Looks at holdout rows, taken before any figure of them is there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import select

from retraining.ledger import tables as t
from retraining.ledger.verdicts import Verdicts
from retraining.records import Look, from_dict, to_dict

_STAGE: Final = "look"
_NEWEST = 200
"""Looks that are counted, newest first: whoever looked so often at the same rows has no error left to spend."""


class Looks(Verdicts):
    """A mixin of `Ledger`."""

    def take_look(self, look: Look) -> int:
        """Record a look at holdout rows; return how many there were before it, each of which widens the interval.

        A model's looks are numbered and each number is given once, so that of two runs at the same time one is the
        later. Taken again for the same evaluation it is the same look. Verdicts from before looks were recorded count.
        """
        while True:
            numbered = self.numbered_looks(look.model)
            mine = next((number for number, other in numbered.items() if other.evaluation == look.evaluation), None)
            if mine is not None:
                return self._earlier(numbered[mine], (other for n, other in numbered.items() if n < mine))
            number = max(numbered, default=0) + 1
            if self._add(t.work, model=look.model, stage=_STAGE, key=str(number), body=to_dict(look)):
                return self._earlier(look, numbered.values())
            # another run was given the number

    def looks_before(self, look: Look) -> int:
        """Count the looks that a look would be the next of, without taking it."""
        return self._earlier(look, (o for o in self.numbered_looks(look.model).values() if o != look))

    def numbered_looks(self, model: str) -> dict[int, Look]:
        """Return a model's looks by number, newest first."""
        c = t.work.c
        query = select(c.key, c.body).where(c.model == model, c.stage == _STAGE).order_by(c.row.desc()).limit(_NEWEST)
        return {int(row.key): from_dict(Look, row.body) for row in self._all(query)}

    def _earlier(self, look: Look, others: Iterable[Look]) -> int:
        unnumbered = 0  # on rows without a time they were about one fifth of all versions, and none is split so now
        if look.version is None:
            unnumbered = self.looks_at(look.model, look.near, replace=look.replace)
        return unnumbered + sum(look.shares_rows_with(other) for other in others)
