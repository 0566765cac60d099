"""Checks learnt from the data, and left loose: what was never seen so far is allowed for half a range more."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from retraining.scaffold.choices import Roles, Rule, Target
from retraining.scaffold.look import Column, Table

MOST_CHECKED = 100
"""Columns with checks of their own: each check costs time in every run, and a list of thousands is read by nobody."""
_FEW_VALUES = 20
_MOSTLY = 0.99
_SLACK = 0.5
_CLOSE_TO_ZERO = 0.1
"""Share of its range within which a column comes close to zero: one that never goes below it is probably an amount, a
count or a duration, of which a negative value is an error."""
_FEW_ROWS = 1_000
"""Rows that have to be seen before "never" is said."""
_FAR_OUT = 50
"""Standard deviations from the mean: even long tails of amounts seldom reach so far, typing errors do."""


def row_rules(table: Table, target: Target, roles: Roles) -> tuple[Rule, ...]:
    """Return what each row must hold, column by column."""
    names = [*roles.numeric, *roles.categorical][:MOST_CHECKED]
    columns = [table.column(name) for name in names]
    rules = [rule for column in columns for rule in _rules_of(column)]
    return (*rules, *_target_rules(table.column(target.name), target))


def window_rules(table: Table, target: Target) -> tuple[Rule, ...]:
    """Return what the training window must hold as a whole: a target that is about as it was."""
    column = table.column(target.name)
    if target.task.value == "regression":
        low, high = loose(column.mean - column.deviation, column.mean + column.deviation)
        return (_rule("expect_column_mean_to_be_between", column.name, min_value=low, max_value=high),)
    if target.task.value == "binary" and column.kind == "number":
        (first, n_first), (second, n_second) = column.counts
        mean = (first * n_first + second * n_second) / (n_first + n_second)
        low, high = (float(f"{v:.2g}") for v in (mean - (mean - first) * 0.7, mean + (second - mean) * 0.5))
        return (_rule("expect_column_mean_to_be_between", column.name, min_value=low, max_value=high),)
    return ()


def loose(low: float, high: float) -> tuple[float, float]:
    """Return a range that is wider by half of it on either side, in round numbers.

    >>> loose(0, 100), loose(-1.6, 35.6), loose(0.012, 0.055), loose(3, 3)
    ((-50, 150), (-30, 60), (-0.01, 0.08), (1, 5))
    """
    width = (high - low) or max(1.0, abs(high))
    step = 10.0 ** math.floor(math.log10(_SLACK * width))
    return _rounded(math.floor((low - _SLACK * width) / step) * step, step), _rounded(
        math.ceil((high + _SLACK * width) / step) * step, step
    )


def _rules_of(column: Column) -> Iterator[Rule]:
    if column.n_null == 0:
        yield _rule("expect_column_values_to_not_be_null", column.name)
    if column.kind == "number":
        yield from _range_of(column)
    if column.kind == "string" and 0 < len(column.counts) <= _FEW_VALUES:
        values = [value for value, _ in column.counts]
        yield _rule(
            "expect_column_values_to_be_in_set", column.name, value_set=values, mostly=_MOSTLY, severity="warning"
        )


def _target_rules(column: Column, target: Target) -> Iterator[Rule]:
    if target.task.value == "regression":
        yield from _range_of(column)
    elif column.kind != "boolean":
        yield _rule(
            "expect_column_values_to_be_in_set", column.name, value_set=list(target.classes), severity="warning"
        )


def _range_of(column: Column) -> Iterator[Rule]:
    if column.minimum is None or column.maximum is None:
        return
    low, high = loose(column.minimum, column.maximum)
    near = 0 <= column.minimum <= _CLOSE_TO_ZERO * (column.maximum - column.minimum)
    if near and column.n_there >= _FEW_ROWS:
        low = 0
    arguments = {"min_value": low, "max_value": high, "mostly": _MOSTLY}
    yield Rule(
        {"type": "expect_column_values_to_be_between", "column": column.name, **arguments}, warning=_far_out(column)
    )


def _far_out(column: Column) -> str:
    """Say which value of a column looks like an error, so that a range learnt from it may be too wide."""
    for value in (column.minimum, column.maximum):
        far = abs(float(value or 0) - column.mean) / column.deviation if column.deviation else 0.0
        if far > _FAR_OUT:
            where = f"{far:.0f} standard deviations from its mean {column.mean:.3g}"
            return f"{column.name} has a value of {value:g}, {where}. If that is an error, narrow the range."
    return ""


def _rule(kind: str, column: str, **arguments: Any) -> Rule:
    return Rule({"type": kind, "column": column, **arguments})


def _rounded(value: float, step: float) -> float:
    digits = max(0, -math.floor(math.log10(step)))
    rounded = round(value, digits)
    return int(rounded) if rounded == int(rounded) else rounded
