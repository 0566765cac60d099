"""How many rows and labels there must be, fitted to how many there are."""

from __future__ import annotations

import math

from retraining.data.rows import HASHED, HASHED_TEST, HASHED_TRAIN
from retraining.errors import RequestError
from retraining.gate.policy import MAX_FLIPS
from retraining.scaffold.choices import Amounts, Choice, Target
from retraining.scaffold.timeline import Span, Timeline
from retraining.scaffold.timing import Plan, hashed_folds
from retraining.spec.data import HASHED_BLOCK
from retraining.train import MIN_ROWS

FEWEST_ROWS = 250
"""A fifth of them are the fifty rows that a gate decides on, and the others the two hundred that can be learnt from."""
_LEAST_HELD, _USUAL_HELD, _BLOCKS = 50, 500, 20
_UNLABELLED = 0.05
_SMALL = 2_000
"""Labelled rows below which another fifth of them moves many predictions."""
_FLIPS_OF_FEW = {"binary": 0.45, "multiclass": 0.3, "regression": 0.3}
"""Three times the usual limit; of two classes less than what a change of scale moves."""


def planned(plan: Plan, line: Timeline, target: Target) -> Amounts:
    """Return the amounts for rows that have a time."""
    train, held = line.span(plan.start, plan.cutoff), line.span(plan.cutoff, plan.end)
    return _amounts(plan.folds, train, held, target, "")


def hashed(line: Timeline, target: Target, where: str) -> Amounts:
    """Return the amounts for rows that a keyed hash spreads over a hundred days.

    Raises
    ------
    RequestError
        When too few rows, or too few of a class, are left to learn from.
    """
    train, held = line.span(HASHED_TRAIN.start, HASHED_TRAIN.end), line.span(HASHED_TEST.start, HASHED_TEST.end)
    folds = hashed_folds(line, target, HASHED_TRAIN.start, HASHED_TRAIN.end)
    unknown = any(new and not old for new, old in zip(held.classes, train.classes, strict=True))
    if train.n_labelled < MIN_ROWS or folds is None or unknown:
        raise RequestError(
            f"{where}: of {line.span(HASHED.start, HASHED.end).n_labelled:,} rows with a label, {train.n_labelled} are "
            f"left to learn from; it takes {MIN_ROWS}, and some of each class in every part of them. "
            "Nothing was written. Add rows."
        )
    n_blocks = line.n_blocks(HASHED_TEST.start, HASHED_TEST.end, HASHED_BLOCK)
    return _amounts(folds, train, held, target, _hashed_warning(held, n_blocks))


def _hashed_warning(held: Span, n_blocks: int) -> str:
    if held.n_labelled >= _LEAST_HELD and n_blocks >= _BLOCKS:
        return ""
    return (
        f"The hashed fifth holds {held.n_labelled} rows with a label in {n_blocks} blocks: the gate cannot decide on so"
        " few, and runs end inconclusive until the table has more rows."
    )


def _amounts(folds: int, train: Span, held: Span, target: Target, warning: str) -> Amounts:
    least = _round_down(min(_USUAL_HELD, max(_LEAST_HELD, 0.6 * held.n_labelled)))
    missing = max(train.unlabelled, held.unlabelled)
    allowed, why = _UNLABELLED, "No more rows than this may lack a label once it is final."
    if missing > 0.8 * _UNLABELLED:
        allowed = min(1.0, math.ceil(125 * missing + 2) / 100)
        why = f"{missing:.1%} of the rows have no label: is that right? They are not learnt from."
    small = train.n_labelled < _SMALL
    return Amounts(
        folds=Choice(folds, f"Cross-validation in {folds} steps; before the first of them enough rows are left."),
        min_rows=Choice(least, f"Fewest holdout rows that decide; there are {held.n_labelled:,} today."),
        max_unlabelled=Choice(allowed, why),
        min_new_labels=Choice(least, "Fewest new labels for which the monitor asks: as many as the gate needs."),
        max_flips=Choice(
            (_FLIPS_OF_FEW if small else MAX_FLIPS)[target.task.value],
            f"Only {train.n_labelled:,} rows to learn from: a refit with the holdout moves more than is usual."
            if small
            else "Largest share of predictions that the refit through the holdout may change.",
        ),
        warning=warning,
    )


def _round_down(value: float) -> int:
    return int(value // 10 * 10)
