"""A real PostgreSQL for tests, skipped where none is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from samples import postgres
from samples.postgres import create_database

__all__ = ["cluster", "create_database", "programs"]


@contextmanager
def cluster() -> Iterator[str]:
    """Start a cluster and give the URL of its first database, without the name; stop and delete it afterwards."""
    programs()
    with postgres.cluster() as url:
        yield url


def programs() -> Path:
    """Return the folder of the server's programs."""
    try:
        return postgres.programs()
    except postgres.NotInstalled as error:
        pytest.skip(str(error))
