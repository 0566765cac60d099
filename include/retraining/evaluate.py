"""Evaluate: candidate, champion and a trivial baseline on the same holdout rows, newer than both models' data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from retraining import artifacts, chunks, evidence, ingest, readings
from retraining.artifacts import ModelCard, StoredModel
from retraining.behaviour import run_cases
from retraining.blocks import block_days, block_index, block_length
from retraining.bootstrap import paired_difference
from retraining.calibration import judge_calibration
from retraining.errors import Damaged, NotEnoughData, RetrainingError, TrainingFailed, shown
from retraining.gate.settling import spent_alpha
from retraining.joins import join
from retraining.metrics import Array, Metric, find_metric, resampled
from retraining.records import Champion, Estimate, Evaluation, Snapshot, Trained, Window, digest_of, to_dict
from retraining.slices import judge_slices
from retraining.spec import FrozenSpec
from retraining.train import Labelled, labelled_rows
from retraining.verdicts import finalist
from retraining.verdicts.describe import describe
from retraining.workspace import Workspace


@dataclass(frozen=True)
class _Judged:
    """The three predictions on the holdout rows, and the candidate they are about.

    `incomparable` says why the champion has none.
    """

    model: StoredModel
    data: Labelled
    candidate: Array
    champion: Array | None
    baseline: Array
    blocks: NDArray[np.int64]
    days: NDArray[np.int64] | None
    incomparable: str | None


def choose_rule(frozen: FrozenSpec, estimator: str, champion: StoredModel | None) -> Literal["refresh", "replace"]:
    """A refresh is the same recipe on newer data; anything else must prove that it is better."""
    if frozen.spec.gate.rule != "auto":
        return frozen.spec.gate.rule
    if champion is None:
        return "replace"  # what it was cannot be read
    same = champion.card.learning_id == frozen.learning_id and champion.card.estimator == estimator
    return "refresh" if same else "replace"


def evaluate(
    workspace: Workspace,
    frozen: FrozenSpec,
    trained: Trained,
    holdout: Snapshot | None,
    window: Window,
    as_of: datetime,
    champion: Champion | None,
    refit_id: str,
) -> Evaluation:
    """Judge a candidate; finished work is reused.

    Parameters
    ----------
    holdout
        The snapshot of the holdout window; None when no mature row is newer than the champion's cut-off.
    champion
        The champion that was in office when the run was admitted.
    refit_id
        The snapshot that the recipe will be fitted on again when it is released.

    Raises
    ------
    Damaged
        When the candidate cannot be read back as it was stored. A champion that cannot is recorded as incomparable:
        the gate then refuses, and a person decides.
    """
    sequence = champion.sequence if champion else None
    key = finalist.work_key(trained.artifact_id, sequence, window_id(holdout, window), frozen.id, as_of)
    done = workspace.ledger.finished(Evaluation, frozen.model, "evaluate", key)
    if done is not None:
        return done  # above all with its number of earlier looks: a run that is repeated does not look again
    evaluation = _evaluate(workspace, frozen, trained, holdout, window, as_of, champion, refit_id)
    if evaluation.incomparable is not None:  # recorded, as every evaluation with a verdict must be, but not reused:
        key = finalist.evaluation_key(evaluation)  # a champion that is restored is compared by the next attempt
    workspace.ledger.finish(frozen.model, "evaluate", key, evaluation)
    return evaluation


def window_id(holdout: Snapshot | None, window: Window) -> str:
    """Return the holdout snapshot's id, or for an empty holdout the digest of its window."""
    return holdout.id if holdout else digest_of(["empty holdout", to_dict(window)])


