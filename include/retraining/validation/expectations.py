"""The few calls we make to Great Expectations: build an expectation, run some on a frame, and read what failed."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retraining.errors import SpecError
from retraining.spec.model import Check, Severity

_NUMBER = "number"


@dataclass(frozen=True)
class Finding:
    """What an expectation found. `rows` are the failing ones, by position in order; None when it says nothing about
    single rows."""

    check: str
    severity: Severity
    mostly: float
    raised: str | None
    success: bool
    observed: str
    examples: tuple[str, ...]
    rows: NDArray[np.int64] | None


def make_expectation(check: Check) -> Any:
    """Return the Great Expectations expectation of a check.

    Raises
    ------
    SpecError
        When the type does not exist or its arguments are wrong.
    """
    _quiet()
    import great_expectations.expectations  # noqa: F401 - fills the registry
    from great_expectations.expectations.metadata_types import FailureSeverity
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    try:
        cls = get_expectation_impl(check.type)
    except Exception as error:  # the registry raises a private class of its own
        known = list_registered_expectation_implementations()
        close = difflib.get_close_matches(check.type, known, n=1)
        hint = f"Did you mean {close[0]}?" if close else "https://greatexpectations.io/expectations lists them."
        raise SpecError(f"checks: there is no expectation {check.type}. {hint}") from error
    try:
        return cls(severity=FailureSeverity(check.severity), **check.arguments)
    except (TypeError, ValueError) as error:
        text = " ".join(str(error).split())[:300]
        raise SpecError(f"checks: {check.type}: {text}. Correct its arguments in the YAML.") from error


def require_row_check(check: Check) -> None:
    """Refuse a check of whole tables among those of rows.

    Raises
    ------
    SpecError
        When the expectation says nothing about single rows, or does not exist.
    """
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )

    expectation = make_expectation(check)
    if not isinstance(expectation, (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)):
        raise SpecError(
            f"checks.rows: {check.type} is about many rows at once, so that no row could be set aside. "
            "Move it to checks.window."
        )


def run(frame: pd.DataFrame, checks: Sequence[Check]) -> list[Finding]:
    """Run checks of rows on a frame whose index is 0 to n; results are in the order of the checks."""
    if not checks:
        return []
    import great_expectations as gx

    batch = _batch_definition().get_batch({"dataframe": frame})
    expectations = [make_expectation(check) for check in checks]
    for number, expectation in enumerate(expectations):
        expectation.meta = {_NUMBER: number}  # results come in an order of their own
    suite = gx.ExpectationSuite(name="checks", expectations=expectations)
    form: dict[str, Any] = {"result_format": "COMPLETE", "partial_unexpected_count": 3}
    found = {one.expectation_config.meta[_NUMBER]: one for one in batch.validate(suite, result_format=form).results}
    return [_finding(check, found[number]) for number, check in enumerate(checks)]


@cache
def _batch_definition() -> Any:
    """Return what makes batches of frames; once per process, as each new one is written down as YAML several times."""
    _quiet()
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]  # the setter takes a dict
    return (
        context.data_sources.add_pandas("pandas")
        .add_dataframe_asset("rows")
        .add_batch_definition_whole_dataframe("all")
    )


def name_of(check: Check) -> str:
    """Name a check the way reports do."""
    rest = {k: v for k, v in check.arguments.items() if k not in ("mostly", "column") and v is not None}
    shown = ", ".join(f"{k}={str(v)[:60]}" for k, v in rest.items())
    return f"{check.arguments.get('column') or 'table'}: {check.type}({shown})"


def _finding(check: Check, one: Any) -> Finding:
    raised = next((i for i in _exceptions(one.exception_info) if i.get("raised_exception")), None)
    index = None if raised else one.result.get("unexpected_index_list")
    examples = sorted({str(v)[:60] for v in one.result.get("partial_unexpected_list") or [] if v is not None})
    observed = one.result.get("observed_value", one.result.get("unexpected_percent"))
    message = str(raised.get("exception_message")).strip() if raised else ""
    return Finding(
        check=name_of(check),
        severity=check.severity,
        mostly=float(check.arguments.get("mostly") or 1.0),
        raised=(message.splitlines() or ["no message"])[0][:200] if raised else None,
        success=bool(one.success),
        observed=f"observed {observed}",
        examples=tuple(examples),
        rows=None if index is None else np.unique(np.asarray(index, dtype=np.int64)),
    )


def _exceptions(info: Any) -> Iterator[dict[str, Any]]:
    if info:
        yield from [info] if "raised_exception" in info else [v for v in info.values() if isinstance(v, dict)]


def _quiet() -> None:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
