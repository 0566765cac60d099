"""Start servers and end them: what this program starts ends with it, also when it is killed, with all they started."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retraining_airflow.demo.watchdog import Watchdog, end, find


class StartFailed(Exception):
    """Raise when a server does not come up; the message ends with the last lines of its log."""


@dataclass
class Server:
    """A running process and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_lines(self, count: int = 12) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


class Servers:
    """A set of servers that end together."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self._logs, self._environment = logs, environment
        self._running: list[Server] = []
        self._watchdog = Watchdog()
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: Sequence[str]) -> Server:
        """Start a server in a session of its own."""
        log = self._logs / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                list(command),
                env=self._environment,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._watchdog.watch(process.pid)
        server = Server(name, process, log)
        self._running.append(server)
        return server

    def run(self, name: str, command: Sequence[str], timeout_s: float) -> None:
        """Run a command to its end.

        Raises
        ------
        StartFailed
            When it fails or takes too long.
        """
        server = self.start(name, command)
        try:
            code = server.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise StartFailed(f"{name} took more than {timeout_s:.0f} s. Log:\n{server.last_lines()}") from error
        if code != 0:
            raise StartFailed(f"{name} failed with exit code {code}. Log:\n{server.last_lines()}")

    def wait_until(self, server: Server, ready: Callable[[], bool], timeout_s: float) -> None:
        """Wait until a server is ready.

        Raises
        ------
        StartFailed
            When it ends or is not ready in time.
        """
        end = time.monotonic() + timeout_s
        while not ready():
            if server.process.poll() is not None:
                raise StartFailed(f"{server.name} ended while starting. Log:\n{server.last_lines()}")
            if time.monotonic() > end:
                raise StartFailed(f"{server.name} was not ready after {timeout_s:.0f} s. Log:\n{server.last_lines()}")
            time.sleep(0.2)  # polling another process; there is nothing to wait on

    def check(self) -> None:
        """Raise when a server has died.

        Raises
        ------
        StartFailed
            With the name and the end of its log.
        """
        for server in self._running:
            code = server.process.poll()
            if code not in (None, 0):
                raise StartFailed(f"{server.name} died with exit code {code}. Log:\n{server.last_lines()}")

    def stop(self) -> None:
        """End every server and all their descendants: politely, then for good."""
        end([process for server in self._running for process in find(server.process.pid)])
        for server in self._running:
            server.process.wait()
        self._running.clear()
        self._watchdog.dismiss()


def free_port(preferred: int = 0) -> int:
    """Return the preferred port, or another free one when it is taken or none is preferred."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StartFailed("no free port on the loopback address")
