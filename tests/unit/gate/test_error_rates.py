"""The gate as a whole is wrong as rarely as it says, on weeks whose rows share their day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.day_effects import BINARY
from benchmarks.gate_error_rates import Setting

N_RUNS = 250
STORMY = replace(BINARY, effects=replace(BINARY.effects, day=0.15, block=0.03))
"""Days differ far more than their parts: who counts rows or 6-hour blocks as independent is wrong several times as
often as stated."""


@pytest.mark.parametrize(("rule", "margins"), [("refresh", -1.0), ("replace", 0.0)])
def test_what_should_not_be_promoted_is_not(rule: str, margins: float) -> None:
    setting, random = Setting.of("flight_delay", STORMY), np.random.default_rng(7)
    shift, blocks = STORMY.shift_for(margins * setting.margin), STORMY.blocks()
    promoted = sum(setting.judge(STORMY.draw(random, shift, blocks)[0])[rule] for _ in range(N_RUNS))
    assert promoted <= stats.binom.ppf(0.999, N_RUNS, 0.05), "more often than 5 %, beyond chance"


def test_what_is_clearly_better_is_promoted() -> None:
    setting, random = Setting.of("flight_delay", BINARY), np.random.default_rng(7)
    shift, blocks = BINARY.shift_for(2 * setting.margin), BINARY.blocks()
    judged = [setting.judge(BINARY.draw(random, shift, blocks)[0]) for _ in range(50)]
    for rule in ("refresh", "replace"):
        assert sum(j[rule] for j in judged) >= stats.binom.ppf(0.001, len(judged), 0.8)
