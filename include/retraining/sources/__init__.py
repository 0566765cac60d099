"""Where rows come from. Each source gives the rows of a window as an Arrow table."""

from retraining.sources.base import Places, Resolver, RowSource, environment_resolver
from retraining.sources.opening import open_labels, open_source

__all__ = ["Places", "Resolver", "RowSource", "environment_resolver", "open_labels", "open_source"]
