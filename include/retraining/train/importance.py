"""Importance: what each column contributes to the metric, by shuffling it."""

from __future__ import annotations

from typing import Any

import numpy as np

from retraining.artifacts.stored import predict
from retraining.spec import FrozenSpec
from retraining.stats.metrics import Array, Metric, find_metric, value
from retraining.train.rows import Labelled, spread

_N_IMPORTANCE_ROWS = 4_000
"""Rows for permutation importance: it only has to tell columns that matter from those that do not."""


def importance_of(pipeline: Any, task: str, metric: Metric, x: Any, y: Array, seed: int) -> dict[str, float]:
    """Return each column's share of the total permutation importance (Breiman 2001, Random Forests, section 10).

    The loss in the metric when one column is shuffled; losses below zero count as none. Shares sum to 1, or are all
    equal when no column matters alone.
    """
    random = np.random.default_rng(seed)
    sign = 1.0 if metric.greater_is_better else -1.0
    base = sign * value(metric, y, predict(pipeline, task, x))
    losses = {}
    for name in x.columns:
        shuffled = x.copy()
        shuffled[name] = x[name].to_numpy()[random.permutation(len(x))]
        losses[name] = max(0.0, base - sign * value(metric, y, predict(pipeline, task, shuffled)))
    total = sum(losses.values())
    return {name: loss / total if total else 1 / len(losses) for name, loss in losses.items()}


def column_importance(frozen: FrozenSpec, pipeline: Any, judged: Labelled) -> dict[str, float]:
    """Return each column's share of importance by the spec's metric, on rows spread evenly over those given."""
    training = frozen.spec.training
    metric = find_metric(training.metric, training.task)
    few = spread(len(judged.y), _N_IMPORTANCE_ROWS)
    return importance_of(pipeline, training.task, metric, judged.x.iloc[few], judged.y[few], training.seed)
