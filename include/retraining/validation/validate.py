"""Validate: rows with Great Expectations, the window from its partitions' profiles; what may be used is a snapshot.

Row count and schema are always checked. Results are kept per content and suite, so unchanged data is never checked
twice. A check that could not be evaluated blocks, whatever its severity.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from retraining.artifacts import stored
from retraining.data import chunks, ingest
from retraining.errors import SHOWN_ITEMS, ValidationFailed, shown
from retraining.ledger import Ledger
from retraining.records import Alert, Champion, CheckResult, Snapshot, Validation, digest_of, short, to_dict
from retraining.spec import FrozenSpec
from retraining.store import Store
from retraining.validation import partitions, quarantine, schema, skew, windows
from retraining.validation.profiles import combine
from retraining.validation.report import render
from retraining.windows import nominal

STAGE: Final = "validation"
"""The stage under which the ledger knows a model's validations and where their pages are."""


@dataclass(frozen=True)
class Accepted:
    """A snapshot that may be used, without the rows that were set aside, and what was found on the way."""

    snapshot: Snapshot
    validation: Validation


def suite_id(frozen: FrozenSpec) -> str:
    """Return the digest of a spec's checks and of the columns they need."""
    names = [frozen.spec.data.time, *frozen.spec.data.keys, *frozen.spec.data.known_late]
    checks, features = frozen.spec.checks, frozen.spec.features
    return digest_of([checks.model_dump(mode="json"), names, features.model_dump(mode="json")])


def validate(store: Store, ledger: Ledger, frozen: FrozenSpec, snapshot: Snapshot) -> Accepted:
    """Check a snapshot's rows and the window as a whole.

    Raises
    ------
    ValidationFailed
        When a critical check failed beyond the quarantine's budget, or any check could not be evaluated.
    """
    return _validate(store, ledger, frozen, snapshot, whole=True)


def validate_rows(store: Store, ledger: Ledger, frozen: FrozenSpec, snapshot: Snapshot) -> Accepted:
    """Check a snapshot's rows and schema only, as before scoring.

    Raises
    ------
    ValidationFailed
        As `validate` does.
    """
    return _validate(store, ledger, frozen, snapshot, whole=False)


def check_skew(store: Store, ledger: Ledger, frozen: FrozenSpec, champion: Champion, snapshot: Snapshot) -> None:
    """Compare rows about to be scored with what the champion that scores them was trained on.

    A smaller difference leaves an alert: over scored days in a row it is one alert that goes on.

    Raises
    ------
    ValidationFailed
        When a column does not fit the champion, or more than `score.max_skew` of its rows lie outside its training.
    """
    model = stored.load(store, champion.release_id)
    said = []
    for part in snapshot.features:  # a day that is wrong must not hide among those that are right
        found = skew.find(model, chunks.read(store, part))
        if not found:
            continue
        text = "; ".join(str(s) for s in found[:SHOWN_ITEMS])
        where = f"{frozen.model}, {part.start:%Y-%m-%d %H:%M}, champion {champion.sequence}: {text}"
        if found[0].share > frozen.spec.score.max_skew:
            raise ValidationFailed(
                f"{where}. Rows to be scored differ from what it was trained on; nothing was scored. "
                "Repair the source, retrain, or raise score.max_skew."
            )
        said.append(where)
    if said:
        text = f"{'; '.join(said[:SHOWN_ITEMS])}. They were scored. Look at the source."
        pause = 2 * nominal(frozen.spec.data.partition)  # the next partition's run may come at any hour of it
        incident = ledger.incident(frozen.model, "skew", snapshot.as_of, pause)
        ledger.add_alert(Alert(frozen.model, "skew", snapshot.as_of, text, incident))


