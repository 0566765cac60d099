"""A table's rows by hour, and what a window of them would hold: rows, labels, classes and blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Span:
    """What a window holds."""

    n_rows: int
    n_labelled: int
    classes: tuple[int, ...]
    """Labelled rows of each class; for a number, all of them as one."""

    @property
    def unlabelled(self) -> float:
        """Share of rows without a label."""
        return 1 - self.n_labelled / self.n_rows if self.n_rows else 0.0


@dataclass(frozen=True)
class Timeline:
    """Hours that hold rows, in order, with their rows and, per class, their labelled rows."""

    hours: NDArray[np.datetime64]
    n_rows: NDArray[np.int64]
    by_class: NDArray[np.int64]
    """Shape (hours, classes)."""

    @classmethod
    def of(
        cls, hours: NDArray[np.datetime64], labels: Sequence[Any], counts: Sequence[int], classes: Sequence[Any]
    ) -> Timeline:
        """Build it from counts per hour and label; a label that is no class counts as missing."""
        starts, where = np.unique(hours.astype("datetime64[h]"), return_inverse=True)
        index = {value: i for i, value in enumerate(classes)}
        n_rows = np.bincount(where, counts, len(starts)).astype(np.int64)
        by_class = np.zeros((len(starts), len(classes)), dtype=np.int64)
        for row, label, count in zip(where, labels, counts, strict=True):
            if label in index:
                by_class[row, index[label]] += count
        return cls(starts, n_rows, by_class)

    @property
    def first(self) -> datetime:
        """The first hour."""
        return _datetime(self.hours[0])

    @property
    def last(self) -> datetime:
        """The last hour."""
        return _datetime(self.hours[-1])

    def span(self, start: datetime, end: datetime) -> Span:
        """Return what start <= t < end holds."""
        inside = self._inside(start, end)
        classes = self.by_class[inside].sum(axis=0)
        return Span(int(self.n_rows[inside].sum()), int(classes.sum()), tuple(int(c) for c in classes))

    def n_blocks(self, start: datetime, end: datetime, length: timedelta) -> int:
        """Return how many blocks of a length, counted from the start, hold labelled rows."""
        inside = self._inside(start, end) & (self.by_class.sum(axis=1) > 0)
        hours = (self.hours[inside] - _hour(start)).astype(np.int64)
        return len(np.unique(hours // (length // timedelta(hours=1))))

    def last_label(self, start: datetime, end: datetime) -> datetime:
        """Return the end of the last hour of a window that holds a labelled row; the start when there is none."""
        inside = self._inside(start, end) & (self.by_class.sum(axis=1) > 0)
        return _datetime(self.hours[inside][-1]) + timedelta(hours=1) if inside.any() else start

    def n_filled(self, edges: Sequence[datetime]) -> int:
        """Return how many of the partitions between neighbouring edges hold rows."""
        where = np.searchsorted(np.array([_hour(e) for e in edges]), self.hours, side="right")
        return len(np.unique(where[(where > 0) & (where < len(edges))]))

    def _inside(self, start: datetime, end: datetime) -> NDArray[np.bool_]:
        return np.asarray((self.hours >= _hour(start)) & (self.hours < _hour(end)))


def _hour(time: datetime) -> np.datetime64:
    return np.datetime64(time.replace(tzinfo=None), "h")


def _datetime(hour: np.datetime64) -> datetime:
    return datetime.fromisoformat(str(hour.astype("datetime64[s]"))).replace(tzinfo=UTC)
