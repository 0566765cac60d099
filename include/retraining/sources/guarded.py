"""What holds for every source: one that is briefly down is asked again, and an error names who answers for it."""

from __future__ import annotations

import pyarrow as pa
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from retraining.errors import SourceError, Unavailable
from retraining.records import Window
from retraining.sources.base import RowSource
from retraining.spec.data import Source

_ATTEMPTS, _FIRST_PAUSE_S, _LONGEST_PAUSE_S = 4, 1.0, 8.0
"""Some fifteen seconds in all: a restart or a failover passes; a longer outage is for the scheduler's retries."""


class GuardedSource:
    """A source with retries and its owner's name in its errors."""

    def __init__(self, source: RowSource, described: Source, pause_s: float = _FIRST_PAUSE_S) -> None:
        self._source, self._described, self._pause = source, described, pause_s

    def read(self, window: Window) -> pa.Table:
        """Return the window's rows.

        Raises
        ------
        Unavailable
            When the source still does not answer, or still changes under the reader, after some attempts.
        SourceError
            When the source is wrong; trying again would not help.
        """
        attempts = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential_jitter(self._pause, _LONGEST_PAUSE_S, jitter=self._pause),
            retry=retry_if_exception_type(Unavailable),
            reraise=True,
        )
        try:
            return attempts(self._source.read, window)
        except (SourceError, Unavailable) as error:
            raise type(error)(f"{error}{self._owner()}") from error

    def _owner(self) -> str:
        who = ", ".join(part for part in (self._described.owner, self._described.contact) if part)
        upstream = f" It is fed by {self._described.upstream}." if self._described.upstream else ""
        return f"{upstream} The source's owner: {who}." if who else upstream
