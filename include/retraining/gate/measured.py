"""Where the error that a verdict states was measured, in a sentence for people. Pure, over an evaluation."""

from __future__ import annotations

from retraining.gate.champion import decisive
from retraining.records import Evaluation

METRIC, CONFIDENCE = "roc_auc", 0.95
DAYS, ROWS, POSITIVES = (4, 28), (500, 20_000), (0.05, 0.3)
"""The shortest and longest holdouts, fewest and most rows, and shares of positives of `benchmarks.gate_error_rates`."""
WRONG, WRONG_ALIKE = 0.05, 0.07
"""Largest shares of wrong promotions that it found: of independent days, and of days that resemble each other."""
_PAGE = "docs/explanation/gate-statistics.md"


def where_it_holds(e: Evaluation) -> str | None:
    """Say whether wrong promotions were measured on holdouts like this one; None where nothing was compared."""
    if decisive(e)[1] is None or e.n_days is None:
        return None
    outside = tuple(_outside(e, e.n_days))
    if outside:
        return f"how often such a verdict is wrong was not simulated for {', '.join(outside)} ({_PAGE})"
    low, high = POSITIVES
    return (
        f"at most about {WRONG:.0%} wrong promotions, {WRONG_ALIKE:.0%} where days resemble each other: simulated for "
        f"{METRIC}, {DAYS[0]} to {DAYS[1]} days, {ROWS[0]:,} to {ROWS[1]:,} rows, {low:.0%} and {high:.0%} of them "
        f"positive ({_PAGE})"
    )


def _outside(e: Evaluation, n_days: int) -> list[str]:
    said = (
        (e.metric != METRIC, e.metric),
        (not e.time_ordered, "rows without a time"),
        (e.time_ordered and not DAYS[0] <= n_days <= DAYS[1], f"{n_days} days"),
        (not ROWS[0] <= e.n_rows <= ROWS[1], f"{e.n_rows:,} rows"),
        (e.confidence < CONFIDENCE, f"a confidence of {e.confidence:.0%}"),
    )
    return [text for applies, text in said if applies]
