"""Row checks and profiles, once per partition's content and suite; rows that break a critical check are set aside.

Several partitions share one Great Expectations batch, because a batch costs the same overhead as a day. One in which a
check cannot be evaluated is split, so that the partition at fault is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from retraining.data import chunks, parquet
from retraining.errors import shown
from retraining.ledger import Ledger
from retraining.records import CheckResult, Chunk, digest_of, from_dict, short, to_dict
from retraining.spec import FrozenSpec
from retraining.spec.data import FAILED_CHECKS
from retraining.spec.model import Check
from retraining.store import Store
from retraining.validation import expectations
from retraining.validation.expectations import Finding
from retraining.validation.profiles import ColumnProfile, profile

_BATCH_ROWS = 500_000
"""Rows per batch: an expectation costs some twenty milliseconds before its first row, and this bounds memory."""
_STAGE: Final = "partition"


@dataclass(frozen=True)
class Aside:
    """Rows that broke critical checks: how many, which checks, where they are kept, and the partition without them."""

    n_rows: int
    checks: dict[str, int]
    examples: dict[str, tuple[str, ...]]
    key: str
    features: Chunk | None
    labels: Chunk | None


@dataclass(frozen=True)
class PartitionResult:
    """What is known of a partition's content under a suite. `problems` are those that no set-aside row explains;
    `columns` is the profile of the rows that were not set aside."""

    start: datetime
    features_id: str
    n_rows: int
    problems: tuple[CheckResult, ...]
    columns: dict[str, ColumnProfile]
    aside: Aside | None


@dataclass(frozen=True)
class Pair:
    """One partition's rows: its features and, once final, its labels, in the same order."""

    features: Chunk
    labels: Chunk | None


