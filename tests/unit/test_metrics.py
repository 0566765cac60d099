"""Every metric on resampled blocks is scikit-learn's with sample weights, and the bootstrap tells the truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from retraining.bootstrap import block_weights, paired_difference
from retraining.errors import NotEnoughData, SpecError
from retraining.metrics import METRICS, find_metric, resampled, value

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
@pytest.mark.parametrize("ties", [False, True])
def test_binary_metrics_equal_scikit_learns(name: str, expected: Callable[..., float], ties: bool) -> None:
    random = np.random.default_rng(0)
    p = random.random(400)
    p = np.round(p, 1) if ties else p
    y = (random.random(400) < p).astype(float)
    blocks = random.permutation(np.arange(400) % 17)
    weights = weights_of(17)
    found = resampled(METRICS[name], y, p, blocks, weights)
    wanted = [expected(y, p, sample_weight=row[blocks]) for row in weights]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


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


def test_each_bound_is_wrong_about_as_often_as_stated() -> None:
    n = 200
    found = [_compare(seed) for seed in range(n)]
    for wrong in (sum(e.lower > 0 for e in found), sum(e.upper < 0 for e in found)):
        assert wrong <= stats.binom.ppf(0.999, n, 0.05), "more often than 5 %, beyond chance"
        assert wrong >= stats.binom.ppf(0.001, n, 0.05), "hardly ever: the interval is too wide to be of use"
