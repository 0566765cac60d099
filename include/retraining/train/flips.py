"""Flips: predictions that changed their meaning between two models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retraining.stats.metrics import Array


def flips(task: str, before: Array, after: Array) -> NDArray[np.bool_]:
    """Tell which predictions changed their meaning: another class, or a value moved by half a standard deviation."""
    if task == "regression":
        return np.asarray(np.abs(after - before) > 0.5 * np.std(before))
    if before.ndim == 2:
        return np.asarray(before.argmax(axis=1) != after.argmax(axis=1))
    return np.asarray((before >= 0.5) != (after >= 0.5))
