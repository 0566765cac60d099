"""A real PostgreSQL for tests and measurements: a cluster of its own in a temporary folder, on the loopback address."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text

from retraining_airflow.demo.processes import free_port
from retraining_airflow.demo.watchdog import Watchdog


class NotInstalled(RuntimeError):
    """There is no PostgreSQL server on this machine."""


@contextmanager
def cluster() -> Iterator[str]:
    """Start a cluster and give the URL of its first database, without the name; stop and delete it afterwards.

    Raises
    ------
    NotInstalled
        When there is no server to start.
    """
    tools = programs()
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    if user:
        shutil.chown(folder, user)
    data = folder / "data"
    try:
        _run([tools / "initdb", "-D", data, "-U", "tester", "--auth=trust", "-E", "UTF8"], user)
        port = free_port()  # just before it is taken: another process may look for one at the same time
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        _run([tools / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start"], user)
        watchdog = Watchdog()  # the server is nobody's child: if this process is killed, nobody else ends it
        watchdog.watch(int((data / "postmaster.pid").read_text().split()[0]))
        try:
            yield f"postgresql+psycopg2://tester@127.0.0.1:{port}"
        finally:
            _run([tools / "pg_ctl", "-D", data, "-m", "immediate", "stop"], user)
            watchdog.dismiss()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create_database(server: str, name: str) -> str:
    """Make an empty database; return its URL."""
    engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'create database "{name}"'))
    engine.dispose()
    return f"{server}/{name}"


def programs() -> Path:
    """Return the folder of the server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        raise NotInstalled("PostgreSQL is not installed (Debian: apt install postgresql)")
    return found[-1].parent if found else Path(str(on_path)).parent


def _run(command: list[object], user: str | None) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, user=user, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words[0]}: {done.stderr[-2000:]}"
