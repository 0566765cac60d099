"""A real PostgreSQL for tests, skipped where none is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from samples import postgres
from samples.postgres import create_database

__all__ = ["cluster", "create_database"]


@contextmanager
def cluster() -> Iterator[str]:
    """Start a cluster and give the URL of its first database, without the name; stop and delete it afterwards."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(postgres.cluster())
        except postgres.NotInstalled as error:
            pytest.skip(str(error))
        yield url
