"""Blocks of time: what counts as one observation where rows of the same hours are not independent."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from retraining.spec.gate import Gate

_BLOCK_HOURS = (168, 24, 12, 6, 3, 1)
"""Block lengths tried, longest first: whole weeks and days, then even parts of a day."""
_DAY = timedelta(days=1)


def block_length(gate: Gate) -> timedelta:
    """Return the length of a block of time: the longest that still gives `min_blocks` in the holdout."""
    if gate.block is not None:
        return gate.block
    fitting = [h for h in _BLOCK_HOURS if gate.holdout / timedelta(hours=h) >= gate.min_blocks]
    return timedelta(hours=fitting[0] if fitting else _BLOCK_HOURS[-1])


def block_index(times: NDArray[np.datetime64], start: datetime, length: timedelta) -> NDArray[np.int64]:
    """Number the blocks of time that hold rows, from 0 without gaps."""
    _, index = np.unique(_numbers(times, start, length), return_inverse=True)
    return np.asarray(index, dtype=np.int64)


def block_days(times: NDArray[np.datetime64], start: datetime, length: timedelta) -> NDArray[np.int64] | None:
    """Return the day, counted from `start`, in which each block of `block_index` begins, numbered from 0 without gaps.

    None where a block is a day or longer: it is in no day that other blocks share.
    """
    if length >= _DAY:
        return None
    begins = np.unique(_numbers(times, start, length)) * np.timedelta64(length)
    _, index = np.unique(begins // np.timedelta64(_DAY), return_inverse=True)
    return np.asarray(index, dtype=np.int64)


def count_days(times: NDArray[np.datetime64]) -> int:
    """Count the distinct dates of times, in UTC."""
    return len(np.unique(times.astype("datetime64[D]")))


def _numbers(times: NDArray[np.datetime64], start: datetime, length: timedelta) -> NDArray[np.int64]:
    return np.asarray((times - np.datetime64(start.replace(tzinfo=None), "us")) // np.timedelta64(length))
