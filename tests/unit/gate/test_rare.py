"""Of a target that is rarely true, probabilities of the wrong size, rank or none at all do not get through."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from retraining.gate import decide
from retraining.gate.policy import MAX_FLIPS
from retraining.stats.bootstrap import paired_difference
from retraining.stats.calibration import judge_calibration
from retraining.stats.metrics import Array, find_metric
from retraining.train.flips import flip_share, flips
from samples.records import evaluation, rival
from tests.unit.gate.test_decision import POLICY

N, RATE = 4000, 0.05
PRIOR = (1 - RATE, RATE)
RANDOM = np.random.default_rng(7)
P = RANDOM.beta(0.5, 9.5, N)
Y = (RANDOM.random(N) < P).astype(float)
BLOCKS = np.arange(N) * 28 // N
DAYS = np.arange(28) // 4
SPOILT: dict[str, Callable[[Array], Array]] = {
    "doubled": lambda p: np.minimum(2 * p, 1),
    "a tenth": lambda p: p / 10,
    "constant": lambda p: np.full(len(p), p.mean()),
    "permuted": lambda p: np.random.default_rng(1).permutation(p),
}


def decision(candidate: Array) -> str:
    """Return what the gate says of predictions against sound ones: by rank, calibration and baseline."""
    how = {"alpha": 0.05, "seed": 0, "days": DAYS}
    metric = find_metric("roc_auc", "binary")
    over = paired_difference(metric, Y, candidate, np.full(N, Y.mean()), BLOCKS, **how)
    gain = paired_difference(metric, Y, candidate, P, BLOCKS, **how)
    found = evaluation(
        over_baseline=over,
        over_champion=gain,
        opponent=rival(gain=gain),
        calibration=judge_calibration("binary", "roc_auc", Y, candidate, P, BLOCKS, **how),
    )
    return decide(found, POLICY).decision


def test_sound_predictions_pass() -> None:
    assert decision(P) == "promote"
    assert decision(P * RANDOM.normal(1, 0.02, N)) == "promote"


@pytest.mark.parametrize("how", SPOILT)
def test_the_gate_refuses(how: str) -> None:
    assert decision(SPOILT[how](P)) in ("reject", "inconclusive")


@pytest.mark.parametrize("how", SPOILT)
def test_so_does_the_limit_on_flips(how: str) -> None:
    assert flip_share("binary", P, SPOILT[how](P), PRIOR) > MAX_FLIPS["binary"]


def test_flips_are_counted_where_as_many_rows_are_called_as_there_are_positives() -> None:
    assert not flips("binary", P, P, PRIOR).any()
    nudged = P + RANDOM.normal(0, 0.002, N)
    assert 0 < flip_share("binary", P, nudged, PRIOR) < 0.1
    assert (P < 0.5).mean() > 0.99, "at one half hardly anything is called, and nothing would ever flip"
    assert flip_share("binary", P, 1 - P, PRIOR) == 1
    halves = RANDOM.random(N)
    moved = np.where(np.arange(N) % 10 == 0, 1 - halves, halves)
    assert flip_share("binary", halves, moved, (0.5, 0.5)) == pytest.approx(0.1, abs=0.01), "of halves, of all rows"
