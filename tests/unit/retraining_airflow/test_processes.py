"""Servers end with the program that started them, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from retraining_airflow.demo.processes import Servers
from samples import postgres
from tests.support.parse import ROOT

FAMILY = ["sh", "-c", "sleep 300 & setsid sleep 300 & wait"]
PROGRAM = f"""
import time
from pathlib import Path
from retraining_airflow.demo.processes import Servers
servers = Servers(Path("logs"), {{"PATH": "/usr/bin:/bin"}})
servers.run("done before", ["true"], 60)
print(servers.start("family", {FAMILY}).process.pid, flush=True)
time.sleep(300)
"""
CLUSTER = """
import time
from pathlib import Path
from samples import postgres
with postgres.cluster() as url:
    print(url.rpartition(":")[2], flush=True)
    time.sleep(300)
"""
WITHIN_S = 30


def family_of(pid: int) -> list[psutil.Process]:
    """Return a process and the two that it starts."""
    parent, end = psutil.Process(pid), time.monotonic() + WITHIN_S
    while len(family := [parent, *parent.children(recursive=True)]) < 3:
        assert time.monotonic() < end
        time.sleep(0.01)
    return family


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def end_of(processes: list[psutil.Process]) -> bool:
    """Wait until processes have ended; some may be nobody's children, whom only the system could reap."""
    end = time.monotonic() + WITHIN_S
    while alive(processes) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(processes)


def start(program: str, folder: Path) -> tuple[subprocess.Popen[str], int]:
    """Start a program in a folder; give the number it prints."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "include"), str(ROOT)])}
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def test_nothing_is_left_running(tmp_path: Path) -> None:
    """What a stack starts it ends, also when a server never comes up."""
    servers = Servers(tmp_path, {"PATH": "/usr/bin:/bin"})
    family = family_of(servers.start("parent", FAMILY).process.pid)
    (watchdog,) = (p for p in psutil.Process().children() if "watchdog" in " ".join(p.cmdline()))
    servers.stop()
    assert alive([*family, watchdog]) == []


def test_what_a_killed_program_started_ends_after_it(tmp_path: Path) -> None:
    program, server = start(PROGRAM, tmp_path)
    family_of(server)
    started = psutil.Process(program.pid).children(recursive=True)
    assert len(started) == 4, "three of the server, and the watchdog"
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert end_of(started)


def test_the_database_of_a_killed_program_ends_after_it(tmp_path: Path) -> None:
    try:
        postgres.programs()
    except postgres.NotInstalled as error:
        pytest.skip(str(error))
    program, port = start(CLUSTER, tmp_path)
    (server,) = (p for p in psutil.process_iter() if p.name() == "postgres" and f"-p {port}" in " ".join(p.cmdline()))
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert end_of([server])
