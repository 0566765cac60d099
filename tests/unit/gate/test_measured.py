"""What is said of a verdict's error is what was simulated, and nothing is said of other tables."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import gate_error_rates
from retraining.gate import measured
from retraining.gate.measured import where_it_holds
from retraining.gate.rivals import MIN_DAYS
from samples.records import evaluation


def test_the_benchmark_simulates_what_is_said_to_be_simulated() -> None:
    decided = [n for n in gate_error_rates.DAYS if n >= MIN_DAYS]
    assert (min(decided), max(decided)) == measured.DAYS
    assert (min(gate_error_rates.ROWS), max(gate_error_rates.ROWS)) == measured.ROWS
    assert sorted(gate_error_rates.POSITIVES) == sorted(measured.POSITIVES)


def test_a_verdict_like_the_simulated_ones_says_how_often_it_is_wrong() -> None:
    said = where_it_holds(evaluation())
    assert said is not None
    assert said.startswith(
        "at most about 5% wrong promotions, 7% where days resemble each other: simulated for roc_auc"
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"metric": "average_precision"}, "average_precision"),
        ({"n_days": 60}, "60 days"),
        ({"n_rows": 120}, "120 rows"),
        ({"n_rows": 90_000}, "90,000 rows"),
        ({"confidence": 0.8}, "a confidence of 80%"),
        ({"time_ordered": False, "n_days": 1}, "rows without a time"),
        ({"n_rows": 120, "n_days": 60}, "60 days, 120 rows"),
    ],
)
def test_of_other_tables_it_says_that_nothing_was_measured(changes: dict[str, Any], text: str) -> None:
    said = where_it_holds(evaluation(**changes))
    assert said is not None
    assert said.startswith(f"how often such a verdict is wrong was not simulated for {text} (docs/")


@pytest.mark.parametrize("changes", [{"opponent": None, "over_champion": None}, {"n_days": None}])
def test_where_nothing_was_compared_nothing_is_said(changes: dict[str, Any]) -> None:
    assert where_it_holds(evaluation(**changes)) is None
