"""Reference rows: the training rows kept with a release, which drift is measured against."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from retraining.artifacts.features import FeaturePlan
from retraining.artifacts.outputs import PREDICTION
from retraining.artifacts.stored import predict
from retraining.spec import FrozenSpec
from retraining.train.rows import Labelled, spread

N_REFERENCE_ROWS = 20_000
"""Training rows kept with a release as the drift reference, spread evenly over its window: enough that sampling
noise in a distance (about 1 / sqrt(rows)) is far below that of one day of rows."""


def reference_rows(frozen: FrozenSpec, pipeline: Any, plan: FeaturePlan, data: Labelled) -> pa.Table:
    """Return the rows that drift is measured against, with the model's own predictions as scoring publishes them."""
    few = spread(len(data.y), N_REFERENCE_ROWS)
    rows = data.rows.take(few).select([frozen.spec.data.time, *plan.columns])
    outputs = predict(pipeline, frozen.spec.training.task, data.x.iloc[few])
    names = np.asarray([str(c) for c in data.classes])
    return rows.append_column(PREDICTION, pa.array(outputs if outputs.ndim == 1 else names[outputs.argmax(axis=1)]))
