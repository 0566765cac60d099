"""An S3 endpoint over real HTTP: moto's server in a process of its own, on the loopback address."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import fsspec
import pytest

from retraining_airflow.demo.processes import free_port
from retraining_airflow.demo.watchdog import Watchdog

_DEFAULT_PORT, _STARTS_WITHIN_S, _NAME = 55001, 60, "retraining-test"


@dataclass(frozen=True)
class Bucket:
    """One bucket; the environment holds its endpoint and credentials while it is open."""

    name: str

    def url(self, key: str) -> str:
        """Return a key's URL."""
        return f"s3://{self.name}/{key}"

    def put(self, key: str, content: bytes) -> None:
        """Write an object."""
        with fsspec.open(self.url(key), "wb") as file:
            file.write(content)


@contextmanager
def bucket() -> Iterator[Bucket]:
    """Start the server and make a bucket; stop it afterwards."""
    pytest.importorskip("moto.server", reason="moto's server is not installed (make setup)")
    port = free_port(_DEFAULT_PORT)
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server, watchdog = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), Watchdog()
    watchdog.watch(server.pid)
    values = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "of-the-tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in values}
    try:
        _wait(address, server)
        os.environ.update(values)
        fsspec.filesystem("s3").mkdir(_NAME)
        yield Bucket(_NAME)
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        server.terminate()
        server.wait(timeout=20)
        watchdog.dismiss()


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < until:
        assert server.poll() is None, "moto's server ended by itself"
        try:
            urllib.request.urlopen(f"{address}/moto-api/", timeout=2).close()  # noqa: S310 - http on loopback
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError(f"moto's server did not answer within {_STARTS_WITHIN_S} s")
