"""Intervals as small pictures: a line from bound to bound, a dot at the value, against zero and a bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from retraining.records import Estimate

_PADDING = 0.1
"""Share of the width left free on both sides, so that neither a line nor the text at its end touches the edge."""


@dataclass(frozen=True)
class Scale:
    """A common scale for intervals that are compared: figures to places from 0 to `width`."""

    low: float
    high: float
    width: float

    def at(self, value: float) -> float:
        """Return the place of a figure.

        >>> Scale(-1.0, 1.0, 200).at(0.5)
        150.0
        """
        return round((value - self.low) / (self.high - self.low) * self.width, 1)


def scale_of(estimates: Sequence[Estimate], marks: Sequence[float], width: float) -> Scale:
    """Return the scale on which all of the intervals and marks can be seen."""
    ends = [0.0, *marks, *(e.lower for e in estimates), *(e.upper for e in estimates)]
    low, high = min(ends), max(ends)
    space = (high - low or 1.0) * _PADDING
    return Scale(low - space, high + space, width)
