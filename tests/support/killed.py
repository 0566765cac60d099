"""Run the command line and kill it, without any chance to clean up, at a chosen call.

`python -m tests.support.killed before|after MODULE:NAME ARGUMENT ...`, with the arguments of `python -m retraining`.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
from typing import Any


def kill_at(moment: str, where: str) -> None:
    """Make the first call of a function or method kill this process, before or after it did its work."""
    module, _, path = where.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for attribute in owners:
        owner = getattr(owner, attribute)
    original = getattr(owner, name)

    @functools.wraps(original)
    def fatal(*args: Any, **kwargs: Any) -> Any:
        if moment == "after":
            original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, fatal)


if __name__ == "__main__":
    kill_at(sys.argv[1], sys.argv[2])
    sys.argv = ["retraining", *sys.argv[3:]]
    from retraining.cli import main

    main()
