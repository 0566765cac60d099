"""The benchmark of tables without a time, on few and short ones: later versions pass as the first one does."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.gate_no_time import Gate, chain, gate_of, one_fifth, spec_without_time

pytestmark = pytest.mark.slow
_N_TABLES, _N_LOOKS = 12, 10


@pytest.fixture(scope="module")
def gate() -> Gate:
    return gate_of(spec_without_time(), n_fits=5)


def test_equal_refreshes_pass_as_often_later_and_what_is_worse_does_not(gate: Gate) -> None:
    found = np.array([list(chain(gate, np.random.default_rng(n), _N_LOOKS)) for n in range(_N_TABLES)])
    half = _N_LOOKS // 2
    early, late = found[:, :half, 0].mean(), found[:, half:, 0].mean()
    assert early > 0.5 and late > early - 0.2, (early, late)  # three standard errors of 60 looks each
    assert found[:, :, 1].mean() <= 0.1, found[:, :, 1].mean()


def test_on_one_fifth_of_all_versions_they_did_not(gate: Gate) -> None:
    first, late = (np.mean([one_fifth(gate, np.random.default_rng(n), look) for n in range(30)]) for look in (1, 50))
    assert late < first - 0.2, (first, late)
