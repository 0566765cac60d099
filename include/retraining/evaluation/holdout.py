"""The holdout: candidate, champion and a trivial baseline on the same rows, which neither model was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from retraining.artifacts import stored
from retraining.artifacts.stored import ModelCard, StoredModel
from retraining.data import chunks, readings, snapshots
from retraining.data.joins import join
from retraining.errors import Damaged, NotEnoughData, RetrainingError, TrainingFailed, shown
from retraining.records import Champion, Manifest, Snapshot, Trained
from retraining.spec import FrozenSpec
from retraining.stats.blocks import block_days, block_index, block_length
from retraining.stats.metrics import Array, Metric, find_metric
from retraining.train import Labelled, labelled_rows
from retraining.workspace import Workspace


@dataclass(frozen=True)
class Judged:
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


def judge(
    workspace: Workspace, frozen: FrozenSpec, trained: Trained, holdout: Snapshot, incumbent: StoredModel | None
) -> Judged:
    """Score the holdout with candidate, champion and baseline.

    Raises
    ------
    Damaged
        When the stored candidate is not the run's.
    """
    candidate = stored.load(workspace.store, trained.artifact_id)
    if candidate.card.recipe_id != trained.recipe_id:
        raise Damaged(f"{frozen.model}: the stored candidate is of another recipe than the run's. Run again.")
    data = labelled_rows(workspace, frozen, holdout, candidate.card.plan, candidate.card.classes)
    where = f"{frozen.model}, {holdout.describe()}"
    metric = find_metric(frozen.spec.training.metric, frozen.spec.training.task)
    length = block_length(frozen.spec.gate)
    theirs, incomparable = _champion_prediction(incumbent, data, where)
    return Judged(
        candidate,
        data,
        candidate.predict(data.rows, where),
        theirs,
        baseline_prediction(candidate, metric, len(data.y)),
        block_index(data.times, holdout.window.start, length),
        block_days(data.times, holdout.window.start, length) if frozen.spec.data.time_ordered else None,
        incomparable,
    )


def incumbent_of(workspace: Workspace, champion: Champion | None) -> tuple[StoredModel | None, str | None]:
    """Return the champion, or why it cannot be read."""
    if champion is None:
        return None, None
    try:
        return stored.load(workspace.store, champion.release_id), None
    except (Damaged, TrainingFailed) as error:
        return None, str(error)


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


def leaked_rows(
    workspace: Workspace, frozen: FrozenSpec, holdout: Snapshot, trained: Trained, incumbent: StoredModel | None
) -> int:
    """Count holdout rows, by key, that either model was trained on; it must be none."""
    key = frozen.spec.data.keys
    mine = _keys(workspace, frozen.model, holdout, key)
    seen = {trained.snapshot_id, *([incumbent.card.snapshot_id] if incumbent else [])}
    leaked = 0
    for snapshot_id in sorted(seen):
        manifest = snapshots.read_manifest(workspace.store, snapshot_id)
        theirs = _keys(workspace, frozen.model, manifest, key)
        leaked += join(mine, theirs, key, "left semi").num_rows
    return leaked


def _champion_prediction(incumbent: StoredModel | None, data: Labelled, where: str) -> tuple[Array | None, str | None]:
    """Return the champion's predictions, or why it has none: another schema, other classes, or no finite numbers."""
    if incumbent is None:
        return None, None
    try:
        return aligned(incumbent.predict(data.rows, where), incumbent.card, data.classes, where), None
    except RetrainingError as error:
        return None, str(error)


def _keys(workspace: Workspace, model: str, snapshot: Manifest, key: tuple[str, ...]) -> pa.Table:
    there = readings.present(workspace.ledger, snapshot.features)
    try:
        tables = chunks.read_many(workspace.store, there, key)
    except KeyError:
        where = f"{model}, {snapshot.describe()}, which a model was trained on"
        for chunk in there:
            chunks.require(chunks.read(workspace.store, chunk), key, where)
        raise
    return pa.concat_tables(tables, promote_options="permissive")
