"""A recorded period as a live feed: a pure function of the day, so that any date has rows."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from retraining.errors import SourceError
from retraining.records import Window
from retraining.sources.base import RowSource
from retraining.spec.data import Replay


class ReplayedSource:
    """Maps a window onto the recorded cycle, reads there, and moves the time column back."""

    def __init__(self, source: RowSource, replay: Replay, time_column: str) -> None:
        self._source, self._time = source, time_column
        self._origin = datetime.combine(replay.start, time(), UTC)
        self._cycle = timedelta(days=replay.days)

    def read(self, window: Window) -> pa.Table:
        """Return the window's rows.

        Raises
        ------
        SourceError
            When the window is longer than the cycle: rows would repeat inside it.
        """
        if window.end - window.start > self._cycle:
            raise SourceError(f"the replayed source repeats after {self._cycle.days} days; {window} is longer.")
        return pa.concat_tables([self._read_within(part) for part in self._parts(window)])

    def _parts(self, window: Window) -> list[Window]:
        turn = self._origin + ((window.start - self._origin) // self._cycle + 1) * self._cycle
        if turn >= window.end:
            return [window]
        return [Window(window.start, turn), Window(turn, window.end)]

    def _read_within(self, window: Window) -> pa.Table:
        shift = (window.start - self._origin) // self._cycle * self._cycle
        table = self._source.read(Window(window.start - shift, window.end - shift))
        index = table.column_names.index(self._time)
        moved = pc.add(table.column(index), pa.scalar(shift, pa.duration("us")))
        return _between(table.set_column(index, self._time, moved), moved, window)


def _between(table: pa.Table, moment: pa.ChunkedArray, window: Window) -> pa.Table:
    """Leave out rows of the next turn that the source gave as well: a part of a window would have them twice."""
    numbers = moment.cast(pa.timestamp("us"), safe=False)  # of naive times too: their query compared the same numbers
    first, last = (pa.scalar(bound.replace(tzinfo=None), numbers.type) for bound in (window.start, window.end))
    return table.filter(pc.and_(pc.greater_equal(numbers, first), pc.less(numbers, last)))
