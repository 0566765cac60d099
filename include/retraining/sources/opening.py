"""From a spec to the source it names."""

from __future__ import annotations

from pathlib import Path

from retraining.sources.base import Resolver, RowSource, environment_resolver
from retraining.sources.files import FileSource
from retraining.sources.replay import ReplayedSource
from retraining.sources.sql import SqlSource
from retraining.spec import FrozenSpec


def open_source(frozen: FrozenSpec, cache: Path, resolver: Resolver = environment_resolver) -> RowSource:
    """Return the source of a spec; nothing is read yet."""
    data = frozen.spec.data
    source: RowSource
    if data.source.connection is not None:
        source = SqlSource(data.source.connection, frozen.sql or "", resolver)  # the spec requires a query here
    else:
        files = data.source.files or {}  # the spec requires files where there is no connection
        named = files if isinstance(files, dict) else {"data": files}
        source = FileSource(named, frozen.sql, data.source.nulls, cache)
    return ReplayedSource(source, data.source.replay, data.time_column) if data.source.replay else source
