"""Release: refit the promoted recipe through the holdout, check it against its candidate, bind it to the verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from retraining.artifacts import stored
from retraining.artifacts.behaviour import run_cases
from retraining.artifacts.features import FeaturePlan, matrix
from retraining.artifacts.stored import StoredModel, predict
from retraining.data import snapshots
from retraining.errors import DeployRefused, NotEnoughData
from retraining.gate import Policy, release_checklist
from retraining.records import CaseResult, Manifest, Release, Trained, Verdict, digest_of, short
from retraining.rollout.proven import begin
from retraining.spec import FrozenSpec
from retraining.stats.metrics import Array
from retraining.train import Labelled, fit, labelled_rows, make_card, smoke_rows
from retraining.train.flips import flips
from retraining.train.importance import column_importance
from retraining.train.reference import N_REFERENCE_ROWS, reference_rows
from retraining.train.rows import spread
from retraining.workspace import Workspace


def release(
    workspace: Workspace,
    frozen: FrozenSpec,
    trained: Trained,
    verdict: Verdict,
    holdout: Manifest,
    refit: Manifest,
    *,
    against_gate: bool = False,
) -> Release:
    """Make the deployable artifact of a promote verdict; finished work is reused.

    Parameters
    ----------
    against_gate
        A person overrides the gate: its decision does not stop the release.

    Raises
    ------
    DeployRefused
        When the verdict does not allow it, or a fresh process cannot load what was made.
    """
    if (verdict.decision != "promote" and not against_gate) or verdict.dry_run:
        what = "a dry run" if verdict.dry_run else verdict.decision
        raise DeployRefused(f"{frozen.model}: verdict {short(verdict.id)} is {what}; nothing is released.")
    bound = workspace.ledger.release_of(verdict.id)
    if bound is not None:
        return bound
    if trained.artifact_id != verdict.evaluation.candidate_id:
        raise DeployRefused(
            f"{frozen.model}: verdict {short(verdict.id)} is about candidate {short(verdict.evaluation.candidate_id)}, "
            f"not {short(trained.artifact_id)}; nothing is released."
        )
    snapshot = refit if frozen.spec.gate.refit else _training_snapshot(workspace, trained)
    candidate = stored.load(workspace.store, trained.artifact_id)
    plan, classes = candidate.card.plan, candidate.card.classes
    data = labelled_rows(workspace, frozen, snapshot, plan, classes)
    judged = labelled_rows(workspace, frozen, holdout, plan, classes)
    if len(np.unique(data.y)) < len(classes):
        raise NotEnoughData(
            f"{frozen.model}, {snapshot.describe()}: a class that the candidate knows is no longer in the window it is "
            "fitted on again. Use a longer training.window."
        )
    key = digest_of(["release", verdict.id])
    tags = {"stage": "release", "verdict": verdict.id, "snapshot": snapshot.id, "recipe": trained.recipe_id}
    with workspace.registry.run(frozen.model, key, "release", tags) as run:
        pipeline = (
            fit(frozen, trained.estimator, trained.params, plan, data) if frozen.spec.gate.refit else candidate.pipeline
        )
        share = _flip_share(frozen, trained, candidate, pipeline, data)
        identity = _save(workspace, frozen, trained, snapshot, plan, data, judged, pipeline)
        proof = begin(workspace, frozen.model, identity)  # an interpreter's imports take as long as MLflow's writing
        run.params = {"estimator": trained.estimator, "seed": trained.seed, **trained.params}
        run.metrics = {"flip_share": share, "n_rows": len(data.y)}
        run.tags = {"release": identity, "model": frozen.model, "spec": frozen.id}
        example = data.x.head(5)
        run.tags["model_uri"] = workspace.registry.log_model(
            run.id, pipeline, example, predict(pipeline, frozen.spec.training.task, example)
        )
        workspace.registry.log_dataset(run.id, snapshot, f"{frozen.model}-refit")
    served = proof()
    return workspace.ledger.add_release(
        Release(
            id=identity,
            model=frozen.model,
            verdict_id=verdict.id,
            snapshot_id=snapshot.id,
            cutoff=snapshot.window.end,
            run_id=run.id,
            flip_share=share,
            n_rows=len(data.y),
            served=served,
            checklist=release_checklist(
                share, served, _behaviour(frozen, pipeline, candidate, judged), Policy.of(frozen.spec)
            ),
        )
    )


def _behaviour(frozen: FrozenSpec, pipeline: Any, candidate: StoredModel, judged: Labelled) -> tuple[CaseResult, ...]:
    plan, task = candidate.card.plan, candidate.card.task

    def answer(rows: pa.Table) -> Array:
        return predict(pipeline, task, matrix(rows, plan, "behavioural cases"))

    return run_cases(frozen.cases, answer, plan, candidate.card.classes, judged.rows)


def _training_snapshot(workspace: Workspace, trained: Trained) -> Manifest:
    return snapshots.read_manifest(workspace.store, trained.snapshot_id)


def _flip_share(frozen: FrozenSpec, trained: Trained, candidate: StoredModel, pipeline: Any, data: Labelled) -> float:
    """Compare on rows that both were fitted on: on the holdout, which only the refit saw, it would flip by learning."""
    task = frozen.spec.training.task
    shared = np.flatnonzero(data.times < np.datetime64(trained.cutoff.replace(tzinfo=None)))
    rows = data.x.iloc[shared[spread(len(shared), N_REFERENCE_ROWS)]]
    before = predict(candidate.pipeline, task, rows)
    return float(np.mean(flips(task, before, predict(pipeline, task, rows))))


def _save(
    workspace: Workspace,
    frozen: FrozenSpec,
    trained: Trained,
    snapshot: Manifest,
    plan: FeaturePlan,
    data: Labelled,
    judged: Labelled,
    pipeline: Any,
) -> str:
    importance = column_importance(frozen, pipeline, judged)
    card = make_card(frozen, trained.estimator, trained.params, snapshot, data, plan, importance)
    reference = reference_rows(frozen, pipeline, plan, data)
    return stored.save(workspace.store, card, pipeline, smoke_rows(data), reference)
