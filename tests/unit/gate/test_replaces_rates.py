"""The benchmark of replacements, on few runs: what is better passes over eight weeks, what is equal does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import gate_replaces
from benchmarks.day_effects import BINARY
from benchmarks.judging import Gate, holdouts_of
from retraining.evaluation.rolled import compare_recipes


@pytest.mark.parametrize(("gain", "attempts", "least", "most"), [(0.016, 1, 0.5, 1.0), (0.0, 4, 0.0, 0.1)])
def test_a_gain_passes_at_the_first_look_and_an_equal_recipe_in_no_week(
    monkeypatch: pytest.MonkeyPatch, gain: float, attempts: int, least: float, most: float
) -> None:
    monkeypatch.setattr(gate_replaces, "ROWS_A_DAY", 150)
    gate = Gate.of("flight_delay")
    shares: list[str] = []
    gate_replaces.simulated(gate, f"of {gain:g}", gain, attempts, 30, "", shares.append)
    share = float(shares[0].partition(": ")[2].partition("%")[0]) / 100
    assert least <= share <= most, shares


def test_what_is_computed_quickly_never_leaves_out_what_would_pass() -> None:
    gate = Gate.of("flight_delay")
    simulator = replace(BINARY, n_days=14, rows_a_day=80)
    random = np.random.default_rng(1)
    blocks, passed = simulator.blocks(), 0
    for _ in range(15):
        weeks = holdouts_of(simulator.draw(random, simulator.shift_for(0.05), blocks)[0])
        passes = gate_replaces.passes(gate, weeks)
        passed += passes
        assert gate.may_pass(weeks) >= passes
    assert passed


def test_what_competed_twice_is_asked_for_more() -> None:
    """After a collapse each setting competes once more, on what came after it."""
    gate, simulator = Gate.of("flight_delay"), replace(BINARY, n_days=14, rows_a_day=80)
    weeks = holdouts_of(simulator.draw(np.random.default_rng(1), simulator.shift_for(0.05), simulator.blocks())[0])
    once, twice = (compare_recipes(gate.frozen, gate._judged(weeks[-1], None), weeks, 0, tries) for tries in (1, 2))
    assert twice.n_settings == 2 * once.n_settings
    assert once.gain is not None and twice.gain is not None and twice.gain.lower < once.gain.lower
