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

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Spread:
    """A gain with the standard errors that it may have, each with its degrees of freedom; the first is by blocks."""

    gain: float
    errors: tuple[tuple[float, int], ...]

    def at(self, alpha: float) -> Estimate:
        """Return the gain with the wider interval, at a one-sided error."""
        (error, degrees), *others = self.errors
        reach = _reach(alpha, error, degrees)
        for other, n in others:
            wider = _reach(alpha, other, n)
            if not wider <= reach:  # also when it is not a number: what cannot be computed must not pass
                error, reach, degrees = other, wider, n
        return Estimate(self.gain, error, self.gain - reach, self.gain + reach, degrees)


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
    alpha
        One-sided error; each of the bounds holds with confidence 1 - alpha.

    Returns
    -------
    The difference in the metric's unit, positive when `new` is better, with the wider of the two intervals. The other
    parameters are those of `paired_spread`.
    """
    return paired_spread(metric, y, new, old, blocks, seed=seed, days=days).at(alpha)


def paired_spread(
    metric: Metric,
    y: Array,
    new: Array,
    old: Array,
    blocks: NDArray[np.int64],
    *,
    seed: int,
    days: NDArray[np.int64] | None = None,
) -> Spread:
    """Return how much better `new` is than `old` on the same rows, for intervals at any error.

    Parameters
    ----------
    y, new, old
        Truth and the two predictions, row by row.
    blocks
        Block index of each row, from 0 without gaps.
    seed
        Of the resampling: the same call gives the same bits.
    days
        Day of each **block**, from 0 without gaps, shape (n_blocks,). None where a block is a day or longer.
    """
    n_blocks = int(blocks.max()) + 1
    weights = np.vstack([np.ones(n_blocks), block_weights(n_blocks, seed), _without_a_day(days, n_blocks)])
    values = resampled(metric, y, new, blocks, weights) - resampled(metric, y, old, blocks, weights)
    differences = values if metric.greater_is_better else -values
    gain = float(differences[0]) + 0.0  # -0.0, from turning a sign, would be shown as a loss
    errors = [(_bootstrap_error(differences[1 : 1 + N_RESAMPLES], n_blocks), n_blocks - 1)]
    left_out = differences[1 + N_RESAMPLES :]
    if len(left_out):
        errors.append((_jackknife_error(left_out), len(left_out) - 1))
    return Spread(gain, tuple(errors))


def _reach(alpha: float, error: float, degrees: int) -> float:
    return float(stats.t.ppf(1 - alpha, degrees)) * error


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
