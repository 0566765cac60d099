"""Columns without values have no distance, and a boolean has that of what it is learnt as."""

from __future__ import annotations

import pyarrow as pa
import pytest

from retraining.artifacts.features import FeaturePlan
from retraining.errors import MonitorFailed
from retraining.monitor.drift import distance

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
