"""Proofs that a fresh process loads a release: the release's own preflight, told to the deployment that follows it.

Release and deployment are minutes apart, mostly on one machine, and a new interpreter takes as long as a fit. What it
showed still holds while nothing it depends on is another: the bytes (the release's id is their digest, and they are
compared with it once more), the installed environment and the machine. Later, or elsewhere, a new one is started.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from retraining.artifacts import stored
from retraining.artifacts.environment import environment_id
from retraining.artifacts.preflight import preflight, require_same
from retraining.artifacts.stored import StoredModel
from retraining.errors import Damaged, DeployRefused
from retraining.records import Served, digest_of, short
from retraining.workspace import Workspace

STAGE: Final = "preflight"
LASTS = timedelta(minutes=15)
"""A deployment follows its release within seconds, or within some minutes where workers are busy. What waited longer
waited for a person, and the machine may have changed since."""


@dataclass(frozen=True)
class Proof:
    """That a fresh process loaded a release here; `at` is the wall clock's, for it is about this machine, not a run."""

    release_id: str
    environment_id: str
    host: str
    at: datetime


def begin(workspace: Workspace, model: str, release_id: str) -> Callable[[], Served]:
    """Have a fresh process load and measure a release while this one goes on; return what waits for it and notes it.

    What is returned raises `DeployRefused` when the release cannot be loaded there, or its outputs differ.
    """
    pool = ThreadPoolExecutor(1)
    found = pool.submit(preflight, workspace.store, release_id)
    pool.shutdown(wait=False)

    def end() -> Served:
        served = found.result()
        proof = Proof(release_id, environment_id(), platform.node(), datetime.now(UTC))
        workspace.ledger.finish(model, STAGE, digest_of([release_id, proof.at.isoformat(), proof.host]), proof)
        return served

    return end


def is_proven(workspace: Workspace, model: str, release_id: str) -> bool:
    """Tell whether a fresh process loaded these bytes in this environment, on this machine, and lately."""
    proof = workspace.ledger.newest(Proof, model, STAGE)
    return (
        proof is not None
        and (proof.release_id, proof.environment_id, proof.host) == (release_id, environment_id(), platform.node())
        and timedelta(0) <= datetime.now(UTC) - proof.at <= LASTS
    )


def load_same(workspace: Workspace, release_id: str) -> StoredModel:
    """Return a release as it is stored now: its digests, its types and its outputs are those of when it was made.

    Raises
    ------
    DeployRefused
        When they are not.
    """
    try:
        files = stored.read_files(workspace.store, release_id)
    except Damaged as error:
        raise DeployRefused(f"release {short(release_id)}: preflight failed: {error} The champion stays.") from error
    model = stored.from_files(release_id, files)
    require_same(release_id, stored.compare_with_expected(model, files))
    return model
