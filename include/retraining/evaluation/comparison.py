"""The figures of a comparison: the metric with its intervals, slices, calibration and behaviour on the same rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from retraining.artifacts.behaviour import run_cases
from retraining.evaluation.holdout import Judged, Scored
from retraining.gate.rivals import MIN_DAYS
from retraining.gate.settling import spent_alpha
from retraining.records import Estimate, Rival
from retraining.spec import FrozenSpec
from retraining.spec.gate import TELLS
from retraining.stats.blocks import count_days
from retraining.stats.bootstrap import paired_difference
from retraining.stats.calibration import judge_calibration
from retraining.stats.metrics import Array, Metric, resampled
from retraining.stats.slices import judge_slices
from retraining.stats.telling import told


class Comparison:
    """Compares the candidate with another model on the same holdout rows, or on some of them."""

    def __init__(self, frozen: FrozenSpec, judged: Judged, metric: Metric, looks: int, among: int = 1) -> None:
        """Spend the error of a look, shared out among so many candidates that were chosen from by the same rows."""
        self._judged, self._metric, self._seed = judged, metric, frozen.spec.training.seed
        self._alpha = spent_alpha(1 - frozen.spec.gate.confidence, looks) / among

    def value(self, predictions: Array, rows: NDArray[np.bool_] | None = None) -> float | None:
        """Return the metric of predictions; None where it is undefined."""
        y, blocks, _ = self._of(rows)
        if len(y) == 0:
            return None
        whole = np.ones((1, int(blocks.max()) + 1))
        found = float(resampled(self._metric, y, _some(predictions, rows), blocks, whole)[0])
        return None if np.isnan(found) else found

    def gain(self, old: Array, rows: NDArray[np.bool_] | None = None, *, new: Array | None = None) -> Estimate | None:
        """Return how much better the candidate, or `new`, is; None where that has no error.

        On less than four distinct days the stated error does not hold. Without one of its days the metric may be
        undefined. What has no error is no comparison.
        """
        y, blocks, days = self._of(rows)
        if len(y) == 0 or int(blocks.max()) == 0 or (days is not None and int(days.max()) + 1 < MIN_DAYS):
            return None
        new, old = _some(self._judged.candidate if new is None else new, rows), _some(old, rows)
        found = paired_difference(self._metric, y, new, old, blocks, alpha=self._alpha, seed=self._seed, days=days)
        return found if np.isfinite(found.standard_error) else None

    def n_days(self, rows: NDArray[np.bool_] | None = None) -> int:
        """Count the distinct days of the rows."""
        return count_days(_some(self._judged.data.times, rows))

    def by_day(self, predictions: Array) -> dict[datetime, float]:
        """Return the metric of each day on which it is defined, oldest first."""
        days = self._judged.data.times.astype("datetime64[D]")
        found = {day: self.value(predictions, np.asarray(days == day)) for day in np.unique(days)}
        return {datetime.fromisoformat(str(day)).replace(tzinfo=UTC): f for day, f in found.items() if f is not None}

    def rival(self, scored: Scored | None, rows: NDArray[np.bool_] | None = None) -> Rival | None:
        """Compare with an earlier champion on the whole holdout, or on some of its rows."""
        if scored is None:
            return None
        entry, theirs = scored.entry, scored.predictions
        return Rival(
            release_id=entry.release_id,
            sequence=entry.sequence,
            cutoff=entry.cutoff,
            n_rows=len(self._judged.data.y) if rows is None else int(rows.sum()),
            n_days=self.n_days(rows),
            candidate=self.value(self._judged.candidate, rows),
            figure=None if theirs is None else self.value(theirs, rows),
            gain=None if theirs is None else self.gain(theirs, rows),
            problem=scored.problem,
            how=scored.how,
        )

    def _of(self, rows: NDArray[np.bool_] | None) -> tuple[Array, NDArray[np.int64], NDArray[np.int64] | None]:
        """Return truth, blocks and the days of blocks of some rows, numbered anew without gaps."""
        judged = self._judged
        if rows is None or bool(rows.all()):
            return judged.data.y, judged.blocks, judged.days
        present, blocks = np.unique(judged.blocks[rows], return_inverse=True)
        days = None if judged.days is None else np.unique(judged.days[present], return_inverse=True)[1]
        return judged.data.y[rows], blocks, days


def figures_of(frozen: FrozenSpec, judged: Judged | None, metric: Metric, looks: int) -> dict[str, Any]:
    """Return the fields of an evaluation that compare models by the metric; None where it is undefined."""
    names = ("candidate", "champion", "baseline", "over_baseline", "over_champion", "opponent", "anchor")
    empty: dict[str, Any] = dict.fromkeys(names)
    if judged is None or len(judged.data.y) == 0:
        return {**empty, "n_days": 0, "n_champion_rows": 0}
    compare = Comparison(frozen, judged, metric, looks)
    n_days = compare.n_days()
    newer = judged.champion_rows
    n_newer = len(judged.data.y) if newer is None else int(newer.sum())
    empty |= {"n_days": n_days, "n_champion_rows": n_newer}
    candidate = compare.value(judged.candidate)
    if candidate is None:
        return empty
    return {
        **empty,
        "candidate": candidate,
        "baseline": compare.value(judged.baseline),
        "over_baseline": compare.gain(judged.baseline),
        **_rivals(judged, compare),
    }


def _rivals(judged: Judged, compare: Comparison) -> dict[str, Any]:
    """Compare with champion, opponent and anchor; who is two of them is compared once."""
    newer = judged.champion_rows
    opponent = compare.rival(judged.opponent, newer if judged.opponent is judged.champion else None)
    anchor = opponent if judged.anchor is judged.opponent else compare.rival(judged.anchor)
    found: dict[str, Any] = {"opponent": opponent, "anchor": anchor}
    if judged.champion is None or judged.champion.predictions is None:
        return found
    if judged.champion is judged.opponent and opponent is not None:
        return {**found, "champion": opponent.figure, "over_champion": opponent.gain}
    theirs = judged.champion.predictions
    return {**found, "champion": compare.value(theirs, newer), "over_champion": compare.gain(theirs, newer)}


def beyond_the_metric(frozen: FrozenSpec, judged: Judged | None, metric: Metric, looks: int) -> dict[str, Any]:
    """Judge slices, calibration and behaviour on the same rows."""
    empty: dict[str, Any] = {"slices": (), "calibration": None, "cases": (), "told": ()}
    if judged is None or len(judged.data.y) == 0:
        return empty
    gate, training = frozen.spec.gate, frozen.spec.training
    theirs = None if judged.reference is None else judged.reference.predictions
    y, mine, blocks = judged.data.y, judged.candidate, judged.blocks
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
        "told": _told(judged, classes=training.task != "regression"),
    }


def _told(judged: Judged, *, classes: bool) -> tuple[tuple[str, float], ...]:
    """Return the features that alone tell the target: what almost determines it was probably known only with it."""
    rows, y = judged.data.rows, pa.chunked_array([judged.data.y])
    shares = ((name, told(rows.column(name), y, classes=classes)) for name in judged.model.card.plan.columns)
    return tuple((name, share) for name, share in shares if share >= TELLS)


def n_classes_of(frozen: FrozenSpec, judged: Judged | None) -> int | None:
    """Return how many classes the holdout has; None for a regression."""
    if frozen.spec.training.task == "regression":
        return None
    return len(np.unique(judged.data.y)) if judged else 0


def _some(values: Any, rows: NDArray[np.bool_] | None) -> Any:
    return values if rows is None else values[rows]
