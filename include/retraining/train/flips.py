"""Flips: predictions that changed their meaning between two models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retraining.stats.metrics import Array


def flips(task: str, before: Array, after: Array, prior: Sequence[float]) -> NDArray[np.bool_]:
    """Tell which predictions changed their meaning: another class, or a value moved by half a standard deviation.

    Of two classes a row is called where its probability reaches a threshold, the one at which `before` calls as many
    rows as there are positives. At one half nothing that is rare would ever be called, and nothing would ever flip.

    Parameters
    ----------
    prior
        Share of each class in the training rows, as a model's card has it.
    """
    if task == "regression":
        return np.asarray(np.abs(after - before) > 0.5 * np.std(before))
    if before.ndim == 2:
        return np.asarray(before.argmax(axis=1) != after.argmax(axis=1))
    threshold = np.quantile(before, 1 - prior[1])
    return np.asarray((before >= threshold) != (after >= threshold))


def flip_share(task: str, before: Array, after: Array, prior: Sequence[float]) -> float:
    """Return the share of predictions that flip, of those that can, 0 to 1.

    Two models that each call 5 % of the rows can differ on 10 % of them at the most; so of two classes the share is of
    twice the rarer one. It is then the share of called rows that are others, or are called no longer.
    """
    found = float(np.mean(flips(task, before, after, prior)))
    if task == "regression" or before.ndim == 2:
        return found
    return min(1.0, found / (2 * min(prior)))
