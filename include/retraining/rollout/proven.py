"""Proofs that a fresh process loads a release: the release's own preflight, told to the deployment that follows it.

Release and deployment are minutes apart, mostly on one machine, and a new interpreter takes as long as a fit. What it
showed still holds while nothing it depends on is another: the bytes (the release's id is their digest, and they are
compared with it once more), the installed environment and the machine. Later, or elsewhere, a new one is started.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from retraining.artifacts import stored
from retraining.artifacts.environment import environment_id
from retraining.artifacts.preflight import Preflight, require_same
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


class Prover:
    """A fresh process that loads and measures a release while this one goes on; what it shows is noted.

    It is started before the release is there: its imports take as long as a fit, and run beside it.
    """

    def __init__(self, workspace: Workspace, model: str) -> None:
        self._workspace, self._model, self._release_id = workspace, model, ""
        self._fresh = Preflight(workspace.store)

    def __enter__(self) -> Self:
        self._fresh.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._fresh.__exit__(*error)

    def begin(self, release_id: str) -> None:
        """Have it load the release, which is stored by now."""
        self._release_id = release_id
        self._fresh.ask(release_id)

    def end(self) -> Served:
        """Wait for it, and note that it succeeded, and where.

        Raises
        ------
        DeployRefused
            When the release cannot be loaded there, or its outputs differ.
        """
        served = self._fresh.answer()
        proof = Proof(self._release_id, environment_id(), platform.node(), datetime.now(UTC))
        key = digest_of([proof.release_id, proof.at.isoformat(), proof.host])
        self._workspace.ledger.finish(self._model, STAGE, key, proof)
        return served


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
