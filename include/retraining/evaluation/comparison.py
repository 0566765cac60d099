"""The figures of a comparison: the metric with its intervals, slices, calibration and behaviour on the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from retraining.artifacts.behaviour import run_cases
from retraining.evaluation.holdout import Judged
from retraining.gate.settling import spent_alpha
from retraining.records import Estimate
from retraining.spec import FrozenSpec
from retraining.stats.bootstrap import paired_difference
from retraining.stats.calibration import judge_calibration
from retraining.stats.metrics import Array, Metric, resampled
from retraining.stats.slices import judge_slices


def figures_of(frozen: FrozenSpec, judged: Judged | None, metric: Metric, looks: int) -> dict[str, Any]:
    """Return the fields of an evaluation that compare the three models by the metric; None where it is undefined."""
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
        found = paired_difference(metric, y, judged.candidate, old, blocks, alpha=alpha, seed=seed, days=judged.days)
        # without one of its days the metric may be undefined: what has no error is no comparison
        return found if np.isfinite(found.standard_error) else None

    return {**values, "over_baseline": over(judged.baseline), "over_champion": over(judged.champion)}


def beyond_the_metric(frozen: FrozenSpec, judged: Judged | None, metric: Metric, looks: int) -> dict[str, Any]:
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


def n_classes_of(frozen: FrozenSpec, judged: Judged | None) -> int | None:
    """Return how many classes the holdout has; None for a regression."""
    if frozen.spec.training.task == "regression":
        return None
    return len(np.unique(judged.data.y)) if judged else 0
