"""Checks of a window as a whole, from the profiles of its partitions; few need to look at a column again.

The types and arguments are those of Great Expectations; `expect_fresh_rows` and `expect_usual_volume` are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from retraining.data import chunks
from retraining.data.joins import join
from retraining.errors import SpecError
from retraining.ledger import Ledger
from retraining.records import CheckResult, Chunk, Snapshot, digest_of
from retraining.spec import FrozenSpec
from retraining.spec.model import Check
from retraining.store import Store
from retraining.validation.expectations import make_expectation, name_of
from retraining.validation.profiles import ColumnProfile, Profile
from retraining.windows import Partition, parse_duration, partitions

FRESH, USUAL = "expect_fresh_rows", "expect_usual_volume"
_OWN_ARGUMENTS: dict[str, dict[str, Any]] = {
    FRESH: {"max_age": None},
    USUAL: {"min_ratio": 0.5, "max_ratio": 2.0, "newest": 7, "history": 28},
}
_UNIQUE: Final = "unique keys"
_LEAST_HISTORY = 5
"""Partitions to compare a volume with; fewer have no usual volume."""


@dataclass(frozen=True)
class Whole:
    """A window: its snapshot, the profile of all rows, rows per partition (empty ones count 0), and how to read."""

    frozen: FrozenSpec
    store: Store
    snapshot: Snapshot
    columns: Profile
    sizes: dict[datetime, int]
    as_of: datetime

    def column(self, name: str) -> ColumnProfile:
        """Return a column's profile.

        Raises
        ------
        LookupError
            When the window has no such column.
        """
        if name not in self.columns:
            raise LookupError(f"there is no column {name}")
        return self.columns[name]

    def read(self, names: list[str]) -> pa.Table:
        """Return some columns of all rows, features or labels."""
        late = [name for name in names if name in self.frozen.spec.data.known_late]
        own = [name for name in names if name not in late]
        if not late:
            return _columns(self.store, self.snapshot.features, own)
        found = _columns(self.store, self.snapshot.labels, late)
        if own:  # features and labels of a partition are in the same order
            labelled = {chunk.start for chunk in self.snapshot.labels}
            parts = [chunk for chunk in self.snapshot.features if chunk.start in labelled]
            for name, column in zip(own, _columns(self.store, parts, own).columns, strict=True):
                found = found.append_column(name, column)
        return found


Found = tuple[bool, object]
"""Whether a check holds, and what was observed."""


def check_window(whole: Whole) -> list[CheckResult]:
    """Return the problems of a window's checks; one that cannot be evaluated is a problem whatever its severity."""
    problems = []
    for check in whole.frozen.spec.checks.window:
        try:
            _require_own(check)
            holds, observed = _EVALUATORS[check.type](whole, check)
        except (SpecError, LookupError, TypeError, ValueError, duckdb.Error) as error:
            text = str(error).strip("'\"").splitlines()[0][:200]
            problems.append(CheckResult(name_of(check), check.severity, "not evaluated", text, None))
            continue
        if not holds:
            problems.append(CheckResult(name_of(check), check.severity, "failed", f"observed {observed}", None))
    return problems


def require_window_check(check: Check) -> None:
    """Refuse a check that is not one of a window.

    Raises
    ------
    SpecError
        When it is not in the list of those that can be computed without a pass over the window, or has wrong arguments.
    """
    _require_own(check)
    if check.type not in _OWN_ARGUMENTS:
        make_expectation(check)


def _require_own(check: Check) -> None:
    """Refuse what can be refused without asking Great Expectations, which takes a second to import."""
    if check.type not in _EVALUATORS:
        raise SpecError(
            f"checks.window: {check.type} cannot be computed for a window. Move it to checks.rows, or use one of "
            f"{', '.join(sorted(_EVALUATORS))}."
        )
    own = _OWN_ARGUMENTS.get(check.type)
    if own is None:
        return
    unknown = sorted(set(check.arguments) - set(own))
    missing = sorted(name for name, default in own.items() if default is None and name not in check.arguments)
    if unknown or missing:
        raise SpecError(f"checks.window: {check.type} takes {', '.join(own)}; check {', '.join(unknown + missing)}.")


