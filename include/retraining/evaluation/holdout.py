"""The holdout: candidate, earlier champions and a trivial baseline on the same rows, which the candidate never saw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
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
class Scored:
    """An earlier champion's predictions on the holdout rows, or why it has none.

    `how` says how they were made, where not by the champion as it is and for all rows.
    """

    entry: Champion
    model: StoredModel | None
    predictions: Array | None
    problem: str | None = None
    how: str = ""


@dataclass(frozen=True)
class Judged:
    """The predictions on the holdout rows, and the candidate they are about.

    `champion` counts only on `champion_rows`, those newer than its cut-off; None means all of them. `opponent` learnt
    less than the candidate, `anchor` is further back. `blocks` and `days` are as `paired_difference` takes them.
    """

    model: StoredModel
    data: Labelled
    candidate: Array
    baseline: Array
    blocks: NDArray[np.int64]
    days: NDArray[np.int64] | None
    champion: Scored | None = None
    champion_rows: NDArray[np.bool_] | None = None
    opponent: Scored | None = None
    anchor: Scored | None = None

    @property
    def reference(self) -> Scored | None:
        """Whom slices, calibration and pictures compare with: the opponent, else a champion that saw none of the rows.

        Without either there is nobody to lose to.
        """
        unseen = self.champion_rows is None or bool(self.champion_rows.all())
        if self.opponent is not None and self.opponent.predictions is not None and self.opponent is not self.champion:
            return self.opponent
        return self.champion if unseen else None


def judge(workspace: Workspace, frozen: FrozenSpec, trained: Trained, holdout: Snapshot) -> Judged:
    """Score the holdout with candidate and baseline.

    Raises
    ------
    Damaged
        When the stored candidate is not the run's.
    """
    candidate = stored.load(workspace.store, trained.artifact_id)
    if candidate.card.recipe_id != trained.recipe_id:
        raise Damaged(f"{frozen.model}: the stored candidate is of another recipe than the run's. Run again.")
    data = labelled_rows(workspace, frozen, holdout, candidate.card.plan, candidate.card.classes)
    metric = find_metric(frozen.spec.training.metric, frozen.spec.training.task)
    length = block_length(frozen.spec.gate)
    return Judged(
        candidate,
        data,
        candidate.predict(data.rows, f"{frozen.model}, {holdout.describe()}"),
        baseline_prediction(candidate, metric, len(data.y)),
        block_index(data.times, holdout.window.start, length),
        block_days(data.times, holdout.window.start, length) if frozen.spec.data.time_ordered else None,
    )


def score(workspace: Workspace, entry: Champion, data: Labelled, where: str) -> Scored:
    """Return an earlier champion's predictions, or why it has none.

    It may have been freed or altered, have other columns or classes, or give no finite numbers.
    """
    try:
        model = stored.load(workspace.store, entry.release_id)
    except (Damaged, TrainingFailed) as error:
        return Scored(entry, None, None, str(error))
    try:
        return Scored(entry, model, aligned(model.predict(data.rows, where), model.card, data.classes, where))
    except RetrainingError as error:
        return Scored(entry, model, None, str(error))


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
    workspace: Workspace, frozen: FrozenSpec, holdout: Snapshot, snapshot_ids: Iterable[str], since: datetime | None
) -> int:
    """Count holdout rows, by key, that are in snapshots models were trained on; it must be none.

    Parameters
    ----------
    since
        Only the holdout's partitions from this time on; None means all of them.
    """
    key = frozen.spec.data.keys
    rows = replace(holdout, features=tuple(c for c in holdout.features if since is None or c.start >= since))
    trained_on = [snapshots.read_manifest(workspace.store, identity) for identity in sorted(set(snapshot_ids))]
    if not (rows.features and trained_on):
        return 0
    mine = keys_of(workspace, frozen.model, [rows], key)
    theirs = keys_of(workspace, frozen.model, trained_on, key)
    return int(join(mine, theirs, key, "left semi").num_rows)


def keys_of(workspace: Workspace, model: str, manifests: Iterable[Manifest], key: tuple[str, ...]) -> pa.Table:
    """Return the keys of snapshots' rows; windows overlap, and a chunk that several share is read once."""
    found = {c.id: (c, m) for m in manifests for c in readings.present(workspace.ledger, m.features)}
    try:
        tables = chunks.read_many(workspace.store, [chunk for chunk, _ in found.values()], key)
    except KeyError:
        for chunk, manifest in found.values():
            where = f"{model}, {manifest.describe()}, which a model was trained on"
            chunks.require(chunks.read(workspace.store, chunk), key, where)
        raise
    return pa.concat_tables(tables, promote_options="permissive")
