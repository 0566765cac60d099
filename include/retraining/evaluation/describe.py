"""Compute what is shown of the finalist: on holdout rows spread evenly, so that a million rows cost what some do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from retraining.artifacts.stored import StoredModel, predict
from retraining.errors import NotEnoughData
from retraining.evaluation import plots
from retraining.evaluation.finalist import Drawing, Finalist, evaluation_key
from retraining.evaluation.plots import Picture, class_name
from retraining.records import Evaluation
from retraining.spec import FrozenSpec
from retraining.spec.data import OUR_FLIPS
from retraining.stats.metrics import Array
from retraining.train import Labelled
from retraining.train.flips import flips
from retraining.train.importance import column_importance
from retraining.train.rows import spread

N_DRAWN = 20_000
"""Rows that are drawn: a curve of so many differs from that of a million by less than a line's width."""
_N_DEPENDENCE_ROWS, _N_GRID = 400, 12
"""Rows and values of partial dependence: the mean of 400 rows is steady enough to see a shape, in about a second."""
N_TOP = 6
"""Columns whose partial dependence is shown: two rows of pictures."""
_MOST_OUTPUTS = 5
"""Classes of a partial dependence whose lines can be told apart."""
N_FLIPS = 8
"""Flipped rows that are shown: examples to think about, not a list to work off."""
_MIN_CATEGORY_ROWS = 5
"""Rows of those a category must have to be shown: a value that hardly anybody has could name a person."""
_MISSING = "(missing)"


def describe(
    frozen: FrozenSpec,
    evaluation: Evaluation,
    model: StoredModel,
    data: Labelled,
    candidate: Array,
    champion: Array | None,
) -> tuple[Finalist, pa.Table | None, list[Picture]]:
    """Return the finalist's figures, its flipped rows (None where there are none) and the pictures they hold.

    Parameters
    ----------
    data, candidate, champion
        The holdout's labelled rows, and both models' predictions of them.
    """
    task, few = model.card.task, spread(len(data.y), N_DRAWN)
    theirs = None if champion is None else champion[few]
    pictures = plots.draw(task, data.y[few], candidate[few], theirs, data.classes)
    importance, notes = _importance(frozen, model, data)
    if not pictures:
        notes.append("No curves: the rows have one class only.")
    flipped = None if champion is None else flips(task, champion, candidate, model.card.prior)
    made = Finalist(
        key=evaluation_key(evaluation),
        model=evaluation.model,
        n_rows=len(data.y),
        n_drawn=len(few),
        drawings=tuple(_drawing(p) for p in pictures),
        importance=importance,
        dependence=_dependence(model, data, [name for name, share in importance[:N_TOP] if share > 0]),
        flip_share=None if flipped is None else float(np.mean(flipped)),
        notes=tuple(notes),
    )
    rows = None
    if flipped is not None and champion is not None and flipped.any():
        rows = _flipped_rows(frozen, data, champion, candidate, flipped)
    return made, rows, pictures


def _drawing(picture: Picture) -> Drawing:
    return Drawing(picture.name, picture.title, picture.alt, picture.svg().decode())


def _importance(
    frozen: FrozenSpec, model: StoredModel, data: Labelled
) -> tuple[tuple[tuple[str, float], ...], list[str]]:
    try:
        shares = column_importance(frozen, model.pipeline, data)
    except NotEnoughData as error:  # the drawn rows have one class
        return (), [f"No importance: {error}"]
    return tuple(sorted(shares.items(), key=lambda pair: -pair[1])), []


# --- partial dependence -------------------------------------------------------------------------------------------


def _dependence(model: StoredModel, data: Labelled, columns: list[str]) -> Drawing | None:
    x = data.x.iloc[spread(len(data.y), _N_DEPENDENCE_ROWS)]
    panels = [p for name in columns if (p := _panel(model, x, name, data.classes)) is not None]
    if not panels:
        return None
    outputs = "mean prediction" if model.card.task == "regression" else "mean probability"
    said = "; ".join(f"{title}: {_range(curves)}" for title, _, curves in panels)
    alt = f"Mean prediction when one column is set to a value for all rows (Friedman 2001). {said}."
    return _drawing(Picture("dependence", "Partial dependence", alt, plots.lines(panels, outputs)))


