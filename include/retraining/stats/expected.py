"""What a model's own probabilities promise: the metric it would have if each of them were true.

Rows differ in how hard they are, and the same model ranks a quiet week worse than a stormy one. Its probabilities know
most of that, so a figure less its promise is steadier from week to week than the figure. Source: Guillory et al. 2021,
Predicting with Confidence on Unseen Distributions (difference of confidences); for rank metrics, the pair form of the
area under the ROC curve (Hanley and McNeil 1982) with probabilities in place of labels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from retraining.stats.metrics import Array, Metric


def expected_figure(metric: Metric, p: Array) -> float | None:
    """Return the metric that probabilities promise of themselves; None where predictions are no probabilities.

    Parameters
    ----------
    p
        Probabilities of the second class, shape (n,), or one column per class, shape (n, n_classes).

    >>> from retraining.stats.metrics import METRICS
    >>> expected_figure(METRICS["roc_auc"], np.array([0.5, 0.5])), expected_figure(METRICS["accuracy"], np.array([0.9]))
    (0.5, 0.9)
    """
    if "binary" not in metric.tasks or metric.resample is not None or len(p) == 0:
        return None
    if metric.per_row is not None:
        return _of_rows(metric, metric.per_row, p)
    found = _area(p) if metric.name == "roc_auc" else _average_precision(p)
    return found if np.isfinite(found) else None


def _of_rows(metric: Metric, per_row: Callable[[Array, Array], Array], p: Array) -> float:
    """Return the mean over rows of the loss of each class times its probability."""
    shares = p if p.ndim == 2 else np.column_stack([1 - p, p])
    losses = [per_row(np.full(len(p), float(index)), p) for index in range(shares.shape[1])]
    mean = np.mean(np.sum(shares * np.column_stack(losses), axis=1))
    return float(metric.finish(np.asarray(mean)))


def _area(p: Array) -> float:
    """Return the chance that of two rows the one with the higher score is the positive one; equal scores count half."""
    scores, place = np.unique(p, return_inverse=True)
    hits, misses = (np.bincount(place, weights, len(scores)) for weights in (p, 1 - p))
    below = np.cumsum(misses) - misses / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(hits @ below / (hits.sum() * misses.sum()))


def _average_precision(p: Array) -> float:
    ranked = np.sort(p)[::-1]
    precision = np.cumsum(ranked) / np.arange(1, len(p) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(ranked @ precision / ranked.sum())
