"""Paired block bootstrap: how sure can we be of a difference measured on rows that are not independent?

Rows of one day share weather and workload, so blocks of time are resampled, not rows (Künsch 1989; for whole
clusters Cameron, Gelbach and Miller 2008). The interval is the estimate plus or minus Student's t with
(blocks - 1) degrees of freedom times the bootstrap standard error: with 20 to 40 blocks the plain percentile
interval is too narrow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from retraining.metrics import Array, Metric, resampled
from retraining.records import Estimate

N_RESAMPLES = 2000
"""Keeps the Monte Carlo error of the standard error below 2 % (1 / sqrt(2 * 2000))."""


def block_weights(n_blocks: int, seed: int, n_resamples: int = N_RESAMPLES) -> Array:
    """Return how often each resample draws each block, shape (n_resamples, n_blocks)."""
    random = np.random.default_rng(seed)
    return random.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), n_resamples).astype(float)


def paired_difference(
    metric: Metric,
    y: Array,
    new: Array,
    old: Array,
    blocks: NDArray[np.int64],
    *,
    alpha: float,
    seed: int,
) -> Estimate:
    """Estimate how much better `new` is than `old` on the same rows.

    Parameters
    ----------
    y, new, old
        Truth and the two predictions, row by row.
    blocks
        Block index of each row, from 0 without gaps.
    alpha
        One-sided error; each of the bounds holds with confidence 1 - alpha.
    seed
        Of the resampling: the same call gives the same bits.

    Returns
    -------
    The difference in the metric's unit, positive when `new` is better.
    """
    n_blocks = int(blocks.max()) + 1
    sign = 1.0 if metric.greater_is_better else -1.0
    whole = np.ones((1, n_blocks))
    weights = block_weights(n_blocks, seed)
    difference = sign * (resampled(metric, y, new, blocks, whole) - resampled(metric, y, old, blocks, whole))[0]
    draws = sign * (resampled(metric, y, new, blocks, weights) - resampled(metric, y, old, blocks, weights))
    error = float(np.nanstd(draws, ddof=1))
    reach = float(stats.t.ppf(1 - alpha, n_blocks - 1)) * error
    gain = float(difference) + 0.0  # -0.0, from turning a sign, would be shown as a loss
    return Estimate(gain, error, gain - reach, gain + reach)