@dataclass
class _Loaded:
    pair: Pair
    features: pa.Table
    labels: pa.Table | None
    failing: dict[int, list[str]] = field(default_factory=dict)
    problems: list[CheckResult] = field(default_factory=list)
    examples: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column of the features or the labels."""
        table = self.labels if self.labels is not None and name not in self.features.column_names else self.features
        return table.column(name)

    @cached_property
    def columns(self) -> dict[str, str]:
        """The logical type of each column, of features and labels."""
        tables = [self.features, *([self.labels] if self.labels is not None else [])]
        return {f.name: chunks.logical_type(f.type) for t in tables for f in t.schema}


def row_suite_id(frozen: FrozenSpec) -> str:
    """Return the digest of the row checks and of which columns are known late."""
    rows = [check.model_dump(mode="json") for check in frozen.spec.checks.rows]
    return digest_of([rows, list(frozen.spec.data.known_late), list(frozen.spec.data.keys)])


def pairs_of(features: Sequence[Chunk], labels: Sequence[Chunk]) -> list[Pair]:
    """Match features with the labels of the same partition."""
    known = {chunk.start: chunk for chunk in labels}
    return [Pair(chunk, known.get(chunk.start)) for chunk in features]


def results(store: Store, ledger: Ledger, frozen: FrozenSpec, pairs: Sequence[Pair]) -> list[PartitionResult]:
    """Return what is known of partitions, in their order; only content that was never checked is read.

    Raises
    ------
    SpecError
        When a check among those of rows does not exist, or says nothing about single rows.
    """
    suite = row_suite_id(frozen)
    keys = {_key(pair, suite): pair for pair in pairs}
    known = ledger.finished_keys(frozen.model, _STAGE, list(keys))
    bodies = {key: body for key, body in known.items() if _still_there(store, body["aside"])}
    unknown = {k: p for k, p in keys.items() if k not in bodies}
    for check in frozen.spec.checks.rows if unknown else ():
        expectations.require_row_check(check)
    for batch in _batches(store, unknown):
        _check(frozen, list(batch.values()))
        fresh = {key: to_dict(_result(store, frozen, suite, loaded)) for key, loaded in batch.items()}
        ledger.finish_many(frozen.model, _STAGE, fresh)
        bodies |= fresh
    return [from_dict(PartitionResult, bodies[_key(pair, suite)]) for pair in pairs]


def _still_there(store: Store, aside: dict[str, Any] | None) -> bool:
    """Tell whether the partition without its bad rows is still stored: housekeeping may have freed it since."""
    parts = [aside[kind] for kind in ("features", "labels") if aside[kind]] if aside else []
    return all(store.exists(chunks.key_of(part["id"])) for part in parts)


def share_text(n_bad: int, n_rows: int, examples: Sequence[str]) -> str:
    """Say how many rows of a partition broke a check, with some of their values.

    >>> share_text(2, 1440, ["-1", "-7"])
    '2 of 1,440 rows (e.g. -1, -7)'
    """
    return f"{n_bad} of {n_rows:,} rows" + (f" (e.g. {shown(examples, 3)})" if examples else "")


def _key(pair: Pair, suite: str) -> str:
    labels = pair.labels.id if pair.labels else None
    return digest_of([pair.features.id, labels, suite, pair.features.start.isoformat()])


def _batches(store: Store, keys: dict[str, Pair]) -> Iterator[dict[str, _Loaded]]:
    """Load partitions that fit into one frame together: of the same types, and all with labels or all without."""
    batch: dict[str, _Loaded] = {}
    n_rows = 0
    for key, pair in keys.items():
        loaded = _Loaded(pair, chunks.read(store, pair.features), _labels(store, pair))
        if batch and (n_rows + pair.features.n_rows > _BATCH_ROWS or not _alike(batch.values(), loaded)):
            yield batch
            batch, n_rows = {}, 0
        batch[key] = loaded
        n_rows += pair.features.n_rows
    if batch:
        yield batch


def _labels(store: Store, pair: Pair) -> pa.Table | None:
    return None if pair.labels is None else chunks.read(store, pair.labels)


def _alike(batch: Iterable[_Loaded], one: _Loaded) -> bool:
    """Tell whether a partition has the types of those in a batch; a column without a value fits any type."""
    known: dict[str, str] = {}
    for loaded in batch:
        if (loaded.labels is None) != (one.labels is None) or loaded.columns.keys() != one.columns.keys():
            return False
        known |= {name: kind for name, kind in loaded.columns.items() if kind != "null"}
    return all(kind in ("null", known.get(name, kind)) for name, kind in one.columns.items())


def _check(frozen: FrozenSpec, batch: list[_Loaded]) -> None:
    """Run the row checks on a batch and note failures with the partitions that have them."""
    late = set(frozen.spec.data.known_late)
    labelled = batch[0].labels is not None  # all of a batch or none
    checks = [c for c in frozen.spec.checks.rows if labelled or c.arguments.get("column") not in late]
    groups: dict[tuple[str, ...], list[Check]] = {}
    for check in checks:
        groups.setdefault(_columns_of(check, batch[0]), []).append(check)
    for names, alike in groups.items():
        for check, finding in zip(alike, expectations.run(_frame(batch, names), alike), strict=True):
            if finding.rows is None and len(batch) > 1:
                for loaded in batch:
                    _note([loaded], expectations.run(_frame([loaded], names), [check])[0])
            else:
                _note(batch, finding)


def _columns_of(check: Check, loaded: _Loaded) -> tuple[str, ...]:
    """Return the columns a check looks at: Great Expectations copies the whole frame it is given for each check."""
    given = check.arguments
    named = [given.get("column"), given.get("column_A"), given.get("column_B"), *(given.get("column_list") or ())]
    found = tuple(dict.fromkeys(name for name in named if name in loaded.columns))
    return found if found and "row_condition" not in given else tuple(loaded.columns)


def _frame(batch: list[_Loaded], names: tuple[str, ...]) -> pd.DataFrame:
    """Return some columns of a batch, one partition after the other; features and labels are in the same order."""
    tables = [pa.table({name: loaded.column(name) for name in names}) for loaded in batch]
    frame: pd.DataFrame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    return frame


def _note(batch: list[_Loaded], finding: Finding) -> None:
    """Give a finding to the partitions it is about. A share that is fine for a season can hide a broken day, so
    `mostly` is applied to each partition."""
    if finding.rows is None:
        outcome = None if finding.raised is None and finding.success else finding
        for loaded in batch if outcome else []:
            state = "not evaluated" if finding.raised is not None else "failed"
            text = finding.raised or finding.observed
            start = loaded.pair.features.start
            loaded.problems.append(CheckResult(finding.check, finding.severity, state, text, start))  # type: ignore[arg-type]  # one of the two
        return
    ends = np.cumsum([loaded.features.num_rows for loaded in batch])
    rows_of = np.split(finding.rows, np.searchsorted(finding.rows, ends[:-1]))
    for loaded, end, positions in zip(batch, ends, rows_of, strict=True):
        n_rows = loaded.features.num_rows
        rows = (positions - (end - n_rows)).tolist()
        if not rows or 1 - len(rows) / n_rows >= finding.mostly:
            continue
        if finding.severity == "critical":
            for row in rows:
                loaded.failing.setdefault(row, []).append(finding.check)
            loaded.examples[finding.check] = finding.examples
        else:
            text = share_text(len(rows), n_rows, finding.examples)
            start = loaded.pair.features.start
            loaded.problems.append(CheckResult(finding.check, finding.severity, "failed", text, start))


def _result(store: Store, frozen: FrozenSpec, suite: str, loaded: _Loaded) -> PartitionResult:
    keys = [name for name in frozen.spec.data.keys if name != frozen.spec.data.time]
    columns = profile(_kept(loaded, loaded.features), keys)
    if loaded.labels is not None:
        late = [name for name in loaded.labels.column_names if name not in columns]
        columns |= profile(_kept(loaded, loaded.labels).select(late))
    pair = loaded.pair
    return PartitionResult(
        start=pair.features.start,
        features_id=pair.features.id,
        n_rows=pair.features.n_rows,
        problems=tuple(loaded.problems),
        columns=columns,
        aside=_set_aside(store, frozen, suite, loaded) if loaded.failing else None,
    )


def _kept(loaded: _Loaded, table: pa.Table) -> pa.Table:
    """Return the rows of a partition that broke no critical check."""
    if not loaded.failing:
        return table
    return table.filter(pa.array([row not in loaded.failing for row in range(table.num_rows)], pa.bool_()))


def _set_aside(store: Store, frozen: FrozenSpec, suite: str, loaded: _Loaded) -> Aside:
    """Keep the failing rows with the names of their checks, and the partition without them as chunks of its own."""
    bad = sorted(loaded.failing)
    rows = loaded.features.take(bad)
    if loaded.labels is not None:
        for name in loaded.labels.column_names:
            if name not in rows.column_names:
                rows = rows.append_column(name, loaded.labels.column(name).take(bad))
    why = pa.array(["; ".join(sorted(set(loaded.failing[row]))) for row in bad], pa.string())
    pair = loaded.pair
    labels = short(pair.labels.id) if pair.labels else "nolabels"
    name = f"{short(pair.features.id)}-{labels}-{short(suite)}.parquet"
    key = f"quarantine/{frozen.model}/{pair.features.start:%Y-%m-%dT%H}/{name}"
    store.write_once(key, parquet.to_bytes(rows.append_column(FAILED_CHECKS, why)))
    counts: dict[str, int] = {}
    for checks in loaded.failing.values():
        for check in set(checks):
            counts[check] = counts.get(check, 0) + 1
    target = frozen.spec.data.target
    features = labelled = None
    if len(bad) < loaded.features.num_rows:
        keys = frozen.spec.data.keys  # normalised again: a column may have lost its last value
        tidy = chunks.normalise(_kept(loaded, loaded.features), keys)
        features, _ = chunks.write(store, tidy, "features", pair.features.start, target)
        if loaded.labels is not None:
            tidy = chunks.normalise(_kept(loaded, loaded.labels), keys)
            labelled, _ = chunks.write(store, tidy, "labels", pair.features.start, target)
    return Aside(len(bad), counts, loaded.examples, key, features, labelled)
