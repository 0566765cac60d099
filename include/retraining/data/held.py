"""Tables of chunks held in memory while a run lasts, so that its stages read and compare each chunk once.

A chunk never changes, so a table that was compared with its digest stays right. Whether the chunk is still stored is
asked each time: one that was erased or freed meanwhile is not given out again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pyarrow as pa

MOST_BYTES = 256 * 2**20
"""Four times the year of the example (300,000 rows, 25 columns), an eighth of the memory a task may use. What was not
asked for longest goes first; a window that is larger is read again, as without holding."""


class Held:
    """Tables by their file's digest, up to some bytes."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._tables: OrderedDict[str, pa.Table] = OrderedDict()
        self._left = most_bytes

    def get(self, digest: str) -> pa.Table | None:
        """Return the table whose file has a digest."""
        if digest in self._tables:
            self._tables.move_to_end(digest)
        return self._tables.get(digest)

    def put(self, digest: str, table: pa.Table) -> None:
        """Hold a table, and let go of older ones for it."""
        if digest in self._tables:
            return
        self._tables[digest] = table
        self._left -= table.nbytes
        while self._left < 0:
            _, oldest = self._tables.popitem(last=False)
            self._left += oldest.nbytes


_now: ContextVar[Held | None] = ContextVar("held tables", default=None)


@contextmanager
def held_tables() -> Iterator[None]:
    """Hold what is read of chunks until the block ends."""
    token = _now.set(Held())
    try:
        yield
    finally:
        _now.reset(token)


def held() -> Held | None:
    """Return what is held now; None outside a run."""
    return _now.get()
