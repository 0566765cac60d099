"""Blocks of time: what counts as one observation where rows of the same hours are not independent."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from retraining.spec.gate import Gate

_BLOCK_HOURS = (168, 24, 12, 6, 3, 1)
"""Block lengths tried, longest first: whole weeks and days, then even parts of a day."""


def block_length(gate: Gate) -> timedelta:
    """Return the length of a block of time: the longest that still gives `min_blocks` in the holdout."""
    if gate.block is not None:
        return gate.block
    fitting = [h for h in _BLOCK_HOURS if gate.holdout / timedelta(hours=h) >= gate.min_blocks]
    return timedelta(hours=fitting[0] if fitting else _BLOCK_HOURS[-1])


def block_index(times: NDArray[np.datetime64], start: datetime, length: timedelta) -> NDArray[np.int64]:
    """Number the blocks of time that hold rows, from 0 without gaps."""
    origin = np.datetime64(start.replace(tzinfo=None), "us")
    _, index = np.unique((times - origin) // np.timedelta64(length), return_inverse=True)
    return np.asarray(index, dtype=np.int64)
