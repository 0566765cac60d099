"""What kind of target a column is, and the metric and margin that go with it."""

from __future__ import annotations

from typing import Any

from retraining.errors import RequestError, shown
from retraining.scaffold.choices import Choice, Target
from retraining.scaffold.look import Column, Table
from retraining.spec.training import label_text

MOST_CLASSES = 20
"""More classes than these are a number or a name."""
CLASS_ROWS = 20
"""Rows of the rarest class: enough that each part of the data has some of them."""
_RARE = 0.1
"""Below this share of positive rows the area under the ROC curve hides how many alarms are false."""


def choose_target(table: Table, name: str) -> Target:
    """Decide what kind of target a column is.

    Raises
    ------
    RequestError
        When it cannot be predicted: one value only, times, or text with too many or too rare values.
    """
    column = table.column(name)
    where = f"--target {name}"
    if column.kind in ("null", "timestamp", "other") or column.n_distinct < 2:
        what = {"timestamp": "times", "other": "values that cannot be predicted"}.get(column.kind, "one value only")
        raise RequestError(f"{where}: holds {what}. Nothing was written. Choose a number, or a column of few classes.")
    if column.kind == "boolean" or column.n_distinct == 2:
        return _binary(table, column)
    classes = tuple(value for value, _ in column.counts)
    few = 0 < len(classes) <= MOST_CLASSES
    rarest = min((count for _, count in column.counts), default=0)
    if few and rarest >= CLASS_ROWS and (column.kind == "string" or column.whole):
        return _multiclass(column, classes)
    if column.kind == "string":
        rare = [value for value, count in column.counts if count < CLASS_ROWS]
        what = f"too few rows of {shown(rare)}" if few else f"{column.n_distinct:,} different texts"
        raise RequestError(
            f"{where}: has {what}. Nothing was written. Classes need {CLASS_ROWS} rows each, and there may be at most "
            f"{MOST_CLASSES}: merge or drop some in the table, or choose a number."
        )
    return _regression(column)


def plain_label(label: Any) -> Any:
    """Return a class as people write it in a YAML: a whole number without a fraction.

    >>> plain_label(1.0), plain_label("late"), plain_label(True), plain_label(0.5)
    (1, 'late', True, 0.5)
    """
    return int(label) if isinstance(label, float) and label.is_integer() else label


def _binary(table: Table, column: Column) -> Target:
    (first, n_first), (second, n_second) = column.counts
    if min(n_first, n_second) < CLASS_ROWS:
        rare = label_text(first if n_first < n_second else second)
        raise RequestError(
            f"--target {column.name}: only {min(n_first, n_second)} of {table.n_sample:,} rows are {rare}; "
            f"it takes {CLASS_ROWS} of each to learn and to judge. Nothing was written. Add rows of it."
        )
    share = n_second / (n_first + n_second)
    first, second = label_text(first), label_text(second)
    task = Choice("binary", f"Two values, {first} and {second}: the probability of {second} is predicted.")
    if share < _RARE:
        metric = Choice(
            "average_precision",
            f"Only {share:.1%} of the rows are {second}: average precision sees how many alarms are false, which the "
            "area under the ROC curve hides.",
        )
        margin = Choice(0.05, "The largest loss of average precision that a refresh may bring.")
    else:
        metric = Choice("roc_auc", f"How well rows are ranked; {share:.0%} of them are {second}.")
        margin = Choice(0.025, "The largest loss of ROC AUC that a refresh may bring.")
    return Target(column.name, task, tuple(plain_label(label) for label, _ in column.counts), metric, margin)


def _multiclass(column: Column, classes: tuple[object, ...]) -> Target:
    why = f"The target has {len(classes)} classes."
    if column.kind == "number":
        why = f"The target has {len(classes)} whole numbers, taken as classes. Write regression if they are amounts."
    metric = Choice("log_loss", "How right the probabilities are; smaller is better.")
    return Target(
        column.name,
        Choice("multiclass", why),
        tuple(plain_label(label) for label in classes),
        metric,
        Choice(0.02, "The largest loss in log loss that a refresh may bring."),
    )


def _regression(column: Column) -> Target:
    margin = float(f"{0.02 * column.deviation:.2g}") or 0.02
    return Target(
        column.name,
        Choice("regression", f"The target is a number with {column.n_distinct:,} different values."),
        (),
        Choice("mae", "The mean absolute error, in the target's own unit: a few large errors do not decide."),
        Choice(margin, f"In the target's unit: 2 % of its standard deviation ({column.deviation:.4g})."),
    )
