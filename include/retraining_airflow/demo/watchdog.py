"""A process beside a program and its servers: when the program dies without having ended them, it does.

A program that is killed can end nothing. `python -m retraining_airflow.demo.watchdog` reads the ids of processes, one a
line; the end of its input without a word is the program's death.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, cast

import psutil

_GRACE_S = 10.0
"""How long a server may take to end by itself before it is killed."""
_ORPHANED_S = 1.0
"""How long what it started may outlive it: most are ended by it, and nobody else tells them to end."""
_DISMISSED = "dismissed"


class Watchdog:
    """Ends processes, with everything they started in turn, if this one dies first, whatever killed it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def watch(self, pid: int) -> None:
        """Take a process into care; it may end before."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                text=True,
                bufsize=1,
                start_new_session=True,  # Ctrl-C is for the program, which ends its servers itself
            )
        with suppress(BrokenPipeError):  # somebody ended the watchdog: the servers are as before there was one
            cast("IO[str]", self._process.stdin).write(f"{pid}\n")

    def dismiss(self) -> None:
        """Say that all have been ended."""
        if self._process is not None:
            self._process.communicate(f"{_DISMISSED}\n")
            self._process = None


def end(processes: Sequence[psutil.Process]) -> None:
    """End processes and all their descendants: the processes politely, then all of them for good."""
    family = {member.pid: member for process in processes for member in _family(process)}
    for process in reversed(processes):
        _quietly(process.terminate)
    psutil.wait_procs(processes, timeout=_GRACE_S)
    _, alive = psutil.wait_procs(list(family.values()), timeout=_ORPHANED_S)
    for member in alive:
        for descendant in _family(member):
            _quietly(descendant.kill)
    psutil.wait_procs(alive, timeout=_GRACE_S)


def find(pid: int) -> list[psutil.Process]:
    """Return the process that has an id now, if any: whoever has it later is another one, and is never ended."""
    try:
        return [psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return []


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return []


def _quietly(action: Callable[[], object]) -> None:
    with suppress(psutil.NoSuchProcess):
        action()


def main() -> None:
    """Wait for the program's last word."""
    watched: list[psutil.Process] = []
    for line in sys.stdin:
        if (word := line.strip()) == _DISMISSED:
            return
        watched += find(int(word))
    end(watched)


if __name__ == "__main__":
    main()
