"""The schema of a window: what the model needs, and how its columns changed from partition to partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from retraining.errors import shown
from retraining.records import CheckResult, Snapshot
from retraining.spec import FrozenSpec
from retraining.spec.model import Severity
from retraining.validation.partitions import PartitionResult
from retraining.validation.profiles import MAX_CATEGORIES

_NEW_CATEGORY_SHARE = 0.05
"""One row in twenty with a category that no earlier partition has: more than a new product brings in a day."""


def needed(frozen: FrozenSpec, snapshot: Snapshot) -> list[CheckResult]:
    """Return what is missing for the model: rows, columns, or numbers where it wants numbers."""
    problems = []
    if snapshot.n_rows == 0:  # an empty frame passes almost every check
        problems.append(CheckResult("row count", "critical", "failed", "there are no rows", None))
    there = {c.name: c.type for c in snapshot.columns}
    features = frozen.spec.features
    missing = [c for c in (*features.numeric, *features.categorical) if c not in there]
    if missing:
        problems.append(CheckResult("schema", "critical", "failed", f"missing column {shown(missing)}", None))
    for name in features.numeric:
        if there.get(name) in ("string", "timestamp"):
            text = f"holds {there[name]}, not numbers. Mend the source, or cast it in the query"
            problems.append(CheckResult(f"schema of {name}", "critical", "failed", text, None))
    return problems


def changes(frozen: FrozenSpec, results: Sequence[PartitionResult]) -> Iterator[CheckResult]:
    """Yield how the columns changed inside a window: added, removed and retyped columns, and new categories.

    A column that changes its type blocks, because its values cannot be put together; the rest is reported, and blocks
    where the model needs the column.
    """
    used = {*frozen.spec.features.numeric, *frozen.spec.features.categorical}
    late = set(frozen.spec.data.known_late)  # partitions whose labels are not final do not have them
    names = sorted({name for result in results for name in result.columns} - late)
    for name in names:
        yield from _presence(name, results, critical=name in used)
        yield from _retyped(name, results)
    yield from _new_categories(results, set(frozen.spec.data.keys))


def _presence(name: str, results: Sequence[PartitionResult], *, critical: bool) -> Iterator[CheckResult]:
    without = [r.start for r in results if name not in r.columns]
    if not without:
        return
    have = [r.start for r in results if name in r.columns]
    if min(have) > max(without):
        what, day = "added", min(have)
    elif max(have) < min(without):
        what, day = "removed", min(without)
    else:
        what, day = "comes and goes, first missing", min(without)
    severity: Severity = "critical" if critical else "info"
    text = f"{what} on {_day(day)}; {len(without)} of {len(results)} partitions lack it"
    yield CheckResult(f"schema: column {name}", severity, "failed", text, None)


def _retyped(name: str, results: Sequence[PartitionResult]) -> Iterator[CheckResult]:
    seen: list[tuple[str, datetime]] = []
    for result in results:
        kind = result.columns[name].type if name in result.columns else "null"
        kind = "number" if kind in ("integer", "number") else kind
        if kind != "null" and (not seen or seen[-1][0] != kind):
            seen.append((kind, result.start))
    if len(seen) > 1:
        steps = ", ".join(f"{kind} from {_day(start)}" for kind, start in seen[:4])
        more = "" if len(seen) <= 4 else f" and {len(seen) - 4} changes more"
        text = f"retyped: {steps}{more}. Cast it in the query"
        yield CheckResult(f"schema: column {name}", "critical", "failed", text, seen[-1][1])


def _new_categories(results: Sequence[PartitionResult], keys: set[str]) -> Iterator[CheckResult]:
    if len(results) < 2:
        return
    newest = results[-1]
    for name, column in sorted(newest.columns.items()):
        if not column.categories or name in keys:
            continue
        earlier = [r.columns[name].categories for r in results[:-1] if name in r.columns and r.columns[name].n_values]
        if not earlier or None in earlier:
            continue
        known = {value for counts in earlier for value in counts or ()}
        if len(known) > MAX_CATEGORIES:
            continue  # texts that are as many as rows, such as names, are always new
        fresh = {value: n for value, n in column.categories.items() if value not in known}
        share = sum(fresh.values()) / max(1, column.n_values)
        if share > _NEW_CATEGORY_SHARE:
            text = f"{shown(fresh, 3)} in {share:.0%} of its rows, in none before"
            yield CheckResult(f"schema: new categories of {name}", "warning", "failed", text, newest.start)


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d}" if time.hour == 0 else f"{time:%Y-%m-%d %H:%M}"
