"""Every metric on resampled blocks is scikit-learn's with sample weights, and the bootstrap tells the truth."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from retraining.errors import NotEnoughData, SpecError
from retraining.stats.blocks import block_days, block_index
from retraining.stats.bootstrap import block_weights, paired_difference
from retraining.stats.metrics import METRICS, find_metric, resampled, value

Case = tuple[str, Callable[..., float]]


def _rmse(y: Any, p: Any, sample_weight: Any) -> float:
    return float(reference.root_mean_squared_error(y, p, sample_weight=sample_weight))


BINARY: list[Case] = [
    ("roc_auc", reference.roc_auc_score),
    ("average_precision", reference.average_precision_score),
    ("log_loss", reference.log_loss),
    ("brier", reference.brier_score_loss),
    ("accuracy", lambda y, p, sample_weight: reference.accuracy_score(y, p >= 0.5, sample_weight=sample_weight)),
]
VALUES: list[Case] = [("mae", reference.mean_absolute_error), ("rmse", _rmse)]


def weights_of(n_blocks: int) -> np.ndarray:
    return np.vstack([np.ones(n_blocks), block_weights(n_blocks, seed=1, n_resamples=20)])


@pytest.mark.parametrize(("name", "expected"), BINARY, ids=[name for name, _ in BINARY])
@pytest.mark.parametrize("decimals", [1, 3, 17], ids=["ties", "some ties", "no ties"])
@pytest.mark.parametrize("cells", [2**20, 100], ids=["at once", "in parts"])
def test_binary_metrics_equal_scikit_learns(
    name: str, expected: Callable[..., float], decimals: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retraining.stats.metrics._CELLS", cells)
    random = np.random.default_rng(0)
    p = np.round(random.random(400), decimals)
    y = (random.random(400) < p).astype(float)
    blocks = random.permutation(np.arange(400) % 17)
    weights = weights_of(17)
    found = resampled(METRICS[name], y, p, blocks, weights)
    wanted = [expected(y, p, sample_weight=row[blocks]) for row in weights]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("weight", [0.3, 2.0**24], ids=["parts of rows", "beyond single precision"])
def test_average_precision_is_exact_for_any_weights(weight: float) -> None:
    random = np.random.default_rng(0)
    p, blocks = random.random(400), np.arange(400) % 17
    y, weights = (random.random(400) < p).astype(float), weights_of(17) * weight + weights_of(17)[::-1]
    found = resampled(METRICS["average_precision"], y, p, blocks, weights)
    wanted = [reference.average_precision_score(y, p, sample_weight=row[blocks]) for row in weights]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize(("name", "expected"), VALUES, ids=[name for name, _ in VALUES])
def test_regression_metrics_equal_scikit_learns(name: str, expected: Callable[..., float]) -> None:
    random = np.random.default_rng(0)
    y, p = random.normal(size=(2, 300))
    blocks, weights = np.arange(300) % 11, weights_of(11)
    wanted = [expected(y, p, sample_weight=row[blocks]) for row in weights]
    np.testing.assert_allclose(resampled(METRICS[name], y, p, blocks, weights), wanted, rtol=1e-12)


def test_multiclass_metrics_equal_scikit_learns() -> None:
    random = np.random.default_rng(0)
    p = random.dirichlet([1, 2, 3], 300)
    y = random.integers(0, 3, 300).astype(float)
    blocks, weights = np.arange(300) % 11, weights_of(11)
    for name, expected in (
        ("log_loss", lambda w: reference.log_loss(y, p, sample_weight=w)),
        ("accuracy", lambda w: reference.accuracy_score(y, p.argmax(axis=1), sample_weight=w)),
    ):
        wanted = [expected(row[blocks]) for row in weights]
        np.testing.assert_allclose(resampled(METRICS[name], y, p, blocks, weights), wanted, rtol=1e-12)


def test_one_class_is_undefined_and_said_so() -> None:
    y, p, blocks = np.array([1.0, 1.0, 0.0]), np.array([0.2, 0.3, 0.1]), np.array([0, 0, 1])
    found = resampled(METRICS["roc_auc"], y, p, blocks, np.array([[1.0, 1.0], [2.0, 0.0]]))
    assert found[0] == 1.0
    assert np.isnan(found[1])
    with pytest.raises(NotEnoughData, match="roc_auc is undefined on 2 rows of one class"):
        value(METRICS["roc_auc"], y[:2], p[:2])
    with pytest.raises(NotEnoughData, match="mae needs rows"):
        value(METRICS["mae"], y[:0], p[:0])


def test_a_metric_of_another_task_is_refused() -> None:
    with pytest.raises(SpecError, match="mae does not fit the task binary. Choose one of roc_auc, "):
        find_metric("mae", "binary")


def _compare(seed: int, n_blocks: int = 30, better: float = 0.0) -> Any:
    """Two noisy predictions of the same values; errors of a block have a common part."""
    random = np.random.default_rng(seed)
    blocks = np.repeat(np.arange(n_blocks), 20)
    y = random.normal(size=len(blocks))
    old, new = (y + random.normal(size=n_blocks)[blocks] + random.normal(size=len(y)) for _ in range(2))
    return paired_difference(METRICS["mae"], y, new - better * (new - y), old, blocks, alpha=0.05, seed=0)


def test_the_same_call_gives_the_same_bits() -> None:
    assert _compare(1) == _compare(1)
    assert _compare(1) != _compare(2)
    assert np.array_equal(block_weights(25, 3, 10), block_weights(25, 3, 10))
    assert (block_weights(25, 3, 10).sum(axis=1) == 25).all()


def test_a_difference_is_positive_when_the_new_one_is_better() -> None:
    found = _compare(1, better=0.5)
    assert 0 < found.lower < found.value < found.upper
    assert _compare(1, better=-0.5).upper < 0


def test_blocks_that_share_their_day_give_the_interval_of_days() -> None:
    random = np.random.default_rng(0)
    blocks = np.repeat(np.arange(28), 20)
    days = np.arange(28) // 4
    y = np.zeros(len(blocks))
    shared = 1 + 0.2 * random.normal(size=7)[days[blocks]] + 0.01 * random.normal(size=len(blocks))
    arguments: Any = {"alpha": 0.05, "seed": 0}
    apart = paired_difference(METRICS["mae"], y, y, shared, blocks, **arguments)
    found = paired_difference(METRICS["mae"], y, y, shared, blocks, days=days, **arguments)
    of_days = shared.reshape(7, -1).mean(axis=1)
    error = of_days.std(ddof=1) / np.sqrt(7)  # the jackknife of a mean over equal days
    assert found.standard_error == pytest.approx(error)
    assert found.value - found.lower == pytest.approx(stats.t.ppf(0.95, 6) * error)
    assert found.lower < apart.lower
    one = paired_difference(METRICS["mae"], y, y, shared, blocks, days=np.zeros(28, dtype=np.int64), **arguments)
    assert one == apart, "one day says nothing of other days"


def test_a_day_without_which_there_is_one_class_only_blocks() -> None:
    blocks = np.repeat(np.arange(28), 20)
    y = (blocks == 5).astype(float) * (np.arange(len(blocks)) % 2)
    new, old = np.random.default_rng(0).random((2, len(blocks)))
    found = paired_difference(METRICS["roc_auc"], y, new, old, blocks, alpha=0.05, seed=0, days=np.arange(28) // 4)
    assert np.isnan(found.lower)


def test_blocks_know_their_day() -> None:
    hours = np.array([1, 7, 8, 26, 75], dtype="timedelta64[h]")
    times = np.datetime64("2024-01-01", "us") + hours
    start = datetime(2024, 1, 1, tzinfo=UTC)
    assert block_index(times, start, timedelta(hours=6)).tolist() == [0, 1, 1, 2, 3]
    assert block_days(times, start, timedelta(hours=6)).tolist() == [0, 0, 1, 2]
    assert block_days(times, start, timedelta(hours=5)).tolist() == [0, 0, 1, 2]  # 25 to 30 h begins on day 1
    assert block_days(times, start, timedelta(days=1)) is None


def test_each_bound_is_wrong_about_as_often_as_stated() -> None:
    n = 200
    found = [_compare(seed) for seed in range(n)]
    for wrong in (sum(e.lower > 0 for e in found), sum(e.upper < 0 for e in found)):
        assert wrong <= stats.binom.ppf(0.999, n, 0.05), "more often than 5 %, beyond chance"
        assert wrong >= stats.binom.ppf(0.001, n, 0.05), "hardly ever: the interval is too wide to be of use"
