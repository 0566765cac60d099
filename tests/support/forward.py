"""Releases that are worse than the one before them, made on purpose: the gate would not let them in."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

from retraining.artifacts import stored
from retraining.pipeline import score
from retraining.records import Champion
from retraining.workspace import Workspace
from samples.tiny import NAME, day


def turned_round(workspace: Workspace, **changes: Any) -> Champion:
    """Promote a release whose coefficients have the other sign, a model version of its own, and return its entry."""
    ledger, registry, now = workspace.ledger, workspace.registry, workspace.ledger.champion(NAME)
    assert now is not None
    model = stored.load(workspace.store, now.release_id)
    pipeline = copy.deepcopy(model.pipeline)
    pipeline.steps[-1][1].coef_ *= -1
    identity = stored.save(workspace.store, model.card, pipeline, model.smoke, model.reference)
    logged = ledger.releases(NAME)[-1].run_id  # any: only that there is a version of its own matters
    version = registry.register(NAME, identity, logged, registry.model_uri(logged), {})
    kept = {"release_id": identity, "version": version, "verdict_id": None, "kind": "promotion"}
    created = now.created_at + timedelta(minutes=1)
    entry = replace(now, **{"sequence": now.sequence + 1, "created_at": created, **kept, **changes})
    assert ledger.move_champion(entry)
    registry.set_alias(NAME, version)
    ledger.add_alias(NAME, entry.sequence, version)
    return entry


def scored(workspace: Workspace, *days: int) -> None:
    """Score up to some days, one run after the other."""
    for number in days:
        score.run(workspace, workspace.spec(NAME), day(number))
