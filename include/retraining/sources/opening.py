"""From a spec to the source it names."""

from __future__ import annotations

from pathlib import Path

from retraining.errors import SpecError
from retraining.sources.base import Resolver, RowSource, environment_resolver, parameters_of
from retraining.sources.files import FileSource
from retraining.sources.replay import ReplayedSource
from retraining.sources.sql import SqlSource
from retraining.spec import FrozenSpec


def open_source(frozen: FrozenSpec, cache: Path, resolver: Resolver = environment_resolver) -> RowSource:
    """Return the source of a spec; nothing is read yet.

    Raises
    ------
    SpecError
        When a replayed source's query does not keep to a window: rows of two cycles would be mixed.
    """
    data = frozen.spec.data
    source: RowSource
    if data.source.connection is not None:
        source = SqlSource(data.source.connection, frozen.sql or "", resolver)  # the spec requires a query here
    else:
        files = data.source.files or {}  # the spec requires files where there is no connection
        named = files if isinstance(files, dict) else {"data": files}
        source = FileSource(named, frozen.sql, data.source.nulls, cache)
    if data.source.replay is None:
        return source
    if parameters_of(frozen.sql or "") != {"start", "end"}:
        raise SpecError(
            f"{frozen.model}.yaml: data.source.replay needs a data.source.query that keeps to :start and :end."
        )
    return ReplayedSource(source, data.source.replay, data.time_column)
