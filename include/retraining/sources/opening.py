"""From a spec to the sources it names; only the kind that is opened brings its libraries."""

from __future__ import annotations

from retraining.errors import SpecError
from retraining.sources.base import Places, Resolver, RowSource, environment_resolver, parameters_of
from retraining.spec import FrozenSpec
from retraining.spec.data import Source


def open_source(frozen: FrozenSpec, places: Places, resolver: Resolver = environment_resolver) -> RowSource:
    """Return the source of a spec's features; nothing is read yet.

    Raises
    ------
    SpecError
        When a replayed source's query does not keep to a window: rows of two cycles would be mixed.
    """
    from retraining.sources.guarded import GuardedSource
    from retraining.sources.local import LocalSource
    from retraining.sources.replay import ReplayedSource

    source = frozen.spec.data.source
    found = _open(frozen, source, places, resolver)
    if source.replay is not None:
        if parameters_of(frozen.file(source) or "") != {"start", "end"}:
            raise SpecError(
                f"{frozen.model}.yaml: data.source.replay needs a data.source.query that keeps to :start and :end."
            )
        found = ReplayedSource(found, source.replay, frozen.spec.data.time)
    return GuardedSource(LocalSource(found, frozen.spec.data.timezone), source)


def open_labels(frozen: FrozenSpec, places: Places, resolver: Resolver = environment_resolver) -> RowSource | None:
    """Return the source of a spec's labels, None when they come with the features."""
    from retraining.sources.guarded import GuardedSource
    from retraining.sources.local import LocalSource

    labels = frozen.spec.data.labels
    if labels is None:
        return None
    found = _open(frozen, labels, places, resolver)
    return GuardedSource(LocalSource(found, frozen.spec.data.timezone), labels)


def _open(frozen: FrozenSpec, source: Source, places: Places, resolver: Resolver) -> RowSource:
    text = frozen.file(source)
    if source.connection is not None:
        from retraining.sources.sql import SqlSource

        return SqlSource(source.connection, text or "", resolver)  # the spec requires a query here
    if source.function is not None:
        from retraining.sources.function import FunctionSource

        return FunctionSource(source.function, text or "", places.models)  # frozen with the spec
    from retraining.sources.files import FileSource

    return FileSource(source.named_files(), text, source.nulls, places)