def _bounds(check: Check, value: float | None) -> Found:
    """Compare a figure with min_value and max_value, either of which may be left out."""
    if value is None:
        raise ValueError("there are no values to compute it from")
    low, high = check.arguments.get("min_value"), check.arguments.get("max_value")
    strict_low, strict_high = check.arguments.get("strict_min"), check.arguments.get("strict_max")
    above = low is None or (value > low if strict_low else value >= low)
    below = high is None or (value < high if strict_high else value <= high)
    return above and below, round(value, 6)


def _figure(take: Callable[[ColumnProfile], Any]) -> Callable[[Whole, Check], Found]:
    return lambda whole, check: _bounds(check, _number(take(whole.column(check.arguments["column"]))))


def _number(value: object) -> float | None:
    if isinstance(value, str):
        raise TypeError("the column holds text or times, not numbers")
    return None if value is None else float(value)  # type: ignore[arg-type]  # a number, as profiles hold


def _total(column: ColumnProfile) -> float | None:
    return None if column.mean is None else column.mean * column.n_values


def _rows(whole: Whole, check: Check) -> Found:
    return _bounds(check, float(whole.snapshot.n_rows))


def _values(whole: Whole, check: Check) -> set[str]:
    name = check.arguments["column"]
    known = whole.column(name).categories
    if known is not None:
        return set(known)
    return {str(v) for v in whole.read([name]).column(name).drop_null().unique().to_pylist()}


def _in_set(whole: Whole, check: Check) -> Found:
    extra = _values(whole, check) - {str(v) for v in check.arguments["value_set"]}
    return not extra, sorted(extra)[:5] or "only values of the set"


def _contain_set(whole: Whole, check: Check) -> Found:
    missing = {str(v) for v in check.arguments["value_set"]} - _values(whole, check)
    return not missing, f"without {sorted(missing)[:5]}" if missing else "all of them"


def _n_distinct(whole: Whole, check: Check) -> Found:
    return _bounds(check, float(len(_values(whole, check))))


def _median(whole: Whole, check: Check) -> Found:
    return _bounds(check, _sql(whole, check, "median"))


def _sql(whole: Whole, check: Check, function: str) -> float | None:
    name = check.arguments["column"]
    values = pa.table({"x": whole.read([name]).column(name)})
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("t", values)
        found = connection.execute(f"select {function}(x) from t").fetchone()  # noqa: S608 - a name of our own
    return None if found is None or found[0] is None else float(found[0])


def _unique(whole: Whole, check: Check) -> Found:
    names = [check.arguments["column"]] if "column" in check.arguments else list(check.arguments["column_list"])
    doubled = n_doubled(whole.read(names))
    return doubled == 0, f"{doubled} values more than once"


def n_doubled(table: pa.Table) -> int:
    """Count the combinations of values that appear more than once; null equals nothing."""
    counts = table.drop_null().group_by(table.column_names).aggregate([([], "count_all")])
    return int(pc.sum(pc.greater(counts.columns[-1], 1)).as_py() or 0)  # by place: a column may have the count's name


def check_keys(whole: Whole, ledger: Ledger) -> list[CheckResult]:
    """Check that no key names rows of two partitions; within one, ingest has.

    A key that holds the time cannot. Otherwise the partitions that were not compared before are compared with all.
    """
    data, parts = whole.frozen.spec.data, whole.snapshot.features
    if data.time in data.keys or not data.time_ordered:
        return []
    ids = {chunk.id for chunk in parts}
    verified = [set(body["chunks"]) & ids for body in ledger.finished_all(whole.frozen.model, _UNIQUE).values()]
    known: set[str] = max(verified, key=len, default=set())
    fresh = [chunk for chunk in parts if chunk.id not in known]
    if not fresh:
        return []
    names = list(data.keys)
    new = _columns(whole.store, fresh, names)
    doubled = n_doubled(new)
    if known:
        old = _columns(whole.store, [chunk for chunk in parts if chunk.id in known], names)
        doubled += join(new, old, names, "left semi").num_rows
    if doubled:
        text = f"{doubled} keys name rows of more than one {data.partition}. Make data.key unique for ever"
        return [CheckResult("unique key", "critical", "failed", text, None)]
    ledger.finish_many(whole.frozen.model, _UNIQUE, {digest_of(sorted(ids)): {"chunks": sorted(ids)}})
    return []


