"""What would settle an inconclusive verdict: how many newer rows, and as of when there are that many."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist

from retraining.records import Estimate, Evaluation

_LONGEST = timedelta(days=365)
"""Nobody waits a year for a verdict: a gain that takes longer to prove is, for all purposes, none."""
_EXCESS = 1.2
"""How many times as often as stated a bound is exceeded on weeks like the flights' (measured, from 5 % down to 0.1 %):
a rare bad week pulls the true gain below that of the usual week, and no usual week shows it. So less is spent."""
_FIRST_SHARE = 0.85
"""How much of the error the first look may spend. It is most of it, because in the ordinary schedule each verdict has
rows of its own; whoever tries again on the same rows has to show much more."""


@dataclass(frozen=True)
class Settling:
    """What would settle a verdict if the gain stays: a holdout of newer rows only, and the first as-of time for it."""

    n_blocks: int
    n_rows: int
    holdout: timedelta
    as_of: datetime


def spent_alpha(alpha: float, looks: int) -> float:
    """Return the one-sided error that a verdict after `looks` earlier ones on the same rows may spend.

    All shares add up to less than `alpha`, however many looks follow, so that the chance of ever promoting on these
    rows what should not be is at most `alpha`: Bonferroni's inequality with unequal shares (alpha spending, Lan and
    DeMets 1983). Dividing alpha by the number of looks does not do: 1 + 1/2 + 1/3 + ... has no bound.

    >>> [round(spent_alpha(0.05, looks), 5) for looks in range(4)]
    [0.03542, 0.00313, 0.00104, 0.00052]
    """
    if looks == 0:
        return alpha / _EXCESS * _FIRST_SHARE
    return alpha / _EXCESS * (1 - _FIRST_SHARE) / (looks * (looks + 1))


def spent_until(total: float, share: float) -> float:
    """Return how much of a one-sided error may be spent by the time a share of the rows has been seen.

    The spending function of O'Brien and Fleming's type, 2 - 2 Phi(z / sqrt(share)) with z the normal quantile at
    1 - total / 2 (Lan and DeMets 1983, "Discrete sequential boundaries for clinical trials"): little early, when few
    days are seen, and most at the end, so that looking daily costs hardly any power. A look spends the difference to
    what was spent before it. What all looks spend adds up to `total`; at which level a look may then claim something,
    where it sees the rows of those before it, is said by `stats.sequential.levels`.

    Parameters
    ----------
    share
        From 0 to 1.

    >>> [round(spent_until(0.05, days / 7), 4) for days in (0, 4, 5, 6, 7)]
    [0.0, 0.007, 0.016, 0.0278, 0.0417]
    """
    if share <= 0:
        return 0.0
    normal = NormalDist()
    z = normal.inv_cdf(1 - total / _EXCESS / 2)
    return 2 - 2 * normal.cdf(z / math.sqrt(min(share, 1.0)))


def settle(
    evaluation: Evaluation, over: Estimate, bar: float, holdout: timedelta, label_delay: timedelta, partition: timedelta
) -> Settling | None:
    """Return the newer rows that would lift the lower bound of a gain above a bar, if the gain stays.

    The standard error falls with the square root of the number of blocks, so the blocks grow with the square of what
    the interval must shrink by. Rows that were judged before would widen it; so none of them is counted.

    Parameters
    ----------
    bar
        What the lower bound must exceed.
    holdout
        `gate.holdout`: a shorter one would not be used.

    Returns
    -------
    None when the gain itself is not above the bar, or a year of rows would not do.
    """
    reach = (over.value - over.lower) * _fresh_over_worn(evaluation)
    room = over.value - bar
    if not (room > 0 and math.isfinite(reach)):
        return None
    span, factor = evaluation.window.end - evaluation.window.start, (reach / room) ** 2
    if span * min(factor, _LONGEST / span) >= _LONGEST:
        return None
    factor = max(factor, holdout / span)
    needed = math.ceil(round(span * factor / partition, 6)) * partition
    return Settling(
        n_blocks=math.ceil(round(evaluation.n_blocks * factor, 6)),
        n_rows=math.ceil(round(evaluation.n_rows * factor, 6)),
        holdout=needed,
        as_of=evaluation.window.end + needed + label_delay,
    )


def _fresh_over_worn(e: Evaluation) -> float:
    """Return how much narrower the interval is on rows that nobody judged before."""
    fresh, worn = (NormalDist().inv_cdf(1 - spent_alpha(1 - e.confidence, looks)) for looks in (0, e.looks))
    return fresh / worn
