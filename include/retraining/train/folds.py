"""Time-ordered cross-validation: each fold is predicted from the rows before it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retraining.artifacts.stored import predict
from retraining.errors import NotEnoughData, shown
from retraining.spec import FrozenSpec
from retraining.spec.training import label_text
from retraining.stats.metrics import Array, Metric, value
from retraining.train.fitting import blamed, fit
from retraining.train.job import Job
from retraining.train.rows import Labelled
from retraining.windows import nominal

MIN_FOLD_ROWS = 100
"""Fewest rows before the oldest fold: half of the least, as the folds lie in the younger half."""


Fold = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""Which rows are learnt, and which are predicted then."""


@dataclass(frozen=True)
class OutOfFold:
    """Predictions on rows that were not learnt from, oldest fold first: the rows' numbers, and the metric per fold."""

    params: dict[str, Any]
    folds: tuple[float, ...]
    rows: NDArray[np.int64]
    p: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """The metric, averaged over the folds."""
        return float(np.mean(self.folds))

    def newest(self, among: NDArray[np.bool_]) -> OutOfFold:
        """Return the newest fold alone, whose rows these are."""
        return OutOfFold(self.params, self.folds[-1:], self.rows[among], self.p[among])

    def among(self, metric: Metric, y: Array, some: NDArray[np.bool_]) -> OutOfFold:
        """Return some of the rows as if they were a fold of their own."""
        rows, p = self.rows[some], self.p[some]
        return OutOfFold(self.params, (value(metric, y[rows], p),), rows, p)

    @property
    def standard_error(self) -> float:
        """The standard error of that mean, as if folds were independent."""
        n = len(self.folds)
        return float(np.std(self.folds, ddof=1) / np.sqrt(n)) if n > 1 else 0.0


def cross_validate(job: Job, estimator: str, params: dict[str, Any], window: timedelta | None = None) -> OutOfFold:
    """Predict each fold from the rows before it (rolling origin; Tashman 2000, Out-of-sample tests).

    Parameters
    ----------
    window
        How much of the time before a fold is learnt; all of it without one.

    Raises
    ------
    NotEnoughData
        When the window is too short for the folds, or a class is not there from the beginning.
    TrainingFailed
        When the estimator cannot be fitted or cannot predict.
    """
    return predict_folds(job, estimator, params, _folds(job.frozen, job.data, window))


def predict_folds(job: Job, estimator: str, params: dict[str, Any], folds: Iterable[Fold]) -> OutOfFold:
    """Predict some folds, each from its own past.

    Raises
    ------
    TrainingFailed
        When the estimator cannot be fitted or cannot predict.
    """
    frozen, data = job.frozen, job.data
    task, scores, predictions, rows = frozen.spec.training.task, [], [], []
    for past, fold in folds:
        model = fit(frozen, estimator, params, job.plan, data, past)
        with blamed(frozen.model, estimator, params):
            found = predict(model, task, data.x[fold])
        scores.append(value(job.metric, data.y[fold], found))
        predictions.append(found)
        rows.append(np.flatnonzero(fold))
    return OutOfFold(params, tuple(scores), np.concatenate(rows), np.concatenate(predictions))


def fold_length(frozen: FrozenSpec) -> timedelta:
    """Return how long a fold is: as long as the holdout, for which it stands.

    Rows without a time are in hashed order, so no fold is older than another; shorter ones leave more to learn from.
    """
    spec = frozen.spec
    if not spec.data.time_ordered:
        return timedelta(days=spec.training.window.days // (spec.training.folds + 2))
    return max(spec.gate.holdout, nominal(spec.data.partition))


def newest_fold(frozen: FrozenSpec, data: Labelled, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which of some out-of-fold rows are in the newest fold."""
    end = data.times.max() + np.timedelta64(1, "us")
    return np.asarray(data.times[rows] >= end - np.timedelta64(fold_length(frozen)))


def _folds(frozen: FrozenSpec, data: Labelled, window: timedelta | None) -> list[Fold]:
    """Return each fold's past, as much of it as is learnt, and its rows."""
    spec, length = frozen.spec, fold_length(frozen)
    end = data.times.max() + np.timedelta64(1, "us")
    found = []
    for back in range(spec.training.folds, 0, -1):
        start = end - np.timedelta64(length) * back
        past, fold = data.times < start, (data.times >= start) & (data.times < start + np.timedelta64(length))
        if window is not None:
            past &= data.times >= start - np.timedelta64(window)
        if past.sum() < MIN_FOLD_ROWS or not fold.any():
            raise NotEnoughData(
                f"{frozen.model}: the {'training window' if window is None else 'window of a candidate'} is too short "
                f"for {spec.training.folds} folds of the holdout's length. Use a longer "
                f"{'training.window' if window is None else 'window of the candidate'}, a shorter gate.holdout or "
                "fewer training.folds."
            )
        _require_classes(frozen, data, past, start)
        found.append((past, fold))
    return found


def _require_classes(frozen: FrozenSpec, data: Labelled, past: NDArray[np.bool_], start: np.datetime64) -> None:
    known = set(np.unique(data.y[past]))
    missing = [label_text(label) for index, label in enumerate(data.classes) if index not in known]
    if missing:
        raise NotEnoughData(
            f"{frozen.model}: no row before {start.astype('datetime64[D]')} has class {shown(missing)}, so no fold "
            "after it can be predicted. Use a longer training.window or fewer training.folds."
        )
