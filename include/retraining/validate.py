"""Validate: Great Expectations on rows that were not checked before, and on the window as a whole.

Row count and schema are always checked. Results are kept per chunk and suite, so unchanged data is never checked
twice. A check that could not be evaluated blocks, whatever its severity.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, cast

import pandas as pd
import pyarrow as pa

from retraining import chunks, ingest
from retraining.errors import SHOWN_ITEMS, SpecError, ValidationFailed, shown
from retraining.ledger import Ledger
from retraining.records import CheckResult, Chunk, Snapshot, Validation, digest_of, from_dict, to_dict
from retraining.spec import FrozenSpec
from retraining.spec.model import Check, Severity
from retraining.store import Store

_PARTITION = "__partition__"
_BATCH_ROWS = 100_000
"""Rows per Great Expectations batch: one batch costs the same overhead as a day, and this bounds memory."""


def suite_id(frozen: FrozenSpec) -> str:
    """Return the digest of a spec's checks and of the columns they need."""
    data = frozen.spec.data
    names = [data.time_column, *data.key, data.target, *data.outcomes]
    return digest_of([frozen.spec.checks.model_dump(mode="json"), names, frozen.spec.features.model_dump(mode="json")])


def validate(store: Store, ledger: Ledger, frozen: FrozenSpec, snapshot: Snapshot) -> Validation:
    """Check a snapshot's rows and the window as a whole.

    Raises
    ------
    ValidationFailed
        When a critical check failed or any check could not be evaluated. The message lists them with examples.
    """
    return _validate(store, ledger, frozen, snapshot, whole=True)


def validate_rows(store: Store, ledger: Ledger, frozen: FrozenSpec, snapshot: Snapshot) -> Validation:
    """Check a snapshot's rows and schema only, as before scoring.

    Raises
    ------
    ValidationFailed
        As `validate` does.
    """
    return _validate(store, ledger, frozen, snapshot, whole=False)


def _validate(store: Store, ledger: Ledger, frozen: FrozenSpec, snapshot: Snapshot, *, whole: bool) -> Validation:
    suite = suite_id(frozen)
    key = digest_of([snapshot.id, suite, whole])
    done = ledger.finished(Validation, frozen.model, "validation", key)
    if done is None:
        done = _checked(store, ledger, frozen, snapshot, suite, whole=whole)
        ledger.finish(frozen.model, "validation", key, done)
        store.write_json_once(_report_key(done), to_dict(done))
    if done.blocking:
        ingest.distrust(ledger, snapshot, _broken_partitions(snapshot, done))
        raise ValidationFailed(explain(frozen.model, snapshot, done))
    return done


def _checked(
    store: Store, ledger: Ledger, frozen: FrozenSpec, snapshot: Snapshot, suite: str, *, whole: bool
) -> Validation:
    problems = list(_schema_problems(frozen, snapshot))
    found, n_reused = ([], 0) if problems else _row_results(store, ledger, frozen, snapshot, suite)
    problems += found
    checks = frozen.spec.checks
    if (
        whole
        and checks.window
        and not any(p.outcome == "not evaluated" or p.check in ("schema", "row count") for p in problems)
    ):
        problems += _window_problems(store, frozen, snapshot)
    n_checks = 2 + len(checks.rows) + (len(checks.window) if whole else 0)
    return Validation(snapshot.id, suite, n_checks, snapshot.n_rows, n_reused, tuple(problems))


def _broken_partitions(snapshot: Snapshot, validation: Validation) -> set[datetime]:
    """Return the partitions with blocking problems; one about the schema, or about all rows, is the newest one's."""
    newest = snapshot.features[-1].start if snapshot.features else snapshot.window.start
    return {p.partition or newest for p in validation.blocking}


def _report_key(validation: Validation) -> str:
    return f"reports/validation/{validation.snapshot_id}-{validation.suite_id[:8]}.json"


