"""Runs the command line."""

import atexit
import gc
import sys

# A question ends before anything is worth collecting. Looking for garbage among what was just imported, and once more
# among everything at the end, took a third of its time. Work that goes on for longer is collected as it grows (the
# peak of a retraining stays the same), and open databases are closed by `ledger.database` all the same.
gc.set_threshold(200_000)


def _spare() -> None:
    """Leave what is in memory to the operating system; DuckDB would report its own objects as leaked."""
    if "_duckdb" not in sys.modules:
        gc.freeze()


atexit.register(_spare)

from retraining.cli import main  # noqa: E402 - importing is the most of what would be looked through

if __name__ == "__main__":
    main()