def _evaluate(
    workspace: Workspace,
    frozen: FrozenSpec,
    trained: Trained,
    holdout: Snapshot | None,
    window: Window,
    as_of: datetime,
    champion: Champion | None,
    refit_id: str,
) -> Evaluation:
    looks = workspace.ledger.looks_at(frozen.model, window)
    incumbent, unread = _incumbent(workspace, champion)
    rule = choose_rule(frozen, trained.estimator, incumbent) if champion else "first"
    judged = None if holdout is None else _judge(workspace, frozen, trained, holdout, incumbent)
    leaked = 0 if holdout is None else _leaked_rows(workspace, frozen, holdout, trained, incumbent)
    metric = find_metric(frozen.spec.training.metric, frozen.spec.training.task)
    figures = _figures(frozen, judged, metric, looks)
    evaluation = Evaluation(
        model=frozen.model,
        recipe_id=trained.recipe_id,
        candidate_id=trained.artifact_id,
        champion_release_id=champion.release_id if champion else None,
        champion_sequence=champion.sequence if champion else None,
        champion_as_of=champion.as_of if champion else None,
        champion_cutoff=champion.cutoff if champion else None,
        holdout_id=window_id(holdout, window),
        spec_id=frozen.id,
        window=window,
        as_of=as_of,
        time_ordered=frozen.spec.data.time_ordered,
        rule=rule,
        metric=metric.name,
        greater_is_better=metric.greater_is_better,
        n_rows=len(judged.data.y) if judged else 0,
        n_unlabelled=(holdout.n_rows - len(judged.data.y)) if holdout and judged else 0,
        n_blocks=int(judged.blocks.max()) + 1 if judged and len(judged.blocks) else 0,
        n_classes=_n_classes(frozen, judged),
        looks=looks,
        confidence=frozen.spec.gate.confidence,
        incomparable=unread or (judged.incomparable if judged else None),
        leaked_rows=leaked,
        chosen=trained.why,
        refit_id=refit_id,
        validated=evidence.validated(workspace.ledger, frozen.model, _judged_on(trained, holdout)),
        locked=evidence.locked(workspace.settings.lock),
        **figures,
        **_beyond_the_metric(frozen, judged, metric, looks),
    )
    if judged is not None and figures["candidate"] is not None:
        _show(workspace, frozen, trained, evaluation, judged)
    return evaluation


def baseline_prediction(model: StoredModel, metric: Metric, n_rows: int) -> Array:
    """Return what a model without features would say: the training prior, mean or median."""
    prior = np.asarray(model.card.prior)
    if model.card.task == "regression":
        return np.full(n_rows, prior[1] if metric.name == "mae" else prior[0])
    return np.full(n_rows, prior[1]) if model.card.task == "binary" else np.tile(prior, (n_rows, 1))


def aligned(outputs: Array, card: ModelCard, classes: tuple[Any, ...], where: str) -> Array:
    """Return a champion's probabilities in the candidate's order of classes; a class it never saw has none.

    Raises
    ------
    NotEnoughData
        When a champion of two classes has others than the candidate, so that the two cannot be compared.
    """
    if card.classes == classes:
        return outputs
    if card.task != "multiclass":
        raise NotEnoughData(
            f"{where}: the champion's classes are {shown(card.classes)}, the candidate's {shown(classes)}. Did the "
            "target change its meaning? Give the new target a model of its own."
        )
    index = {name: i for i, name in enumerate(card.classes)}
    known = [outputs[:, index[name]] if name in index else np.zeros(len(outputs)) for name in classes]
    return np.column_stack(known)


def _judge(
    workspace: Workspace, frozen: FrozenSpec, trained: Trained, holdout: Snapshot, incumbent: StoredModel | None
) -> _Judged:
    candidate = artifacts.load(workspace.store, trained.artifact_id)
    if candidate.card.recipe_id != trained.recipe_id:
        raise Damaged(f"{frozen.model}: the stored candidate is of another recipe than the run's. Run again.")
    data = labelled_rows(workspace, frozen, holdout, candidate.card.plan, candidate.card.classes)
    where = f"{frozen.model}, {holdout.describe()}"
    metric = find_metric(frozen.spec.training.metric, frozen.spec.training.task)
    length = block_length(frozen.spec.gate)
    theirs, incomparable = _champion_prediction(incumbent, data, where)
    return _Judged(
        candidate,
        data,
        candidate.predict(data.rows, where),
        theirs,
        baseline_prediction(candidate, metric, len(data.y)),
        block_index(data.times, holdout.window.start, length),
        block_days(data.times, holdout.window.start, length) if frozen.spec.data.time_ordered else None,
        incomparable,
    )


def _incumbent(workspace: Workspace, champion: Champion | None) -> tuple[StoredModel | None, str | None]:
    """Return the champion, or why it cannot be read."""
    if champion is None:
        return None, None
    try:
        return artifacts.load(workspace.store, champion.release_id), None
    except (Damaged, TrainingFailed) as error:
        return None, str(error)


def _champion_prediction(incumbent: StoredModel | None, data: Labelled, where: str) -> tuple[Array | None, str | None]:
    """Return the champion's predictions, or why it has none: another schema, other classes, or no finite numbers."""
    if incumbent is None:
        return None, None
    try:
        return aligned(incumbent.predict(data.rows, where), incumbent.card, data.classes, where), None
    except RetrainingError as error:
        return None, str(error)