def explain(model: str, snapshot: Snapshot, validation: Validation) -> str:
    """Say which checks failed, where, with examples and what to do."""
    bad = validation.blocking
    by_check = sorted({p.check for p in bad})
    lines = [f"{model}, {snapshot.describe()}: {len(by_check)} of {validation.n_checks} checks failed"]
    for check in by_check[:SHOWN_ITEMS]:
        hits = [p for p in bad if p.check == check]
        days = [f"{p.partition:%Y-%m-%d}" for p in hits if p.partition is not None]
        where = f" [{shown(days, 3)}]" if days else ""
        lines.append(f"  - {check}: {hits[-1].outcome}: {hits[-1].observed}{where}")
    if len(by_check) > SHOWN_ITEMS:
        lines.append(f"  - and {len(by_check) - SHOWN_ITEMS} more")
    return "\n".join(
        [
            *lines,
            f"Nothing was trained or scored. Full report: {_report_key(validation)}",
            f"If the new values are right, change checks in {model}.yaml.",
        ]
    )


def _schema_problems(frozen: FrozenSpec, snapshot: Snapshot) -> Iterator[CheckResult]:
    if snapshot.n_rows == 0:  # an empty frame passes almost every check
        yield CheckResult("row count", "critical", "failed", "there are no rows", None)
    there = {c.name: c.type for c in snapshot.columns}
    features = frozen.spec.features
    missing = [c for c in (*features.numeric, *features.categorical) if c not in there]
    if missing:
        yield CheckResult("schema", "critical", "failed", f"missing column {shown(missing)}", None)
    for name in features.numeric:
        if there.get(name) in ("string", "timestamp"):
            yield CheckResult(f"schema of {name}", "critical", "failed", f"holds {there[name]}, not numbers", None)


def _row_results(
    store: Store, ledger: Ledger, frozen: FrozenSpec, snapshot: Snapshot, suite: str
) -> tuple[list[CheckResult], int]:
    labels = {c.start: c for c in snapshot.labels}
    pairs = [(c, labels.get(c.start)) for c in snapshot.features]
    keys = {_key(pair, suite): pair for pair in pairs}
    known = ledger.finished_keys(frozen.model, "validate", list(keys))
    fresh: dict[str, dict[str, Any]] = {}
    for batch in _batches({k: p for k, p in keys.items() if k not in known}):
        results = _check_rows(store, frozen, list(batch.values()))
        for key, (features, _) in batch.items():
            mine = [r for r in results if r.partition in (None, features.start)]
            fresh[key] = {"problems": [to_dict(r) for r in mine]}
    ledger.finish_many(frozen.model, "validate", fresh)
    bodies = [*(known[k] for k in keys if k in known), *fresh.values()]
    problems = {from_dict(CheckResult, p) for body in bodies for p in body["problems"]}
    return sorted(problems, key=lambda p: (p.check, str(p.partition))), len(known)


def _key(pair: tuple[Chunk, Chunk | None], suite: str) -> str:
    features, labels = pair
    return digest_of([features.id, labels.id if labels else None, suite, features.start.isoformat()])


def _batches(keys: dict[str, tuple[Chunk, Chunk | None]]) -> Iterator[dict[str, tuple[Chunk, Chunk | None]]]:
    batch: dict[str, tuple[Chunk, Chunk | None]] = {}
    n_rows = 0
    for key, pair in keys.items():
        if batch and n_rows + pair[0].n_rows > _BATCH_ROWS:
            yield batch
            batch, n_rows = {}, 0
        batch[key] = pair
        n_rows += pair[0].n_rows
    if batch:
        yield batch


def _check_rows(store: Store, frozen: FrozenSpec, pairs: Sequence[tuple[Chunk, Chunk | None]]) -> list[CheckResult]:
    """Run the row checks on some partitions at once and give each failure to the partitions that have it."""
    data = frozen.spec.data
    with_labels = [pair for pair in pairs if pair[1] is not None]
    checks = frozen.spec.checks.rows
    late = {data.target, *data.outcomes}
    about_labels = [c for c in checks if c.arguments.get("column") in late]
    problems = _run(_rows(store, pairs, labels=False), [c for c in checks if c not in about_labels])
    if with_labels and about_labels:
        problems += _run(_rows(store, with_labels, labels=True), about_labels)
    return problems


def _rows(store: Store, pairs: Sequence[tuple[Chunk, Chunk | None]], *, labels: bool) -> pd.DataFrame:
    tables = []
    for features, label in pairs:
        table = chunks.read(store, label if labels and label else features)
        stamp = pa.array([features.start.isoformat()] * table.num_rows, pa.string())
        tables.append(table.append_column(_PARTITION, stamp))
    frame: pd.DataFrame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    return frame


