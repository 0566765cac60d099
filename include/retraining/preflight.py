"""Preflight: can a fresh process load a release and get the outputs it had when it was made?"""

from __future__ import annotations

import json
import subprocess
import sys

from retraining import artifacts
from retraining.errors import DeployRefused
from retraining.records import short
from retraining.store import Store

TOLERANCE = 1e-9
"""Largest allowed difference to the training-time outputs: the same machine gives the same bits, another processor's
numeric kernels differ in the last few."""
_TIMEOUT_S = 120
"""Importing scikit-learn takes seconds on a busy machine; a model that takes two minutes to load cannot be served."""


def preflight(store: Store, release_id: str) -> float:
    """Load a release in a new process after checking its digest; return the largest difference on its smoke rows.

    Raises
    ------
    DeployRefused
        When it cannot be loaded there, or its outputs differ.
    """
    command = [sys.executable, "-m", "retraining.preflight", store.url, release_id]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise DeployRefused(
            f"release {short(release_id)}: did not load and score {artifacts.N_SMOKE_ROWS} rows within {_TIMEOUT_S} s. "
            "The champion stays."
        ) from error
    if done.returncode != 0:
        text = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DeployRefused(f"release {short(release_id)}: preflight failed: {text[:400]} The champion stays.")
    difference = float(json.loads(done.stdout.strip().splitlines()[-1])["difference"])
    if not difference <= TOLERANCE:
        raise DeployRefused(
            f"release {short(release_id)}: its outputs differ by {difference:g} from those at training time "
            f"(allowed {TOLERANCE:g}). The champion stays. Was it made in another environment?"
        )
    return difference


def _main(url: str, release_id: str) -> None:
    files = artifacts.read_files(Store(url), release_id)
    model = artifacts.from_files(release_id, files)
    print(json.dumps({"difference": artifacts.compare_with_expected(model, files)}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
