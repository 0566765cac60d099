"""A short window beside the long one: the candidate that is there when the world changes."""

from __future__ import annotations

import math
from typing import Any

from retraining.scaffold.choices import Choice, Target
from retraining.scaffold.timeline import Timeline
from retraining.scaffold.timing import Plan
from retraining.spec.training import Candidate, Training
from retraining.windows import format_duration, nominal

_HOLDOUTS = 4
"""A short window is as long as so many holdouts: enough to learn from, and gone through in as many retrainings."""
_ROWS, _OF_A_CLASS = 500, 20
"""Fewest rows, and rows of each class, that gradient boosting is fitted on with any use."""


def offered(plan: Plan, line: Timeline, target: Target) -> Choice | None:
    """Return the usual candidates and the last of them again on the newest rows; None where these are too few."""
    unit = nominal(plan.partition)
    window = unit * math.ceil(_HOLDOUTS * plan.rhythm.holdout / unit)
    if 2 * window > unit * plan.n_partitions:
        return None
    fold = max(plan.rhythm.holdout, unit)
    for end in [plan.end, *(plan.cutoff - fold * back for back in range(plan.folds + 1))]:
        span = line.span(end - window, end)
        if span.n_labelled < _ROWS or (target.classes and min(span.classes) < _OF_A_CLASS):
            return None
    usual = Training(task=target.task.value, metric=target.metric.value).candidates
    short = usual[-1].model_copy(update={"window": window})
    return Choice(
        tuple(_typed(candidate) for candidate in (*usual, short)),
        f"Simplest first. The last learns only the newest {format_duration(window)}: it wins where something changed "
        "for good, by the newest fold alone. Without it one that learnt mostly old rows may be rejected for months.",
    )


def _typed(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate as a person writes it."""
    return candidate.model_dump(mode="json", exclude_defaults=True)