def _window_problems(store: Store, frozen: FrozenSpec, snapshot: Snapshot) -> list[CheckResult]:
    frame = ingest.load(store, snapshot, frozen.spec.data).to_pandas()
    return _run(frame, frozen.spec.checks.window)


def make_expectation(check: Check) -> Any:
    """Return the Great Expectations expectation of a check.

    Raises
    ------
    SpecError
        When the type does not exist or its arguments are wrong.
    """
    _quiet()
    import great_expectations.expectations as gxe
    from great_expectations.expectations.metadata_types import FailureSeverity
    from great_expectations.expectations.registry import get_expectation_impl

    try:
        cls = get_expectation_impl(check.type)
    except Exception as error:  # the registry raises a private class of its own
        known = [n for n in dir(gxe) if n.startswith("Expect")]
        raise SpecError(
            f"checks: there is no expectation {check.type}. Great Expectations has {len(known)}."
        ) from error
    try:
        return cls(severity=FailureSeverity(check.severity), **check.arguments)
    except (TypeError, ValueError) as error:
        raise SpecError(f"checks: {check.type}: {' '.join(str(error).split())[:300]}") from error


def _quiet() -> None:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")


def _run(frame: pd.DataFrame, checks: Sequence[Check]) -> list[CheckResult]:
    """Return the problems Great Expectations finds; row checks are broken down by partition."""
    if not checks:
        return []
    _quiet()
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]  # the setter takes a dict
    expectations = [make_expectation(check) for check in checks]
    suite = gx.ExpectationSuite(name="checks", expectations=expectations)
    batch = (
        context.data_sources.add_pandas("pandas")
        .add_dataframe_asset("rows")
        .add_batch_definition_whole_dataframe("all")
    )
    by_partition = _PARTITION in frame
    form: dict[str, Any] = {"result_format": "COMPLETE", "partial_unexpected_count": 3}
    if by_partition:
        form["unexpected_index_column_names"] = [_PARTITION]
    result = batch.get_batch({"dataframe": frame}).validate(suite, result_format=form)
    sizes = Counter(frame[_PARTITION].tolist()) if by_partition else Counter()
    problems: list[CheckResult] = []
    for one in result.results:
        problems += _problems_of(one, sizes)
    return problems


def _problems_of(one: Any, sizes: Counter[str]) -> list[CheckResult]:
    config = one.expectation_config
    kwargs = {k: v for k, v in config.kwargs.items() if k not in ("batch_id", "mostly") and v is not None}
    column = kwargs.pop("column", None)
    name = f"{column or 'table'}: {config.type}({', '.join(f'{k}={str(v)[:60]}' for k, v in kwargs.items())})"
    severity = cast(Severity, str(getattr(config.severity, "value", config.severity)))
    raised = [i for i in _exceptions(one.exception_info) if i.get("raised_exception")]
    if raised:
        text = str(raised[0].get("exception_message")).splitlines()[0][:200]
        return [CheckResult(name, severity, "not evaluated", text, None)]
    index = one.result.get("unexpected_index_list")
    if sizes and index is not None:
        return list(_by_partition(name, severity, one, index, sizes, float(config.kwargs.get("mostly") or 1.0)))
    if one.success:
        return []
    observed = one.result.get("observed_value", one.result.get("unexpected_percent"))
    return [CheckResult(name, severity, "failed", f"observed {observed}", None)]


def _by_partition(
    name: str, severity: Severity, one: Any, index: list[dict[str, str]], sizes: Counter[str], mostly: float
) -> Iterator[CheckResult]:
    """A share that is fine for a season can hide a broken day, so `mostly` is applied to each partition."""
    counts = Counter(row[_PARTITION] for row in index)
    examples = sorted({str(v) for v in one.result.get("partial_unexpected_list", []) if v is not None})
    for start, count in sorted(counts.items()):
        share = count / sizes[start]
        if 1 - share < mostly:
            text = f"{count} of {sizes[start]:,} rows" + (f" (e.g. {shown(examples, 3)})" if examples else "")
            yield CheckResult(name, severity, "failed", text, datetime.fromisoformat(start))


def _exceptions(info: Any) -> list[dict[str, Any]]:
    if not info:
        return []
    return [info] if "raised_exception" in info else [v for v in info.values() if isinstance(v, dict)]
