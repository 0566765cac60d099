"""The stated false-alarm rate holds where its assumption does, and columns without values have no distance."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from retraining.artifacts.features import FeaturePlan
from retraining.errors import MonitorFailed
from retraining.monitor.drift import distance
from retraining.monitor.triggers import false_alarm_rate

PLAN = FeaturePlan(("x", "constant"), ("k",))


def test_no_values_have_no_distance() -> None:
    empty, some = pa.chunked_array([pa.nulls(3, pa.float64())]), pa.chunked_array([[1.0, 2.0]])
    assert distance(PLAN, "x", empty, some) is None
    assert distance(PLAN, "x", some, empty) is None
    assert distance(PLAN, "x", some, some) == 0


def test_a_boolean_has_the_distance_of_its_numbers_and_of_its_text() -> None:
    yes, some = pa.chunked_array([[True, True]]), pa.chunked_array([[True, False, None]])
    assert distance(PLAN, "x", yes, some) == distance(PLAN, "x", pa.chunked_array([[1.0, 1.0]]), some)
    assert distance(PLAN, "k", yes, some) == distance(PLAN, "k", pa.chunked_array([["true"]]), some)
    with pytest.raises(MonitorFailed, match="column x holds string values, the champion was trained on numbers"):
        distance(PLAN, "x", pa.chunked_array([["many"]]), some)


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
