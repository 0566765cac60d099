"""Preflight: does a fresh process load a release and get the outputs it had when made, and what does that cost?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Self, cast

import numpy as np

from retraining.artifacts import stored
from retraining.errors import DeployRefused
from retraining.records import Served, from_dict, short, to_dict
from retraining.store import Store

TOLERANCE = 1e-9
"""Largest allowed difference to the training-time outputs: the same machine gives the same bits, another processor's
numeric kernels differ in the last few."""
_TIMEOUT_S = 120
"""Importing scikit-learn takes seconds on a busy machine; a model that takes two minutes to load cannot be served."""
_N_REQUESTS, _N_ROUNDS = 50, 3
"""One-row requests per round, of some 15 ms each. The quietest round counts: what else runs on the machine can only add
to the time."""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Preflight:
    """A fresh interpreter: it imports what serving needs while its starter goes on, then checks the release it is told.

    Used as a context: an interpreter that was told nothing ends with it.
    """

    def __init__(self, store: Store) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "retraining.artifacts.preflight", store.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **_ONE_THREAD},
        )
        self._release_id = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, release_id: str) -> None:
        """Tell it the release; it begins at once."""
        self._release_id = release_id
        stdin = cast("IO[str]", self._process.stdin)
        with suppress(BrokenPipeError):  # it has ended already; the answer says why
            stdin.write(f"{release_id}\n")
            stdin.flush()

    def answer(self) -> Served:
        """Wait for what it found.

        Raises
        ------
        DeployRefused
            When the release cannot be loaded there, or its outputs differ.
        """
        name = f"release {short(self._release_id)}"
        try:
            output, errors = self._process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise DeployRefused(
                f"{name}: did not load and score {stored.N_SMOKE_ROWS} rows within {_TIMEOUT_S} s. The champion stays."
            ) from error
        if self._process.returncode != 0:
            text = (errors.strip().splitlines() or ["no message"])[-1]
            raise DeployRefused(f"{name}: preflight failed: {text[:400]} The champion stays.")
        served = from_dict(Served, json.loads(output.strip().splitlines()[-1]))
        require_same(self._release_id, served.difference)
        return served


def preflight(store: Store, release_id: str) -> Served:
    """Load a release in a new process after checking its digest, score its smoke rows, and measure what that costs.

    Raises
    ------
    DeployRefused
        When it cannot be loaded there, or its outputs differ.
    """
    with Preflight(store) as fresh:
        fresh.ask(release_id)
        return fresh.answer()


def require_same(release_id: str, difference: float) -> None:
    """Refuse a release whose outputs differ from those it had when it was made.

    Raises
    ------
    DeployRefused
        When they do, also by what is not a number.
    """
    if not difference <= TOLERANCE:
        raise DeployRefused(
            f"release {short(release_id)}: its outputs differ by {difference:g} from those at training time "
            f"(allowed {TOLERANCE:g}). The champion stays. Was it made in another environment?"
        )


def serve(store: Store, release_id: str) -> Served:
    """Load a release in this process and measure it; `preflight` does so in a fresh one."""
    begun = time.perf_counter()
    files = stored.read_files(store, release_id)
    model = stored.from_files(release_id, files)
    load_s = time.perf_counter() - begun
    difference = stored.compare_with_expected(model, files)
    return Served(
        load_s=load_s,
        latency_ms=min(_latency_ms(model) for _ in range(_N_ROUNDS)),
        memory_mb=_peak_memory_mb(),
        size_mb=sum(map(len, files.values())) / 1e6,
        difference=difference,
    )


def _latency_ms(model: stored.StoredModel) -> float:
    """Return the time within which 95 % of requests for one row are answered."""
    took = []
    for number in range(_N_REQUESTS):
        row = model.smoke.slice(number % model.smoke.num_rows, 1)
        begun = time.perf_counter()
        model.predict(row, "one row")
        took.append(time.perf_counter() - begun)
    return float(np.percentile(took, 95)) * 1e3


def _peak_memory_mb() -> float:
    """Return this program's peak. Linux counts what the process was before it became this program into `ru_maxrss`."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource  # absent on Windows, where nothing is served

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    print(json.dumps(to_dict(serve(Store(sys.argv[1]), sys.stdin.readline().strip()))))
