"""One self-contained page per validation: what was checked, what failed, what was set aside, what the columns hold."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from retraining.records import Snapshot, Validation, short
from retraining.spec import FrozenSpec
from retraining.validation.expectations import name_of
from retraining.validation.profiles import Profile

_MOST_COLUMNS = 500
"""Columns listed on the page; the JSON beside it has the results of all."""


def render(frozen: FrozenSpec, snapshot: Snapshot, accepted: Snapshot, validation: Validation, columns: Profile) -> str:
    """Return the page; every value on it is escaped."""
    failed = {p.check for p in validation.problems} | {c for s in accepted.set_aside for c in s.checks}
    checks = frozen.spec.checks
    declared = [("rows", check.severity, name_of(check)) for check in checks.rows]
    declared += [("window", check.severity, name_of(check)) for check in checks.window]
    passed = [row for row in declared if row[2] not in failed]
    return (
        _templates()
        .get_template("validation.html")
        .render(
            frozen=frozen,
            data=frozen.spec.data,
            snapshot=snapshot,
            accepted=accepted,
            validation=validation,
            passed=passed,
            columns=dict(list(columns.items())[:_MOST_COLUMNS]),
            n_columns=len(columns),
        )
    )


@cache
def _templates() -> Environment:
    loader = PackageLoader("retraining.validation")
    found = Environment(loader=loader, autoescape=select_autoescape(), undefined=StrictUndefined)
    found.filters["short"] = short
    found.filters["figure"] = lambda value: f"{value:,.6g}" if isinstance(value, float) else value
    return found
