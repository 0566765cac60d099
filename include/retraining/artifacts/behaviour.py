"""Behavioural cases: what any version of a model must do, run on one model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from retraining.artifacts.features import FeaturePlan
from retraining.data.chunks import logical_type
from retraining.errors import RetrainingError, SpecError, shown
from retraining.records import CaseResult
from retraining.spec.cases import Case, DirectionCase, InvarianceCase, MinimumCase, Value
from retraining.spec.training import label_text
from retraining.stats.metrics import Array
from retraining.stats.slices import matching

N_ROWS = 500
"""Holdout rows, spread evenly, that a change is tried on: every day and hour is among them."""

Predict = Callable[[pa.Table], Array]
"""Returns predictions for rows: a probability, a column per class, or a value."""


def run_cases(
    cases: Sequence[Case], predict: Predict, plan: FeaturePlan, classes: tuple[Any, ...], rows: pa.Table
) -> tuple[CaseResult, ...]:
    """Run each case on a model.

    Parameters
    ----------
    plan, classes
        What the model sees, and its classes; no classes for regression.
    rows
        Holdout rows, for the cases that change rows.
    """
    return tuple(_run(case, predict, plan, classes, rows) for case in cases)


def _run(case: Case, predict: Predict, plan: FeaturePlan, classes: tuple[Any, ...], rows: pa.Table) -> CaseResult:
    try:
        if isinstance(case, MinimumCase):
            return _minimum(case, predict, plan, classes, rows)
        return _changed(case, predict, plan, rows)
    except (RetrainingError, pa.ArrowException) as error:
        return CaseResult(case.name, case.kind, False, str(error).splitlines()[0], "", evaluated=False)


def _minimum(
    case: MinimumCase, predict: Predict, plan: FeaturePlan, classes: tuple[Any, ...], rows: pa.Table
) -> CaseResult:
    _known(case.row, plan)
    types = {name: rows.schema.field(name).type for name in plan.columns}
    found = predict(pa.table({name: _column([case.row.get(name)], types[name], name) for name in plan.columns}))
    wanted = case.expect
    if wanted.is_class is not None:
        got = _most_probable(found, classes)
        text, asked = label_text(got), label_text(wanted.is_class)
        return CaseResult(case.name, case.kind, text == asked, f"class {text}", f"class {asked}")
    if found.ndim == 2:
        raise SpecError("a model of many classes has no single number: expect a class")
    low, high = wanted.above, wanted.below
    passed = (low is None or found[0] > low) and (high is None or found[0] < high)
    bounds = [f"above {low:g}" if low is not None else "", f"below {high:g}" if high is not None else ""]
    return CaseResult(case.name, case.kind, bool(passed), f"{found[0]:.4g}", " and ".join(filter(None, bounds)))


def _changed(case: InvarianceCase | DirectionCase, predict: Predict, plan: FeaturePlan, rows: pa.Table) -> CaseResult:
    _known(case.set, plan)
    chosen = rows if case.where is None else rows.filter(pa.array(matching(rows, case.where)))
    if chosen.num_rows == 0:
        raise SpecError(f"no holdout row fits {case.where!r}" if case.where else "there are no holdout rows")
    spread = np.unique(np.linspace(0, chosen.num_rows - 1, min(chosen.num_rows, N_ROWS)).astype(np.int64))
    before = chosen.take(spread)
    after = before
    for name, value in case.set.items():
        column = _column([value] * before.num_rows, before.schema.field(name).type, name)
        after = after.set_column(after.column_names.index(name), name, column)
    moved = predict(after) - predict(before)
    if isinstance(case, InvarianceCase):
        largest = np.abs(moved) if moved.ndim == 1 else np.abs(moved).max(axis=1)
        share = float(np.mean(largest <= case.tolerance))
        limit = f"{case.share:.0%} of rows within {case.tolerance:g}"
        return CaseResult(case.name, case.kind, share >= case.share, f"{share:.1%} of {len(spread)} rows", limit)
    if moved.ndim == 2:
        raise SpecError("a model of many classes has no single direction: use minimum or invariance cases")
    mean = float(moved.mean())
    towards = mean if case.expect == "increase" else -mean
    passed = towards > 0 if case.by == 0 else towards >= case.by
    limit = f"{case.expect} by {'more than 0' if case.by == 0 else format(case.by, 'g')}"
    return CaseResult(case.name, case.kind, bool(passed), f"{mean:+.4g} over {len(spread)} rows", limit)


def _known(values: dict[str, Value], plan: FeaturePlan) -> None:
    unknown = sorted(set(values) - set(plan.columns))
    if unknown:
        raise SpecError(f"{shown(unknown)} is no feature of the model; it sees {shown(plan.columns, 20)}")


def _column(values: list[Value], type_: pa.DataType, name: str) -> pa.Array:
    try:
        found = pa.array(values)
        same = (
            pa.types.is_null(found.type) or pa.types.is_null(type_) or logical_type(type_) == logical_type(found.type)
        )
        return found if same else found.cast(type_)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise SpecError(f"{name}: {values[0]!r} is no {logical_type(type_)}") from error


def _most_probable(found: Array, classes: tuple[Any, ...]) -> Any:
    if not classes:
        raise SpecError("a regression has no class: expect above or below")
    if found.ndim == 2:
        return classes[int(found[0].argmax())]
    return classes[int(found[0] >= 0.5)]
