"""Where rows come from. Each source gives the rows of a window as an Arrow table."""

from retraining.sources.base import Resolver, RowSource, environment_resolver
from retraining.sources.opening import open_source

__all__ = ["Resolver", "RowSource", "environment_resolver", "open_source"]
