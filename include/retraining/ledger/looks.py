"""Looks at holdout rows, taken before any figure of them is there."""

from __future__ import annotations

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
            numbered = self._numbered(look.model)
            mine = next((number for number, other in numbered.items() if other.evaluation == look.evaluation), None)
            number = mine or max(numbered, default=0) + 1
            if mine is not None or self._add(
                t.work, model=look.model, stage=_STAGE, key=str(number), body=to_dict(look)
            ):
                break  # else another run was given the number
        earlier = sum(n < number and look.shares_rows_with(other) for n, other in numbered.items())
        return earlier if look.of_one_version else max(earlier, self.looks_at(look.model, look.window))

    def _numbered(self, model: str) -> dict[int, Look]:
        c = t.work.c
        query = select(c.key, c.body).where(c.model == model, c.stage == _STAGE).order_by(c.row.desc()).limit(_NEWEST)
        return {int(row.key): from_dict(Look, row.body) for row in self._all(query)}
