"""What an inconclusive verdict asks for: newer rows, the time they are there, and the price of looking again."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from retraining.gate import decide
from retraining.gate.settling import settle, spent_alpha
from retraining.records import Estimate
from samples.records import evaluation
from samples.tiny import day
from tests.unit.gate.test_decision import POLICY

WEEK, DAY = timedelta(days=7), timedelta(days=1)
# 1,000 rows in 28 blocks of the week from day 32 to day 39, judged on day 40


@pytest.mark.parametrize(
    ("over", "looks", "holdout", "n_blocks", "n_rows", "as_of"),
    [
        (
            Estimate(0.02, 0.02, -0.02, 0.06, 27),
            0,
            28,
            112,
            4000,
            39 + 28 + 1,
        ),  # half the interval, four times the rows
        (Estimate(0.03, 0.02, -0.03, 0.09, 27), 0, 28, 112, 4000, 39 + 28 + 1),
        (Estimate(0.04, 0.02, -0.01, 0.09, 27), 0, 11, 44, 1563, 39 + 11 + 1),  # 1.5625 weeks, in whole days
        (Estimate(0.02, 0.02, -0.02, 0.06, 27), 1, 13, 49, 1746, 39 + 13 + 1),  # unjudged rows do not pay for the look
        (
            Estimate(0.04, 0.02, -0.001, 0.09, 27),
            4,
            7,
            28,
            1000,
            39 + 7 + 1,
        ),  # never less than the holdout in use
    ],
)
def test_it_names_rows_and_time(
    over: Estimate, looks: int, holdout: int, n_blocks: int, n_rows: int, as_of: int
) -> None:
    found = settle(evaluation(looks=looks), over, 0.0, WEEK, DAY, DAY)
    assert found is not None
    assert (found.holdout, found.n_blocks, found.n_rows) == (timedelta(days=holdout), n_blocks, n_rows)
    assert found.as_of == day(as_of)


@pytest.mark.parametrize(
    "over",
    [
        Estimate(0.0, 0.02, -0.04, 0.04, 27),
        Estimate(-0.01, 0.02, -0.05, 0.03, 27),
        Estimate(1e-9, 0.02, -0.04, 0.04, 27),
        Estimate(float("nan"), float("nan"), float("nan"), float("nan"), 27),
        Estimate(0.01, float("nan"), float("nan"), float("nan"), 27),
    ],
)
def test_without_a_gain_no_number_of_rows_will_do(over: Estimate) -> None:
    assert settle(evaluation(), over, 0.0, WEEK, DAY, DAY) is None


def test_a_verdict_says_it() -> None:
    unsure = evaluation(rule="replace", over_champion=Estimate(0.02, 0.02, -0.02, 0.06, 27))
    said = decide(unsure, POLICY).would_change[-1]
    assert said == (
        "a gain of at least +0.0400 on these rows; or a run as of 2024-03-09 00:00 UTC or later with gate.holdout: "
        "28d: about 4,000 rows in 112 blocks that nobody judged before, if the gain stays"
    )
    timeless = decide(dataclasses.replace(unsure, time_ordered=False), POLICY).would_change[-1]
    assert timeless.endswith("another version of the table, with more rows: it is split anew")
    for gain, why in ((0.0, "the gain itself is too small"), (1e-6, "more than a year")):
        hopeless = dataclasses.replace(unsure, over_champion=Estimate(gain, 0.02, -0.04, 0.04, 27))
        assert why in decide(hopeless, POLICY).would_change[-1]


def test_all_looks_together_spend_the_stated_error() -> None:
    shares = [spent_alpha(0.05, looks) for looks in range(10_000)]
    assert shares == sorted(shares, reverse=True)
    assert 0.04 < sum(shares) < 0.05
