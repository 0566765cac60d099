"""Sources of naive local times: their query's bounds are UTC, the numbers in their tables are those of a wall clock."""

from __future__ import annotations

import pyarrow as pa

from retraining.records import Window
from retraining.sources.base import RowSource
from retraining.windows import with_wall_clock


class LocalSource:
    """A source read in a window that holds the bounds in UTC and on the zone's wall clock; who reads it trims the rows.

    Which of the two a query compares with is not known: a column may be naive or carry an offset, and so may an
    expression. A few hours more are right for both.
    """

    def __init__(self, source: RowSource, zone: str) -> None:
        self._source, self._zone = source, zone

    def read(self, window: Window) -> pa.Table:
        """Return the window's rows, and others from the hours around it."""
        return self._source.read(with_wall_clock(window, self._zone))
