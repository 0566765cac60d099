"""Distances that we compute for a year of history are those that Evidently reports for a day."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from retraining.artifacts.features import FeaturePlan
from retraining.monitor.drift import distance, method_of

PLAN = FeaturePlan(("x", "constant"), ("k",))


def table(seed: int, n_rows: int) -> pa.Table:
    random = np.random.default_rng(seed)
    x = random.normal(seed % 3, 1 + seed % 2, n_rows)
    return pa.table(
        {
            "x": pa.array(x, mask=random.random(n_rows) < 0.1),
            "constant": pa.array(np.full(n_rows, 3.0) + (random.random(n_rows) if seed else 0)),
            "k": pa.array(random.choice(["a", "b", "c", f"only {seed}"], n_rows)),
        }
    )


def test_distances_equal_evidentlys() -> None:
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(numerical_columns=["x", "constant"], categorical_columns=["k"])
    reference = table(0, 3000)
    for seed in (1, 2):
        current = table(seed, 200)
        sides = [Dataset.from_pandas(t.to_pandas(), data_definition=definition) for t in (current, reference)]
        metrics = [ValueDrift(column=c, method=method_of(PLAN, c), threshold=0.1) for c in PLAN.columns]
        found = Report(metrics).run(*sides).dict()["metrics"]
        theirs = {m["config"]["column"]: m["value"] for m in found}
        for column in PLAN.columns:
            ours = distance(PLAN, column, current.column(column), reference.column(column))
            assert ours == pytest.approx(theirs[column], abs=1e-9), column
