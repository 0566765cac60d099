"""Probation as a whole, look by look, errs as rarely as it says, on weeks whose rows share their day."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import numpy as np
from scipy import stats

from benchmarks.day_effects import BINARY
from benchmarks.gate_forward import simulated
from benchmarks.processes import ROOT
from retraining.gate.probation import TAKEN_BACK_WRONGLY
from retraining.rollout.forward import Met
from retraining.spec import load

FROZEN = load(ROOT / "include" / "models" / "flight_delay.yaml")
N_RUNS = 120


def test_days_are_counted_from_where_the_probation_begins() -> None:
    """Hours from four in the morning on: three whole days touch four dates, and are no four days."""
    hours = np.arange(
        np.datetime64("2024-01-01T04", "us"), np.datetime64("2024-01-04T04", "us"), np.timedelta64(1, "h")
    )
    nothing = np.zeros(len(hours))
    assert Met(nothing, nothing, nothing, nothing, hours, datetime(2024, 1, 1, 4, tzinfo=UTC)).n_days == 3


def test_what_is_sound_is_taken_back_as_rarely_as_stated() -> None:
    counts = Counter(e.outcome for e in simulated(FROZEN, BINARY, 0.0, N_RUNS))
    assert counts["worse"] <= stats.binom.ppf(0.999, N_RUNS, TAKEN_BACK_WRONGLY), "more often, beyond chance"


def test_what_is_worse_by_twice_the_margin_is_taken_back() -> None:
    counts = Counter(e.outcome for e in simulated(FROZEN, BINARY, -2.0, N_RUNS))
    assert counts["worse"] >= stats.binom.ppf(0.001, N_RUNS, 0.8)
    assert counts["held"] <= stats.binom.ppf(0.999, N_RUNS, 0.05)
