"""What every source can do, and how it finds its secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from retraining.errors import SourceError
from retraining.records import Window

if TYPE_CHECKING:
    import pyarrow as pa

Resolver = Callable[[str], str]
"""Turns a connection's name into its URL. Airflow's connections inside tasks, the environment elsewhere."""

_PARAMETER = re.compile(r"(?<![:\w]):(start|end)\b")


@dataclass(frozen=True)
class Places:
    """Where sources look: beside the YAMLs for relative paths, in a cache for converted copies."""

    models: Path
    cache: Path


class RowSource(Protocol):
    """Gives the rows whose time is in a window."""

    def read(self, window: Window) -> pa.Table:
        """Return the window's rows. It may give more: a query without :start and :end does, and one of local times."""


def connection_variable(name: str) -> str:
    """Return the environment variable that holds a connection's URL outside Airflow."""
    return f"RETRAINING_CONN_{name.upper()}"


def environment_resolver(name: str) -> str:
    """Read a connection from `RETRAINING_CONN_<NAME>`.

    Raises
    ------
    SourceError
        When the variable is not set.
    """
    variable = connection_variable(name)
    url = os.environ.get(variable)
    if not url:
        raise SourceError(f"connection {name}: is not known. Set {variable} to its SQLAlchemy URL.")
    return url


def quoted_name(name: str) -> str:
    """Quote the name of a table or column for SQL; a text is quoted in another way.

    >>> quoted_name('5" disk')
    '"5"" disk"'
    """
    return '"' + name.replace('"', '""') + '"'


def bind(sql: str, marker: str) -> str:
    """Rewrite `:start` and `:end` for a driver's own parameter style, leaving casts such as `x::int` alone.

    >>> bind("select a::int from t where b >= :start", "$")
    'select a::int from t where b >= $start'
    """
    return _PARAMETER.sub(lambda match: marker + match[1], sql)


def parameters_of(sql: str) -> set[str]:
    """Return which of start and end a query uses."""
    return set(_PARAMETER.findall(sql))
