"""Levels of looks at a growing sample: what each may claim, so that all of them together err as often as is stated."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from retraining.stats.metrics import Array

_POINTS = 801
_FAR = 8.0
"""Standard deviations beyond which a normal density is nothing."""


def levels(shares: Sequence[float], spends: Sequence[float]) -> list[float]:
    """Return the one-sided level of each look: it is passed for the first time there as often as the look may spend.

    Looks at the same rows and more are alike, so that adding up their levels (Bonferroni) overstates how often any of
    them errs. Under no difference the sum of what was seen is a Brownian motion in the share that was seen; the density
    of the paths that passed no bound so far is carried from look to look on a grid (Armitage, McPherson and Rowe 1969,
    "Repeated significance tests on accumulating data"). With an estimated error the level is used with Student's t of
    the look's own degrees of freedom, the "significance level approach" of Jennison and Turnbull 2000, "Group
    sequential methods", section 3.8; `benchmarks gate_forward` shows what comes of it on a week of seven days.

    Parameters
    ----------
    shares
        What each look has seen of everything, rising, above 0 to 1.
    spends
        The part of the error that each look may spend, at least 0.

    >>> [round(level, 4) for level in levels([0.5, 1.0], [0.01, 0.01])]
    [0.01, 0.0132]
    """
    found: list[float] = []
    seen, grid, mass = 0.0, np.zeros(1), np.ones(1)
    for share, spend in zip(shares, spends, strict=True):
        far, step = _FAR * math.sqrt(share), math.sqrt(share - seen)
        bound = far if spend <= 0 else _bound(grid, mass, step, spend, far)
        found.append(float(ndtr(-bound / math.sqrt(share))) if bound < far else 0.0)
        edge = np.linspace(-far, bound, _POINTS)
        density = np.exp(-(((edge[:, None] - grid) / step) ** 2) / 2) @ mass / (step * math.sqrt(2 * math.pi))
        weights = np.full(_POINTS, edge[1] - edge[0])
        weights[[0, -1]] /= 2
        seen, grid, mass = share, edge, density * weights
    return found


def _bound(grid: Array, mass: Array, step: float, spend: float, far: float) -> float:
    """Return the bound that paths, which passed none so far, pass next with a probability; at most `far`."""

    def beyond(bound: float) -> float:
        return float(mass @ ndtr((grid - bound) / step)) - spend

    if len(grid) == 1:
        return min(far, -step * float(ndtri(spend)))
    return far if beyond(far) >= 0 else float(brentq(beyond, -far, far))
