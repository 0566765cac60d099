"""The gate as a whole is wrong as rarely as it says, on holdouts whose rows share their day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.day_effects import BINARY, N_DAYS, N_PARTS, Simulator, Week, day_correlation
from benchmarks.gate_error_rates import Counts, Table, by_rule, judged, promoted
from benchmarks.judging import Gate, holdouts_of

N_RUNS = 250
STORMY = replace(BINARY, effects=replace(BINARY.effects, day=0.15, block=0.03))
"""Days differ far more than their parts: who counts rows or 6-hour blocks as independent is wrong several times as
often as stated."""


@pytest.mark.parametrize(("rule", "margins"), [("refresh", -1.0), ("replace", 0.0)])
def test_what_should_not_be_promoted_is_not(rule: str, margins: float) -> None:
    gate, random = Gate.of("flight_delay", alone=True), np.random.default_rng(7)
    shift, blocks = STORMY.shift_for(margins * gate.margin), STORMY.blocks()
    weeks = [holdouts_of(STORMY.draw(random, shift, blocks)[0]) for _ in range(N_RUNS)]
    evaluated = (gate.as_refresh(week[0]) if rule == "refresh" else gate.as_replacement(week) for week in weeks)
    wrong = sum(gate.decision(e) == "promote" for e in evaluated)
    assert wrong <= stats.binom.ppf(0.999, N_RUNS, 0.05), "more often than 5 %, beyond chance"


def test_what_is_clearly_better_is_promoted_whoever_else_is_compared() -> None:
    gate, counts = Gate.of("flight_delay"), Counts()
    random, blocks = np.random.default_rng(7), BINARY.blocks()
    shifts = [BINARY.shift_for(2 * gate.margin), BINARY.shift_for(0.0)]
    for _ in range(50):
        week, anchor = BINARY.draw_each(random, shifts, blocks)
        counts.add(promoted(gate, holdouts_of(week)[0], anchor=anchor.new))
    for rule in ("refresh", "replace"):
        assert counts.promoted[rule] >= stats.binom.ppf(0.001, 50, 0.8)


def test_a_small_table_with_a_rare_target_and_days_alike_is_judged_as_rarely_wrongly() -> None:
    found = judged(Table(7, 500, 0.05, 0.3), N_RUNS, 0)
    for truth, rule in (("worse", "refresh"), ("equal", "replace")):
        assert found[truth].n_runs[rule] == N_RUNS
        assert found[truth].promoted[rule] <= stats.binom.ppf(0.999, N_RUNS, 0.06)


@pytest.mark.parametrize("n_days", [1, 2])
def test_fewer_than_four_days_are_inconclusive_by_both_rules(monkeypatch: pytest.MonkeyPatch, n_days: int) -> None:
    monkeypatch.setattr("benchmarks.gate_error_rates.ROWS", (500, 2_000))
    monkeypatch.setattr("benchmarks.gate_error_rates.N_BY_RULE", 1)
    assert by_rule(n_days, lambda _: None).value == "16 inconclusive"


@pytest.mark.parametrize("n_days", [4, 7, 28])
def test_what_is_computed_quickly_never_leaves_out_what_is_promoted(n_days: int) -> None:
    gate, simulator = Gate.of("flight_delay", n_days, alone=True), BINARY.of_table(n_days, 600, 0.3, 0.0)
    random, blocks, passed = np.random.default_rng(3), simulator.blocks(), 0
    shift = simulator.shift_for(0.03)
    for _ in range(15):
        (week,) = holdouts_of(simulator.draw(random, shift, blocks)[0], n_days)
        gain, reach = gate.quickly([week], gate.alpha())
        refresh, replacement = gate.as_refresh(week), gate.as_replacement([week])
        assert refresh.opponent is not None and refresh.opponent.gain is not None
        assert gain == pytest.approx(refresh.opponent.gain.value)
        assert gain - reach >= refresh.opponent.gain.lower - 1e-12
        for e, bar in ((refresh, -gate.margin), (replacement, 0.0)):
            passed += gate.decision(e) == "promote"
            assert gain - reach > bar or gate.decision(e) != "promote"
    assert passed


@pytest.mark.parametrize(
    ("wrong", "limit", "beyond"), [(0, 0.05, False), (66, 0.05, False), (68, 0.05, True), (68, 0.06, False)]
)
def test_a_case_is_beyond_its_limit_where_chance_does_not_explain_it(wrong: int, limit: float, beyond: bool) -> None:
    counts = Counts()
    for run in range(1_000):
        counts.add({"refresh": run < wrong})
    assert counts.beyond("refresh", limit) is beyond


# --- what is drawn ------------------------------------------------------------------------------------------------


def test_a_drawn_table_has_the_rows_the_positives_and_the_correlation_that_were_asked_for() -> None:
    simulator, random = BINARY.of_table(28, 2_003, 0.05, 0.3), np.random.default_rng(5)
    blocks = simulator.blocks()
    assert len(blocks) == 2_003 and blocks.max() == 4 * 28 - 1
    positives = np.mean([simulator.draw(random, 0.0, blocks)[0].y.mean() for _ in range(300)])
    assert positives == pytest.approx(0.05, abs=0.005)
    days = _days(simulator, random)
    assert np.corrcoef(days[:, 1:].ravel(), days[:, :-1].ravel())[0, 1] == pytest.approx(0.3, abs=0.02)
    assert days.std(axis=0) == pytest.approx(np.ones(28), abs=0.06), "as much on the last day as on the first"


def _days(simulator: Simulator, random: np.random.Generator) -> np.ndarray:
    """Return what moves whole days, from draws in which nothing else moves: the log odds of the outcome by day."""
    only = replace(simulator, like=replace(simulator.like, outcome_day=1.0, outcome_block=0.0))
    return np.array([only._outcome(random)[::4] for _ in range(3_000)])


def test_days_that_resemble_each_other_are_measured_as_they_were_drawn() -> None:
    calm = replace(BINARY.effects, day=0.3, block=0.0, week=0.0)
    random, found = np.random.default_rng(13), {}
    for correlation in (0.0, 0.6):
        simulator = replace(BINARY.of_table(70, 140_000, 0.3, correlation), effects=calm)
        drawn = [simulator.draw(random, 0.0, simulator.blocks())[0] for _ in range(6)]
        found[correlation] = np.mean([day_correlation(_weeks(week), binary=True) for week in drawn])
    assert found[0.0] == pytest.approx(0.0, abs=0.15)
    assert found[0.6] == pytest.approx(0.6, abs=0.15)


def _weeks(drawn: Week) -> list[Week]:
    number = drawn.block // (N_DAYS * N_PARTS)
    rows = [number == n for n in range(number.max() + 1)]
    return [Week(drawn.block[r] % (N_DAYS * N_PARTS), drawn.y[r], drawn.new[r], drawn.old[r]) for r in rows]


def test_the_truth_that_is_stated_is_what_many_rows_show() -> None:
    simulator = replace(BINARY.of_table(7, 60_000, 0.05, 0.3), effects=replace(BINARY.effects, week=0.0))
    random, blocks, gate = np.random.default_rng(11), simulator.blocks(), Gate.of("flight_delay", alone=True)
    shift = simulator.shift_for(-0.025)
    drawn = (simulator.shifted(simulator.draw(random, 0.0, blocks)[0], shift) for _ in range(80))
    gains = [gate.quickly(holdouts_of(week), 0.05)[0] for week in drawn]
    assert np.mean(gains) == pytest.approx(-0.025, abs=4 * np.std(gains) / np.sqrt(80))
    assert np.std(gains) / np.sqrt(80) < 0.0015, "enough rows to tell"
