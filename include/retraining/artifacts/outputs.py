"""What a model's outputs are called wherever they are kept: published, logged, compared, or stored with a release."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from retraining.artifacts.stored import StoredModel
from retraining.stats.metrics import Array

PREDICTION = "prediction"
"""The column of a prediction: a number, or the likeliest class."""


def outputs_of(model: StoredModel, rows: pa.Table) -> Array:
    """Return outputs as the model gave them, from the columns that it published: the inverse of what follows."""
    if model.card.task != "multiclass":
        return np.asarray(rows.column(PREDICTION).to_numpy(), dtype=np.float64)
    return np.column_stack([rows.column(f"{PREDICTION}_{name}").to_numpy() for name in model.card.classes])


def prediction_columns(model: StoredModel, outputs: Array) -> dict[str, pa.Array]:
    """Return the columns a prediction is published as: one number, or one per class and the likeliest class."""
    if outputs.ndim == 1:
        return {PREDICTION: pa.array(outputs)}
    classes = [str(c) for c in model.card.classes]
    found = {f"{PREDICTION}_{name}": pa.array(outputs[:, i]) for i, name in enumerate(classes)}
    return {PREDICTION: pa.array(np.asarray(classes)[outputs.argmax(axis=1)]), **found}
