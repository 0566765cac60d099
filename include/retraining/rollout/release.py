"""Release: refit the promoted recipe through the holdout, check it against its candidate, bind it to the verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sklearn.pipeline import Pipeline

from retraining.artifacts import stored
from retraining.artifacts.behaviour import run_cases
from retraining.artifacts.features import matrix
from retraining.artifacts.stored import StoredModel, predict
from retraining.data import snapshots
from retraining.errors import DeployRefused, NotEnoughData
from retraining.gate import Policy, release_checklist
from retraining.records import CaseResult, Manifest, Release, Trained, Verdict, digest_of, short
from retraining.rollout.proven import Prover
from retraining.spec import FrozenSpec
from retraining.stats.metrics import Array
from retraining.train import Labelled, fit, labelled_rows, learnt, make_card, smoke_rows
from retraining.train.flips import flip_share
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
    material = _material(workspace, frozen, trained, holdout, refit)
    with Prover(workspace, frozen.model) as prover:
        made = _make(workspace, frozen, trained, verdict, material, prover)
        behaviour = _behaviour(frozen, made.pipeline, material)
        served = prover.end()
    return workspace.ledger.add_release(
        Release(
            id=made.id,
            model=frozen.model,
            verdict_id=verdict.id,
            snapshot_id=material.snapshot.id,
            cutoff=material.snapshot.window.end,
            run_id=made.run_id,
            flip_share=made.flip_share,
            n_rows=len(material.data.y),
            served=served,
            checklist=release_checklist(made.flip_share, served, behaviour, Policy.of(frozen.spec)),
        )
    )


@dataclass(frozen=True)
class _Material:
    """What a release is made of: the candidate, the rows that it is fitted on again, and those it was judged on."""

    candidate: StoredModel
    snapshot: Manifest
    data: Labelled
    judged: Labelled


@dataclass(frozen=True)
class _Made:
    """What was made: the stored artifact's id, its MLflow run, and how it differs from its candidate."""

    id: str
    run_id: str
    pipeline: Pipeline
    flip_share: float


def _material(
    workspace: Workspace, frozen: FrozenSpec, trained: Trained, holdout: Manifest, refit: Manifest
) -> _Material:
    candidate = stored.load(workspace.store, trained.artifact_id)
    plan, classes = candidate.card.plan, candidate.card.classes
    snapshot = refit if frozen.spec.gate.refit else snapshots.read_manifest(workspace.store, trained.snapshot_id)
    data = learnt(labelled_rows(workspace, frozen, snapshot, plan, classes), trained.reach, snapshot.window.end)
    judged = labelled_rows(workspace, frozen, holdout, plan, classes)
    if len(np.unique(data.y)) < len(classes):
        raise NotEnoughData(
            f"{frozen.model}, {snapshot.describe()}: a class that the candidate knows is no longer in the window it is "
            "fitted on again. Use a longer training.window."
        )
    return _Material(candidate, snapshot, data, judged)


def _make(
    workspace: Workspace, frozen: FrozenSpec, trained: Trained, verdict: Verdict, material: _Material, prover: Prover
) -> _Made:
    candidate, snapshot, data = material.candidate, material.snapshot, material.data
    key = digest_of(["release", verdict.id])
    tags = {"stage": "release", "verdict": verdict.id, "snapshot": snapshot.id, "recipe": trained.recipe_id}
    with workspace.registry.run(frozen.model, key, "release", tags) as run:
        pipeline = candidate.pipeline
        if frozen.spec.gate.refit:
            pipeline = fit(frozen, trained.estimator, trained.params, candidate.card.plan, data)
        share = _flip_share(frozen, trained, material, pipeline)
        identity = _save(workspace, frozen, trained, material, pipeline)
        prover.begin(identity)
        run.params = {"estimator": trained.estimator, "seed": trained.seed, **trained.params}
        run.metrics = {"flip_share": share, "n_rows": len(data.y)}
        run.tags = {"release": identity, "model": frozen.model, "spec": frozen.id}
        example = data.x.head(5)
        run.tags["model_uri"] = workspace.registry.log_model(
            run.id, pipeline, example, predict(pipeline, frozen.spec.training.task, example)
        )
        workspace.registry.log_dataset(run.id, snapshot, f"{frozen.model}-refit")
    return _Made(identity, run.id, pipeline, share)


def _behaviour(frozen: FrozenSpec, pipeline: Pipeline, material: _Material) -> tuple[CaseResult, ...]:
    candidate = material.candidate
    plan, task = candidate.card.plan, candidate.card.task

    def answer(rows: pa.Table) -> Array:
        return predict(pipeline, task, matrix(rows, plan, "behavioural cases"))

    return run_cases(frozen.cases, answer, plan, candidate.card.classes, material.judged.rows)


def _flip_share(frozen: FrozenSpec, trained: Trained, material: _Material, pipeline: Pipeline) -> float:
    """Compare on rows that both were fitted on: on the holdout, which only the refit saw, it would flip by learning."""
    task, data = frozen.spec.training.task, material.data
    shared = np.flatnonzero(data.times < np.datetime64(trained.cutoff.replace(tzinfo=None)))
    rows = data.x.iloc[shared[spread(len(shared), N_REFERENCE_ROWS)]]
    before = predict(material.candidate.pipeline, task, rows)
    return flip_share(task, before, predict(pipeline, task, rows), material.candidate.card.prior)


def _save(workspace: Workspace, frozen: FrozenSpec, trained: Trained, material: _Material, pipeline: Pipeline) -> str:
    plan, data = material.candidate.card.plan, material.data
    importance = column_importance(frozen, pipeline, material.judged)
    card = make_card(
        frozen, trained.estimator, trained.params, material.snapshot, data, plan, importance, trained.reach
    )
    reference = reference_rows(frozen, pipeline, plan, data)
    return stored.save(workspace.store, card, pipeline, smoke_rows(data), reference)
