"""Drift: a column's distance from the champion's training data, and when a distance is unusual for that column.

Numbers: Wasserstein distance over the reference's standard deviation. Categories: Jensen-Shannon distance. Both are
what Evidently computes under these names; computing them directly gives a year of history in a fraction of a second.

One day of weather never looks like a season, so a fixed threshold alarms every day. A column counts as drifted on a
day when its distance is larger than each of its own last `history` daily distances (a permutation-style rank
statement: for exchangeable days its chance is 1 / (history + 1)), and drift is a reason only on k of n days.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from retraining.artifacts.features import FeaturePlan
from retraining.errors import MonitorFailed

NUMERIC_METHOD, CATEGORICAL_METHOD = "wasserstein", "jensenshannon"


def method_of(plan: FeaturePlan, column: str) -> str:
    """Return the distance used for a column, by Evidently's name."""
    return CATEGORICAL_METHOD if column in plan.categorical else NUMERIC_METHOD


def distance(plan: FeaturePlan, column: str, current: pa.ChunkedArray, reference: pa.ChunkedArray) -> float | None:
    """Return a column's distance; None when either side has no values, which is a matter of health, not of drift.

    It may be infinite or not a number where values are: that is for the caller to say aloud.
    """
    current, reference = (comparable(plan, column, side).drop_null() for side in (current, reference))
    if len(current) == 0 or len(reference) == 0:
        return None
    if column in plan.categorical:
        return _jensen_shannon(current.to_pylist(), reference.to_pylist())
    return _wasserstein(current.to_numpy(), reference.to_numpy())


def comparable(plan: FeaturePlan, column: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as the model takes it, numbers or text, whatever its type: a boolean is 0 or 1, a day without a
    single value has no type of its own.

    Raises
    ------
    MonitorFailed
        When a number column holds text.
    """
    try:
        return values.cast(pa.string() if column in plan.categorical else pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise MonitorFailed(
            f"column {column} holds {values.type} values, the champion was trained on numbers. Mend the source, or "
            "retrain with the column under features.categorical."
        ) from error


def _wasserstein(current: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    scale = max(float(np.std(reference)), 0.001)  # Evidently's own floor, for a constant reference
    return float(stats.wasserstein_distance(reference, current) / scale)


def _jensen_shannon(current: list[object], reference: list[object]) -> float:
    names = sorted({*map(str, current), *map(str, reference)})
    index = {name: i for i, name in enumerate(names)}

    def shares(values: list[object]) -> NDArray[np.float64]:
        return np.bincount([index[str(v)] for v in values], minlength=len(names)) / len(values)

    return float(jensenshannon(shares(reference), shares(current)))
