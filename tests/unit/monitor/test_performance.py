"""When realised performance has fallen: a real fall is seen, noise is not."""

from __future__ import annotations

import numpy as np
import pytest

from retraining.monitor.performance import MIN_DAYS, Series, fallen


def series(*values: float, greater: bool = True) -> Series:
    return Series("roc_auc", values, greater)


def test_a_clear_fall_is_worse() -> None:
    found = fallen(series(*[0.70, 0.71, 0.69, 0.70, 0.71], *[0.60, 0.61, 0.59, 0.60, 0.61]), 5, 0.02, 0.95)
    assert found is not None
    assert found.worse
    assert (found.current, found.reference) == (pytest.approx(0.602), pytest.approx(0.702))
    assert found.lower < -0.1 < found.upper < 0
    assert (found.n_days, found.n_reference_days) == (5, 5)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ([0.70, 0.71, 0.69, 0.70, 0.71], [0.70, 0.70, 0.71, 0.70, 0.69], "nothing changed"),
        ([0.70, 0.71, 0.69, 0.70, 0.71], [0.80, 0.81, 0.79, 0.80, 0.81], "it rose"),
        ([0.70, 0.71, 0.69, 0.70, 0.71], [0.69, 0.70, 0.68, 0.69, 0.70], "real, but smaller than the margin"),
        ([0.5, 0.9, 0.7, 0.6, 0.8], [0.4, 0.85, 0.6, 0.5, 0.75], "larger than the margin, but noise"),
    ],
)
def test_anything_less_is_not(before: list[float], after: list[float], why: str) -> None:
    found = fallen(series(*before, *after), 5, 0.02, 0.95)
    assert found is not None
    assert not found.worse, why


def test_a_loss_that_rises_is_worse() -> None:
    rising = [10.0, 11, 9, 10, 11, 20, 21, 19, 20, 21]
    found = fallen(series(*rising, greater=False), 5, 2, 0.95)
    assert found is not None
    assert found.worse
    as_gain = fallen(series(*rising), 5, 2, 0.95)
    assert as_gain is not None
    assert not as_gain.worse


def test_too_few_days_are_no_comparison() -> None:
    values = [0.7] * (2 * MIN_DAYS - 1)
    assert fallen(series(*values), MIN_DAYS, 0.02, 0.95) is None
    assert fallen(series(*values), MIN_DAYS - 1, 0.02, 0.95) is None
    assert fallen(series(), 0, 0.02, 0.95) is None


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf"), 1e308])
def test_what_is_no_number_neither_holds_nor_falls(wrong: float) -> None:
    with np.errstate(all="ignore"):
        assert fallen(series(*[0.7] * 5, *[0.7] * 4, wrong), 5, 0.02, 0.95) is None
        assert fallen(series(wrong, *[0.7] * 4, *[0.7] * 5, greater=False), 5, 0.02, 0.95) is None


def test_days_without_any_spread() -> None:
    fell = fallen(series(*[0.7] * 5, *[0.6] * 5), 5, 0.02, 0.95)
    held = fallen(series(*[0.7] * 10), 5, 0.02, 0.95)
    assert fell is not None
    assert held is not None
    assert (fell.worse, held.worse) == (True, False)


def test_noise_alone_seldom_looks_like_a_fall() -> None:
    random = np.random.default_rng(0)
    found = [fallen(series(*random.normal(0.7, 0.07, 42)), 28, 0.0, 0.95) for _ in range(400)]
    share = np.mean([f is not None and f.worse for f in found])
    assert 0.01 < share < 0.09, "one-sided 5 %"
