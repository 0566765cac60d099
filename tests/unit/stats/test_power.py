"""Foresight of a replacement: more holdouts for a smaller gain, fewer rows, a rarer outcome, less error to spend."""

from __future__ import annotations

import pytest
from scipy import stats

from retraining.gate.foresight import foresight
from retraining.spec import Spec
from retraining.stats.power import _quantile, error_of, holdouts_needed
from samples.tiny import SPEC, merged

USUAL = {"gain": 0.02, "days": 7.0, "rows": 1000.0, "outcome": 0.24, "alpha": 0.0177}


def needed(**changes: float) -> int:
    found = holdouts_needed(**{**USUAL, **changes})
    return 99 if found is None else found


def test_what_is_harder_to_see_takes_longer() -> None:
    usual = needed()
    assert needed(gain=0.01) > usual > needed(gain=0.04)
    assert needed(rows=200) > usual >= needed(rows=10_000)
    assert needed(outcome=0.03) > usual
    assert needed(alpha=0.001) > usual
    assert needed(days=1) > usual >= needed(days=28)
    assert holdouts_needed(**{**USUAL, "gain": 0.001}) is None


def test_fewer_than_four_days_are_never_enough() -> None:
    assert needed(gain=1.0, days=1) == 4


def test_more_rows_cannot_take_the_days_away() -> None:
    assert error_of(7, 1e12, 0.24) > 0.007


@pytest.mark.parametrize("degrees", [6, 20, 55])
@pytest.mark.parametrize("probability", [0.8, 0.95, 0.9823])
def test_the_quantile_is_students(probability: float, degrees: int) -> None:
    assert _quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=0.01)


def test_it_says_where_there_is_no_room_and_where_nothing_is_known() -> None:
    spec = Spec.model_validate(SPEC)
    assert foresight(spec, 200, 0.25).startswith("a replacement is judged over 3 holdouts of 7d; with 200 rows each")
    assert "more than there is room for" in foresight(spec, 200, 0.25)
    assert "would not be shown by a year of them" in foresight(spec, 20, 0.02)
    error = Spec.model_validate(merged(SPEC, {"training": {"task": "regression", "candidates": None}}))
    assert foresight(error, 200, 0.25) == "a replacement is judged over 3 holdouts of 7d"