def _figures(frozen: FrozenSpec, judged: _Judged | None, metric: Metric, looks: int) -> dict[str, Any]:
    names = ("candidate", "champion", "baseline", "over_baseline", "over_champion")
    empty: dict[str, Any] = dict.fromkeys(names)
    if judged is None or len(judged.data.y) == 0:
        return empty
    y, blocks = judged.data.y, judged.blocks
    whole = np.ones((1, int(blocks.max()) + 1))
    values = {
        name: None if p is None else float(resampled(metric, y, p, blocks, whole)[0])
        for name, p in (("candidate", judged.candidate), ("champion", judged.champion), ("baseline", judged.baseline))
    }
    if values["candidate"] is None or np.isnan(values["candidate"]):
        return empty
    alpha = spent_alpha(1 - frozen.spec.gate.confidence, looks)

    def over(old: Array | None) -> Estimate | None:
        if old is None or whole.shape[1] < 2:
            return None
        seed = frozen.spec.training.seed
        return paired_difference(metric, y, judged.candidate, old, blocks, alpha=alpha, seed=seed, days=judged.days)

    return {**values, "over_baseline": over(judged.baseline), "over_champion": over(judged.champion)}


def _beyond_the_metric(frozen: FrozenSpec, judged: _Judged | None, metric: Metric, looks: int) -> dict[str, Any]:
    """Judge slices, calibration and behaviour on the same rows."""
    empty: dict[str, Any] = {"slices": (), "calibration": None, "cases": ()}
    if judged is None or len(judged.data.y) == 0:
        return empty
    gate, training = frozen.spec.gate, frozen.spec.training
    y, mine, theirs, blocks = judged.data.y, judged.candidate, judged.champion, judged.blocks
    spread: dict[str, Any] = {
        "alpha": spent_alpha(1 - gate.confidence, looks),
        "seed": training.seed,
        "days": judged.days,
    }
    model, rows = judged.model, judged.data.rows
    return {
        "slices": judge_slices(gate, rows, metric, y, mine, theirs, blocks, **spread),
        "calibration": judge_calibration(training.task, metric.name, y, mine, theirs, blocks, **spread),
        "cases": run_cases(
            frozen.cases, lambda t: model.predict(t, "behavioural cases"), model.card.plan, model.card.classes, rows
        ),
    }


def _judged_on(trained: Trained, holdout: Snapshot | None) -> tuple[str, ...]:
    return (trained.snapshot_id, *([holdout.id] if holdout else []))


def _n_classes(frozen: FrozenSpec, judged: _Judged | None) -> int | None:
    if frozen.spec.training.task == "regression":
        return None
    return len(np.unique(judged.data.y)) if judged else 0


def _leaked_rows(
    workspace: Workspace, frozen: FrozenSpec, holdout: Snapshot, trained: Trained, incumbent: StoredModel | None
) -> int:
    """Count holdout rows, by key, that either model was trained on; it must be none."""
    key = frozen.spec.data.keys
    mine = _keys(workspace, holdout, key)
    seen = {trained.snapshot_id, *([incumbent.card.snapshot_id] if incumbent else [])}
    leaked = 0
    for snapshot_id in sorted(seen):
        manifest = ingest.read_manifest(workspace.store, snapshot_id)
        theirs = _keys(workspace, manifest, key)
        leaked += join(mine, theirs, key, "left semi").num_rows
    return leaked


def _keys(workspace: Workspace, snapshot: Snapshot, key: tuple[str, ...]) -> pa.Table:
    there = readings.present(workspace.ledger, snapshot.features)
    tables = []
    for chunk in there:
        table = chunks.read(workspace.store, chunk)
        chunks.require(table, key, f"{snapshot.model}, {snapshot.describe()}, which a model was trained on")
        tables.append(table.select(list(key)))
    return pa.concat_tables(tables, promote_options="permissive")


def _show(workspace: Workspace, frozen: FrozenSpec, trained: Trained, evaluation: Evaluation, judged: _Judged) -> None:
    """Keep the finalist's figures for the page, and log them with the metrics to the candidate's run."""
    metrics = {
        f"holdout_{name}_{evaluation.metric}": number
        for name in ("candidate", "champion", "baseline")
        if (number := getattr(evaluation, name)) is not None
    }
    tags = {"holdout": evaluation.holdout_id, "rule": evaluation.rule}
    made, flipped, pictures = describe(frozen, evaluation, judged.model, judged.data, judged.candidate, judged.champion)
    finalist.keep(workspace.store, evaluation, made, flipped)
    workspace.registry.add_to_run(trained.run_id, metrics, tags)
    workspace.registry.log_files(trained.run_id, {f"plots/{p.name}.png": p.png() for p in pictures})
