"""Distances equal Evidently's, and the stated false-alarm rate holds where its assumption does."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from retraining.drift import distance, false_alarm_rate, method_of
from retraining.features import FeaturePlan

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


def test_no_values_have_no_distance() -> None:
    empty, some = pa.chunked_array([pa.nulls(3, pa.float64())]), pa.chunked_array([[1.0, 2.0]])
    assert distance(PLAN, "x", empty, some) is None
    assert distance(PLAN, "x", some, empty) is None
    assert distance(PLAN, "x", some, some) == 0


def test_exchangeable_days_alarm_as_rarely_as_stated() -> None:
    """A column is out when its score exceeds its last `history` ones; for exchangeable days whatever their law."""
    history, k, n, n_columns, n_days = 20, 2, 3, 4, 6000
    scores = np.random.default_rng(0).lognormal(size=(n_days, n_columns))
    windows = np.lib.stride_tricks.sliding_window_view(scores[:-1], history, axis=0).max(axis=-1)
    out = scores[history:] > windows
    assert out.mean() == pytest.approx(1 / (history + 1), rel=0.1)
    recent = np.lib.stride_tricks.sliding_window_view(out, n, axis=0).sum(axis=-1)
    alarms = (recent >= k).any(axis=1).mean()
    stated = false_alarm_rate(history, k, n, n_columns)
    assert 0.5 * stated < alarms < 1.15 * stated


def test_more_days_asked_for_mean_fewer_alarms() -> None:
    assert false_alarm_rate(90, 3, 3, 14) < false_alarm_rate(90, 2, 3, 14) < false_alarm_rate(90, 1, 3, 14)
    assert false_alarm_rate(20, 1, 14, 500) == 1.0
