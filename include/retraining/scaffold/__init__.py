"""A first YAML for a table: look at it, decide with reasons, write. `python -m retraining new` is its command."""

from retraining.scaffold.decide import Request
from retraining.scaffold.new import Written, columns_of, new

__all__ = ["Request", "Written", "columns_of", "new"]