def _validate(store: Store, ledger: Ledger, frozen: FrozenSpec, snapshot: Snapshot, *, whole: bool) -> Accepted:
    suite = suite_id(frozen)
    problems = schema.needed(frozen, snapshot)
    accepted, columns, n_aside, results = snapshot, {}, 0, []
    if snapshot.features:
        pairs = partitions.pairs_of(snapshot.features, snapshot.labels)
        results = partitions.results(store, ledger, frozen, pairs)
        changes = list(schema.changes(frozen, results)) if whole else []
        lacking = bool(problems)  # without a column every check of it fails too; how it was lost says more
        problems += changes if lacking else [*changes, *(p for r in results for p in r.problems)]
    if not any(p.check.startswith(("schema", "row count")) and p.blocks for p in problems):
        accepted, beyond = quarantine.accept(store, ledger, frozen, snapshot, results)
        problems += beyond
        columns, n_aside = combine(r.columns for r in results), sum(s.n_rows for s in accepted.set_aside)
        if accepted.n_rows == 0:
            problems.append(CheckResult("row count", "critical", "failed", "every row was set aside", None))
    if whole and not any(p.blocks for p in problems):
        sizes = windows.sizes_of(accepted, frozen.spec.data.partition)
        window = windows.Whole(frozen, store, accepted, columns, sizes, snapshot.as_of)
        problems += [*windows.check_keys(window, ledger), *windows.check_window(window)]
    ordered = tuple(sorted(problems, key=lambda p: (p.check, str(p.partition))))
    checks = frozen.spec.checks
    n_checks = 2 + len(checks.rows) + (len(checks.window) if whole else 0)
    kind = f"{snapshot.as_of:%Y%m%dT%H%M}" if whole else "rows"  # how fresh a window is depends on the time
    report_key = f"reports/validation/{snapshot.id}-{short(accepted.id)}-{short(suite)}-{kind}"
    validation = Validation(
        snapshot.id, suite, n_checks, snapshot.n_rows, n_aside, accepted.id, ordered, f"{report_key}.html"
    )
    if not store.exists(validation.report_key):
        store.write_once(validation.report_key, render(frozen, snapshot, accepted, validation, columns).encode())
    store.write_json_once(f"{report_key}.json", to_dict(validation))  # last: where it is, the page is too
    ledger.finish_many(frozen.model, STAGE, {digest_of(report_key): to_dict(validation)})
    if validation.blocking:
        ingest.distrust(ledger, snapshot, _broken_partitions(snapshot, validation))
        raise ValidationFailed(explain(frozen, snapshot, validation))
    return Accepted(accepted, validation)


def _broken_partitions(snapshot: Snapshot, validation: Validation) -> set[datetime]:
    """Return the partitions to be read again; for a problem of the window as a whole, any may be at fault."""
    whole = {chunk.start for chunk in snapshot.features} or {snapshot.window.start}
    return {start for p in validation.blocking for start in ([p.partition] if p.partition else whole)}


def explain(frozen: FrozenSpec, snapshot: Snapshot, validation: Validation) -> str:
    """Say which checks failed, where, with examples and what to do."""
    bad = validation.blocking
    by_check = sorted({p.check for p in bad})
    lines = [f"{frozen.model}, {snapshot.describe()}: {len(by_check)} of {validation.n_checks} checks failed"]
    for check in by_check[:SHOWN_ITEMS]:
        hits = [p for p in bad if p.check == check]
        days = [f"{p.partition:%Y-%m-%d}" for p in hits if p.partition is not None]
        where = f" [{shown(days, 3)}]" if days else ""
        lines.append(f"  - {check}: {hits[-1].outcome}: {hits[-1].observed}{where}")
    if len(by_check) > SHOWN_ITEMS:
        lines.append(f"  - and {len(by_check) - SHOWN_ITEMS} more")
    owner = frozen.spec.data.source.owner
    rows = any(p.partition is not None for p in bad)
    remedies = [
        "Nothing was trained or scored. Full report: " + validation.report_key,
        f"If the new values are right, change checks in {frozen.model}.yaml."
        + (f" If the rows are wrong, look at them with `quarantine show {frozen.model}`." if rows else ""),
    ]
    return "\n".join([*lines, *remedies, *([f"The source's owner: {owner}."] if owner else [])])