def _columns(store: Store, parts: Sequence[Chunk], names: list[str]) -> pa.Table:
    return pa.concat_tables(chunks.read_many(store, parts, names), promote_options="permissive")


def _fresh(whole: Whole, check: Check) -> Found:
    newest = whole.column(whole.frozen.spec.data.time).maximum
    if not isinstance(newest, str):
        raise ValueError("there are no rows with a time")
    age = whole.as_of - datetime.fromisoformat(newest)
    return age <= parse_duration(str(check.arguments["max_age"])), f"newest row {age} before the as-of time"


def _usual(whole: Whole, check: Check) -> Found:
    """Compare each of the newest partitions with the median of those before it, of the same weekday where there are
    enough of them: a Sunday is small."""
    given = {**_OWN_ARGUMENTS[USUAL], **check.arguments}
    starts = sorted(whole.sizes)
    unusual, judged = [], 0
    for index in range(max(0, len(starts) - int(given["newest"])), len(starts)):
        before = starts[max(0, index - int(given["history"])) : index]
        alike = [s for s in before if s.weekday() == starts[index].weekday()]
        peers = alike if _daily(starts) and len(alike) >= _LEAST_HISTORY - 1 else before
        if len(peers) < _LEAST_HISTORY - 1:
            continue
        judged += 1
        usual = median(whole.sizes[s] for s in peers)
        n_rows = whole.sizes[starts[index]]
        if not given["min_ratio"] * usual <= n_rows <= given["max_ratio"] * usual:
            unusual.append(f"{starts[index]:%Y-%m-%d} {n_rows:,} rows, usual {usual:,.0f}")
    if not judged:
        raise ValueError(f"there are fewer than {_LEAST_HISTORY} partitions to compare with")
    return not unusual, "; ".join(unusual[:5]) or "usual"


def _daily(starts: list[datetime]) -> bool:
    return all(b - a == timedelta(days=1) for a, b in pairwise(starts))


def sizes_of(snapshot: Snapshot, partition: Partition) -> dict[datetime, int]:
    """Return the rows of each partition of a window, empty ones included."""
    known = {chunk.start: chunk.n_rows for chunk in snapshot.features}
    return {part.start: known.get(part.start, 0) for part in partitions(snapshot.window, partition)}


_EVALUATORS: dict[str, Callable[[Whole, Check], Found]] = {
    "expect_table_row_count_to_be_between": _rows,
    "expect_column_mean_to_be_between": _figure(lambda c: c.mean),
    "expect_column_min_to_be_between": _figure(lambda c: c.minimum),
    "expect_column_max_to_be_between": _figure(lambda c: c.maximum),
    "expect_column_sum_to_be_between": _figure(_total),
    "expect_column_stdev_to_be_between": _figure(lambda c: c.standard_deviation),
    "expect_column_proportion_of_non_null_values_to_be_between": _figure(lambda c: c.n_values / max(1, c.n_rows)),
    "expect_column_median_to_be_between": _median,
    "expect_column_unique_value_count_to_be_between": _n_distinct,
    "expect_column_distinct_values_to_be_in_set": _in_set,
    "expect_column_distinct_values_to_contain_set": _contain_set,
    "expect_column_values_to_be_unique": _unique,
    "expect_compound_columns_to_be_unique": _unique,
    FRESH: _fresh,
    USUAL: _usual,
}
