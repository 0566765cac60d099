"""What a question on the command line costs, against an interpreter that only imports SQLAlchemy and pydantic.

In CPU time of the process, pair by pair, so that other programs on the machine do not count.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from benchmarks.figures import Figure, Report
from benchmarks.processes import ROOT
from samples.tiny import NAME, day, environ, retrain, tiny

_PAIRS = 9
_BARE = ["-c", "import sqlalchemy; from pydantic import BaseModel, Field, TypeAdapter"]
_COMMANDS = (("status",), ("history", NAME), ("explain", NAME), ("check", NAME), ("registry", "show", NAME))


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Ask about a model that was retrained twice; the median ratio of pairs."""
    work = tiny(folder)
    retrain(work, day(40))
    retrain(work, day(40) + timedelta(days=8))
    variables = {**os.environ, **environ(work.settings)}
    first = _cpu_s(["-m", "retraining", "check", NAME], variables)
    yield Figure(
        "check of one model, the first time", f"{first:.2f} s", f"{first / _cpu_s(_BARE, variables):.1f} x bare"
    )
    for command in _COMMANDS:
        pairs = [_pair(["-m", "retraining", *command], variables) for _ in range(_PAIRS)]
        ratio = statistics.median(ours / bare for ours, bare in pairs)
        ours = statistics.median(ours for ours, _ in pairs)
        report(f"{' '.join(command)}: {ratio:.2f} x bare")
        yield Figure(" ".join(command), f"{ours:.2f} s", f"{ratio:.2f} x bare imports", "1.5 x")


def _pair(arguments: list[str], variables: dict[str, str]) -> tuple[float, float]:
    return _cpu_s(arguments, variables), _cpu_s(_BARE, variables)


def _cpu_s(arguments: list[str], variables: dict[str, str]) -> float:
    """Run this Python to its end; return the CPU seconds of its process."""
    nowhere = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    here = Path.cwd()
    os.chdir(ROOT)
    try:
        process = os.posix_spawn(sys.executable, [sys.executable, *arguments], variables, file_actions=nowhere)
    finally:
        os.chdir(here)
    _, status, used = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"{' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime
