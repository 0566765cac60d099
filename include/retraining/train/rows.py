"""The rows a model learns from: those of a snapshot that have a label."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from retraining.artifacts import stored
from retraining.artifacts.features import FeaturePlan, matrix
from retraining.data import snapshots
from retraining.errors import NotEnoughData, shown
from retraining.records import Manifest, Reach
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace

MIN_ROWS = 200
"""Fewest labelled rows that can be learnt from and cross-validated."""


@dataclass(frozen=True)
class Labelled:
    """Rows with final labels: the feature matrix, `y` as class index or value, and when each row happened."""

    rows: pa.Table
    x: Any
    y: NDArray[np.float64]
    times: NDArray[np.datetime64]
    classes: tuple[Any, ...]


def labelled_rows(
    workspace: Workspace, frozen: FrozenSpec, snapshot: Manifest, plan: FeaturePlan, classes: tuple[Any, ...] | None
) -> Labelled:
    """Load a snapshot's rows that have a label.

    Raises
    ------
    NotEnoughData
        When too large a share of mature rows has no label, or a class is unknown to the model.
    """
    spec, where = frozen.spec, f"{frozen.model}, {snapshot.describe()}"
    rows = snapshots.load(workspace.store, snapshot, spec.data)
    target = rows.column(spec.data.target) if spec.data.target in rows.column_names else pa.nulls(rows.num_rows)
    missing = target.null_count / max(1, rows.num_rows)
    if missing > spec.data.max_unlabelled:
        raise NotEnoughData(
            f"{where}: {missing:.1%} of the mature rows have no label, more than data.max_unlabelled "
            f"({spec.data.max_unlabelled:.1%}). Repair the labels' source, or raise label_delay if they come later."
        )
    rows = rows.filter(target.is_valid())
    raw = rows.column(spec.data.target).to_numpy(zero_copy_only=False)
    known = _classes(raw, spec.training.task, where) if classes is None else classes
    y = encoded(raw, spec.training.task, known, where)
    times = rows.column(spec.data.time).to_numpy().astype("datetime64[us]")
    return Labelled(rows, matrix(rows, plan, where), y, times, known)


def learnt(data: Labelled, reach: Reach, cutoff: datetime) -> Labelled:
    """Return the rows that a recipe learns of those up to a cut-off."""
    begins = reach.begins(cutoff)
    if begins is None:
        return data
    among = data.times >= np.datetime64(begins.replace(tzinfo=None), "us")
    return Labelled(data.rows.filter(pa.array(among)), data.x[among], data.y[among], data.times[among], data.classes)


def require_enough(frozen: FrozenSpec, snapshot: Manifest, data: Labelled) -> None:
    """Refuse a window with too few labelled rows.

    Raises
    ------
    NotEnoughData
        When it has.
    """
    if len(data.y) < MIN_ROWS:
        raise NotEnoughData(
            f"{frozen.model}, {snapshot.describe()}: {len(data.y)} labelled rows; at least {MIN_ROWS} are needed. "
            "Use a longer training.window or wait for labels."
        )


def require_learnable(frozen: FrozenSpec, snapshot: Manifest, data: Labelled) -> None:
    """Refuse what a window of its own left of a candidate's rows.

    Raises
    ------
    NotEnoughData
        When there are too few, or a class is not among them.
    """
    require_enough(frozen, snapshot, data)
    known = set(np.unique(data.y))
    missing = [str(label) for index, label in enumerate(data.classes) if index not in known]
    if missing:
        raise NotEnoughData(
            f"{frozen.model}, {snapshot.describe()}: the rows that the chosen candidate learns have none of class "
            f"{shown(missing)}. Give it a longer window in training.candidates."
        )


def smoke_rows(data: Labelled) -> pa.Table:
    """Return rows spread evenly over the window, to be scored again before each deployment."""
    return data.rows.take(np.linspace(0, data.rows.num_rows - 1, stored.N_SMOKE_ROWS).astype(int))


def _classes(raw: NDArray[Any], task: str, where: str) -> tuple[Any, ...]:
    if task == "regression":
        return ()
    classes = tuple(v.item() if hasattr(v, "item") else v for v in sorted(set(raw.tolist())))
    if len(classes) < 2:
        raise NotEnoughData(
            f"{where}: the target has one class only ({shown(classes)}); nothing can be learnt. "
            "Check data.target, or use a longer training.window."
        )
    if task == "binary" and len(classes) > 2:
        raise NotEnoughData(
            f"{where}: the target has {len(classes)} classes ({shown(classes)}). Set training.task to multiclass."
        )
    return classes


def encoded(raw: NDArray[Any], task: str, classes: tuple[Any, ...], where: str) -> NDArray[np.float64]:
    """Return labels as class indices, or for a regression as numbers.

    Raises
    ------
    NotEnoughData
        When a label is of no class that the model knows, or is no number.
    """
    if task == "regression":
        try:
            return raw.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise NotEnoughData(
                f"{where}: the target holds text; regression needs numbers. Check data.target and training.task."
            ) from error
    index = {c: i for i, c in enumerate(classes)}
    unknown = sorted({str(v) for v in raw.tolist() if v not in index})
    if unknown:
        raise NotEnoughData(f"{where}: the target has classes the model does not know: {shown(unknown)}.")
    return np.array([index[v] for v in raw.tolist()], dtype=np.float64)


def spread(n: int, count: int) -> NDArray[np.int64]:
    """Return up to `count` row numbers spread evenly over n rows."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).astype(np.int64))