def _panel(
    model: StoredModel, x: pd.DataFrame, name: str, classes: tuple[Any, ...]
) -> tuple[str, list[Any], list[tuple[str, list[float]]]] | None:
    """Set a column to each value of a grid, for all rows, and predict them at once (Friedman 2001, section 8.2)."""
    grid = _grid(x[name], numeric=name in model.card.plan.numeric)
    if len(grid) < 2:
        return None
    many = x.iloc[np.tile(np.arange(len(x)), len(grid))].copy()
    kind = np.float64 if name in model.card.plan.numeric else object
    many[name] = np.repeat(np.asarray(grid, dtype=kind), len(x))
    found = predict(model.pipeline, model.card.task, many).reshape(len(grid), len(x), -1).mean(axis=1)
    shown = [_MISSING if v is None else v for v in grid]
    return name, shown, [(text, found[:, i].tolist()) for i, text in _outputs(found, classes)]


def _grid(column: pd.Series[Any], *, numeric: bool) -> list[Any]:
    """Return evenly spaced quantiles of numbers, or the most frequent categories, the missing one among them."""
    if numeric:
        known = column.dropna()
        return np.unique(np.quantile(known, np.linspace(0.02, 0.98, _N_GRID))).tolist() if len(known) else []
    counts = column.value_counts(dropna=False)
    counts = counts[counts >= _MIN_CATEGORY_ROWS]
    return [None if pd.isna(v) else v for v in counts.index[:_N_GRID]]


def _outputs(found: Array, classes: tuple[Any, ...]) -> list[tuple[int, str]]:
    """Return which outputs have a line and its name: the class with the greatest changes first."""
    if found.shape[1] == 1:
        return [(0, "")]
    order = np.argsort(-np.ptp(found, axis=0), kind="stable")[:_MOST_OUTPUTS]
    return [(int(i), class_name(classes[i])) for i in np.sort(order)]


def _range(curves: list[tuple[str, list[float]]]) -> str:
    return ", ".join(f"{name} {min(ys):.3g} to {max(ys):.3g}".strip() for name, ys in curves)


# --- flipped rows -------------------------------------------------------------------------------------------------


def _flipped_rows(
    frozen: FrozenSpec, data: Labelled, before: Array, after: Array, flipped: NDArray[np.bool_]
) -> pa.Table:
    """Return the flipped rows whose prediction moved most, with their key."""
    moved = np.abs(after - before)
    size = np.where(flipped, moved if moved.ndim == 1 else moved.max(axis=1), -1.0)
    most = np.argsort(-size, kind="stable")[: min(N_FLIPS, int(flipped.sum()))]
    said = dict(
        zip(
            OUR_FLIPS,
            (_shown(before[most], data.classes), _shown(after[most], data.classes), _truths(data, most)),
            strict=True,
        )
    )
    rows = data.rows.take(most).select(list(frozen.spec.data.keys))
    for name, texts in said.items():
        rows = rows.append_column(name, pa.array(texts, pa.string()))
    return rows


def _shown(outputs: Array, classes: tuple[Any, ...]) -> list[str]:
    if not classes:
        return [f"{v:.5g}" for v in outputs]
    if outputs.ndim == 2:
        best = outputs.argmax(axis=1)
        return [f"{class_name(classes[i])} ({row[i]:.1%})" for i, row in zip(best, outputs, strict=True)]
    return [f"{class_name(classes[int(v >= 0.5)])} ({v:.1%} for {class_name(classes[1])})" for v in outputs]


def _truths(data: Labelled, rows: NDArray[np.int64]) -> list[str]:
    if not data.classes:
        return [f"{v:.5g}" for v in data.y[rows]]
    return [class_name(data.classes[int(v)]) for v in data.y[rows]]
