"""Paired block bootstrap: how sure can we be of a difference measured on rows that are not independent?

Rows of one hour share weather and workload, so blocks of time are resampled, not rows (Künsch 1989; for whole
clusters Cameron, Gelbach and Miller 2008). The interval is the estimate plus or minus Student's t with
(blocks - 1) degrees of freedom times the bootstrap standard error: with 20 to 40 blocks the plain percentile
interval is too narrow.

Blocks shorter than a day are not independent either: those of one day share the day. So the error is estimated from
whole days as well, and the wider interval stands. A week has seven days; with so few the bootstrap is biased, and the
delete-one-day jackknife with (days - 1) degrees of freedom is the cautious choice (Bell and McCaffrey 2002; MacKinnon,
Nielsen and Webb 2023, "Fast and reliable jackknife and bootstrap methods for cluster-robust inference"). The wider of
two intervals covers at least as often as either.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from retraining.records import Estimate
from retraining.stats.metrics import Array, Metric, resampled

N_RESAMPLES = 1000
"""Keeps the Monte Carlo error of the standard error near 2 % (1 / sqrt(2 * 1000)); with 28 blocks its own is 14 %."""


@lru_cache(maxsize=8)  # a few of at most some MB: baseline, champion and slices are judged with the same draws
def block_weights(n_blocks: int, seed: int, n_resamples: int = N_RESAMPLES) -> Array:
    """Return how often each resample draws each block, shape (n_resamples, n_blocks); read-only."""
    random = np.random.default_rng(seed)
    weights = random.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), n_resamples).astype(float)
    weights.setflags(write=False)
    return weights


def paired_difference(
    metric: Metric,
    y: Array,
    new: Array,
    old: Array,
    blocks: NDArray[np.int64],
    *,
    alpha: float,
    seed: int,
    days: NDArray[np.int64] | None = None,
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
    days
        Day of each **block**, from 0 without gaps, shape (n_blocks,). None where a block is a day or longer.

    Returns
    -------
    The difference in the metric's unit, positive when `new` is better, with the wider of the two intervals.
    """
    n_blocks = int(blocks.max()) + 1
    weights = np.vstack([np.ones(n_blocks), block_weights(n_blocks, seed), _without_a_day(days, n_blocks)])
    values = resampled(metric, y, new, blocks, weights) - resampled(metric, y, old, blocks, weights)
    differences = values if metric.greater_is_better else -values
    gain = float(differences[0]) + 0.0  # -0.0, from turning a sign, would be shown as a loss
    error, degrees = _bootstrap_error(differences[1 : 1 + N_RESAMPLES], n_blocks), n_blocks - 1
    reach = float(stats.t.ppf(1 - alpha, degrees)) * error
    left_out = differences[1 + N_RESAMPLES :]
    if len(left_out):
        error_of_days = _jackknife_error(left_out)
        reach_of_days = float(stats.t.ppf(1 - alpha, len(left_out) - 1)) * error_of_days
        if not reach_of_days <= reach:  # also when it is not a number: what cannot be computed must not pass
            error, reach, degrees = error_of_days, reach_of_days, len(left_out) - 1
    return Estimate(gain, error, gain - reach, gain + reach, degrees)


def _without_a_day(days: NDArray[np.int64] | None, n_blocks: int) -> Array:
    """Return the block weights of all days but one, a row per day; none for one day: it says nothing of others."""
    if days is None or days.max() == 0:
        return np.ones((0, n_blocks))
    return np.asarray(days != np.arange(days.max() + 1)[:, None], dtype=np.float64)


def _bootstrap_error(draws: Array, n_blocks: int) -> float:
    """Return the standard error; n / (n - 1) mends the bias of drawing from n blocks instead of all there could be."""
    if n_blocks < 2:
        return float("inf")  # one block says nothing of its own spread
    return float(np.nanstd(draws, ddof=1) * np.sqrt(n_blocks / (n_blocks - 1)))


def _jackknife_error(left_out: Array) -> float:
    n = len(left_out)
    return float(np.sqrt((n - 1) / n * np.sum((left_out - left_out.mean()) ** 2)))
