"""Processes of our own, with capped threads, that never outlive the measurement."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
THREADS = 1
"""Threads per numerical library, a task's default: programs with more thrash when they share the cores."""
_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SAMPLE_S = 0.1
"""How often memory is looked at: the peaks of a retraining last for seconds."""


@dataclass(frozen=True)
class Ended:
    """How a process ended: its output, wall-clock seconds, and the peak memory of it and its children together."""

    output: str
    duration_s: float
    peak_bytes: int


def quiet() -> None:
    """Cap threads and switch off other people's progress bars and telemetry, here and in every child."""
    for name in _POOLS:
        os.environ[name] = str(THREADS)
    os.environ.update(
        GX_ANALYTICS_ENABLED="false",
        DO_NOT_TRACK="1",
        MLFLOW_DISABLE_TELEMETRY="true",
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
        PYTHONWARNINGS="ignore",
    )


def run(arguments: list[str], environment: Mapping[str, str]) -> Ended:
    """Run this Python with arguments to its end; its whole session is ended with us.

    Raises
    ------
    RuntimeError
        When it fails, with the end of what it said.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    peak = _Peak(process.pid)
    peak.start()
    try:
        output, errors = process.communicate()
    finally:
        peak.stop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}: {errors[-2000:]}")
    return Ended(output, time.perf_counter() - started, peak.bytes)


def run_json(arguments: list[str], environment: Mapping[str, str]) -> Any:
    """Run this Python with arguments and return the JSON in the last line of its output."""
    return json.loads(run(arguments, environment).output.strip().splitlines()[-1])


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of an installation of its own."""
    names = ("RETRAINING_STORE", "RETRAINING_LEDGER", "MLFLOW_TRACKING_URI", "RETRAINING_MODELS")
    return {"RETRAINING_HOME": str(home), "AIRFLOW_HOME": str(home / "airflow"), **dict.fromkeys(names, ""), **more}


class _Peak(threading.Thread):
    """Watches the memory of a process and its descendants."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process, self._done, self.bytes = psutil.Process(pid), threading.Event(), 0

    def run(self) -> None:
        while not self._done.wait(_SAMPLE_S):
            self.bytes = max(self.bytes, _resident(self._process))

    def stop(self) -> None:
        self._done.set()
        self.join()


def _resident(process: psutil.Process) -> int:
    total = 0
    try:
        for member in (process, *process.children(recursive=True)):
            total += member.memory_info().rss
    except psutil.NoSuchProcess:
        return total
    return total
