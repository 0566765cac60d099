"""What probabilities promise is what comes true when they are right."""

from __future__ import annotations

import numpy as np
import pytest

from retraining.stats.expected import expected_figure
from retraining.stats.metrics import METRICS, value

RANDOM = np.random.default_rng(0)
P = RANDOM.beta(1, 3, size=40_000)
Y = (RANDOM.random(len(P)) < P).astype(float)


@pytest.mark.parametrize("name", [name for name, m in METRICS.items() if "binary" in m.tasks])
def test_the_promise_is_kept_where_probabilities_are_true(name: str) -> None:
    assert expected_figure(METRICS[name], P) == pytest.approx(value(METRICS[name], Y, P), abs=0.01)


def test_several_classes() -> None:
    p = RANDOM.dirichlet([1, 2, 3], size=20_000)
    y = (RANDOM.random((len(p), 1)) > np.cumsum(p, axis=1)).sum(axis=1).astype(float)
    for name in ("log_loss", "accuracy"):
        assert expected_figure(METRICS[name], p) == pytest.approx(value(METRICS[name], y, p), abs=0.015)


def test_what_promises_nothing() -> None:
    assert expected_figure(METRICS["mae"], P) is None
    assert expected_figure(METRICS["roc_auc"], P[:0]) is None
    assert expected_figure(METRICS["roc_auc"], np.ones(5)) is None, "one class only"
