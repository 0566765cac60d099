"""Over how many holdouts a gain of a replacement would be shown: foresight for `check` and `new`, not a decision.

The error of a paired difference in ROC AUC is taken to be as on the flights: a part per day, per 6-hour block and per
row (the nested analysis of variance in `benchmarks.day_effects`), the last one larger the rarer the outcome is. How
much the days of another table differ is known only once two models were compared on it.
"""

from __future__ import annotations

import math
from statistics import NormalDist

_PER_DAY, _PER_BLOCK, _PER_ROW = 0.0002083, 0.000903, 0.04687
_BLOCKS_A_DAY = 4
_OUTCOME = 0.2408
"""The share of late flights, at which the part per row was measured."""
_FEWEST_DAYS = 4
GAIN, POWER = 0.02, 0.8
"""A gain worth asking about, and how sure one wants to be that it is seen."""
MOST_HOLDOUTS = 52


def error_of(n_days: float, n_rows: float, outcome: float) -> float:
    """Return the standard error of a paired difference in ROC AUC over some days and rows.

    >>> round(error_of(7, 6349, 0.2408), 4)  # a week of the flights
    0.0083
    """
    rare = _OUTCOME * (1 - _OUTCOME) / (outcome * (1 - outcome))
    return math.sqrt(_PER_DAY / n_days + _PER_BLOCK / (_BLOCKS_A_DAY * n_days) + _PER_ROW * rare / n_rows)


def holdouts_needed(gain: float, days: float, rows: float, outcome: float, alpha: float) -> int | None:
    """Return over how many holdouts a gain in ROC AUC passes with `POWER`; None where a year of weeks would not do.

    Parameters
    ----------
    days, rows
        Of one holdout.
    outcome
        Share of the rarer class, 0 to 1.
    alpha
        One-sided error that the first look may spend.
    """
    for count in range(1, MOST_HOLDOUTS + 1):
        n_days = count * days
        if n_days < _FEWEST_DAYS:
            continue
        reach = _quantile(1 - alpha, n_days - 1) + _quantile(POWER, n_days - 1)
        if gain >= reach * error_of(n_days, count * rows, outcome):
            return count
    return None


def _quantile(probability: float, degrees: float) -> float:
    """Return a quantile of Student's t by its expansion (Abramowitz and Stegun 1964, 26.7.5): without scipy."""
    z = NormalDist().inv_cdf(probability)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / degrees + second / degrees**2
