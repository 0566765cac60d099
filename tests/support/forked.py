"""Run the command line in processes forked from one that has imported everything, as Airflow's workers run tasks.

`python -m tests.support.forked` reads a request per line and prints how its process ended. It imports and runs nothing
itself, so that each fork is as good as a new process, without the ten seconds that importing takes one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

from tests.support.parse import ROOT

_LIMIT_S = 400
"""After this long a process hangs and is ended; a whole run takes a few seconds."""


class Forks:
    """A warm process and what is asked of it."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "tests.support.forked"]
        env = {**os.environ, "RETRAINING_WARM": "1"}
        pipe = subprocess.PIPE
        self._warm = subprocess.Popen(command, cwd=ROOT, env=env, stdin=pipe, stdout=pipe, text=True)

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], *kill: str, quick: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m retraining` with some arguments.

        Parameters
        ----------
        kill
            When and where it is to be killed, as `killed.kill_at` takes it.
        quick
            Whether preflight checks in the same process.
        """
        request = {"arguments": list(arguments), "environment": dict(environment), "kill": kill, "quick": quick}
        assert self._warm.stdin is not None and self._warm.stdout is not None
        self._warm.stdin.write(json.dumps(request) + "\n")
        self._warm.stdin.flush()
        answer = self._warm.stdout.readline()
        assert answer, "the warm process has ended"
        return subprocess.CompletedProcess(list(arguments), **json.loads(answer))

    def close(self) -> None:
        """End the warm process."""
        assert self._warm.stdin is not None
        self._warm.stdin.close()
        self._warm.wait(30)


def _serve() -> None:
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            status = _run_to_its_end(json.loads(line), out, err)
            out.seek(0)
            err.seek(0)
            code = os.waitstatus_to_exitcode(status)
            print(json.dumps({"returncode": code, "stdout": out.read(), "stderr": err.read()}), flush=True)


def _run_to_its_end(request: dict[str, Any], out: IO[str], err: IO[str]) -> int:
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    code = 1
    try:
        signal.alarm(_LIMIT_S)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        os.environ.update(request["environment"])
        _command_line(request)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # whatever it was, a forked child must not return into its parent's code


def _command_line(request: dict[str, Any]) -> None:
    from retraining.cli import main
    from tests.support.killed import kill_at
    from tests.support.preflight import in_this_process

    with in_this_process() if request["quick"] else nullcontext():
        if request["kill"]:
            kill_at(*request["kill"])
        sys.argv = ["retraining", *request["arguments"]]
        main()


def main() -> None:
    """Import what commands need, then serve."""
    from retraining_airflow import warm

    assert warm(["airflow", "scheduler"]), "this process was not warmed"
    import tests.support.preflight  # noqa: F401 - and retraining.rollout with it
    from retraining import cli  # noqa: F401

    assert Path.cwd() == ROOT
    _serve()


if __name__ == "__main__":
    main()
