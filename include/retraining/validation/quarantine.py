"""Quarantine: rows that break critical checks go aside, up to a budget; beyond it the partition blocks.

What is aside is read again from its source by every run, so rows that were repaired, or whose check was corrected, are
taken in by the next run without anybody asking; both facts are recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING, Literal

from retraining.errors import RequestError, given_reason, shown
from retraining.ledger import Ledger
from retraining.ledger.quarantine import Quarantined, TakenIn
from retraining.records import CheckResult, SetAside, Snapshot, digest_of
from retraining.store import Store, sha256

if TYPE_CHECKING:  # who lists the quarantine reads the ledger alone
    import pyarrow as pa

    from retraining.spec import FrozenSpec
    from retraining.validation.partitions import Aside, PartitionResult


@dataclass(frozen=True)
class Entry:
    """One partition's rows in quarantine. `state`: aside (within the budget), blocking, dropped, or taken in."""

    model: str
    partition: datetime
    state: Literal["aside", "blocking", "dropped", "taken in"]
    n_rows: int
    n_partition: int
    checks: dict[str, int]
    key: str
    detail: str


def accept(
    store: Store, ledger: Ledger, frozen: FrozenSpec, snapshot: Snapshot, results: Sequence[PartitionResult]
) -> tuple[Snapshot, list[CheckResult]]:
    """Return the snapshot without the rows that are set aside, and the problems of partitions beyond the budget."""
    from retraining.data import ingest, snapshots

    marks = {_mark(frozen.model, r): r for r in results}
    dropped = ledger.dropped(frozen.model)
    problems: list[CheckResult] = []
    kept: dict[datetime, Aside] = {}
    entries: dict[str, Quarantined] = {}
    for mark, result in marks.items():
        aside = result.aside
        if aside is None:
            continue
        blocks = aside.n_rows > allowance(frozen, result.n_rows) and mark not in dropped
        entries[_entry_key(result, aside)] = _kept(mark, result, aside, blocks=blocks)
        if blocks:
            problems += _blocking(frozen, result, aside)
        else:
            kept[result.start] = aside
    ledger.set_aside(frozen.model, entries)
    _take_in(ledger, frozen.model, results)
    if not kept:
        return snapshot, problems
    replaced = {start: tuple(c for c in (a.features, a.labels) if c) for start, a in kept.items()}
    facts = tuple(SetAside(start, a.n_rows, tuple(sorted(a.checks)), a.key) for start, a in sorted(kept.items()))
    undecided = [start for start in kept if not any(r.start == start and m in dropped for m, r in marks.items())]
    ingest.distrust(ledger, snapshot, undecided)
    return snapshots.without(store, ledger, snapshot, replaced, facts), problems


def allowance(frozen: FrozenSpec, n_rows: int) -> int:
    """Return how many rows of a partition may be set aside: the budget's share, rounded up."""
    return ceil(frozen.spec.checks.quarantine * n_rows)


def entries(ledger: Ledger, model: str) -> list[Entry]:
    """Return a model's quarantine, oldest partition first."""
    dropped, ended = ledger.dropped(model), ledger.taken_in(model)
    found = []
    for key, kept in ledger.quarantined(model).items():
        state, detail = ("blocking" if kept.blocks else "aside"), ""
        if kept.mark in dropped:
            state, detail = "dropped", f"by {dropped[kept.mark].by}: {dropped[kept.mark].reason}"
        if key in ended:
            state, detail = "taken in", "; before that dropped ".join(filter(None, (ended[key].why, detail)))
        counts = (kept.n_rows, kept.n_partition, kept.checks)
        found.append(Entry(model, kept.partition, state, *counts, kept.key, detail))  # type: ignore[arg-type]  # of the four
    return sorted(found, key=lambda e: (e.partition, e.key))


def entry_of(ledger: Ledger, model: str, partition: datetime | None) -> Entry:
    """Return a partition's newest entry; without a partition, the newest one's.

    Raises
    ------
    RequestError
        When there is none.
    """
    known = [e for e in entries(ledger, model) if partition in (None, e.partition)]
    if not known:
        when = "" if partition is None else f" for {partition:%Y-%m-%dT%H:%M}"
        raise RequestError(f"{model}: there are no rows in quarantine{when}. `quarantine list {model}` shows them all.")
    return known[-1]


def rows_of(store: Store, entry: Entry) -> pa.Table:
    """Return the rows of an entry, each with the names of the checks it failed."""
    from retraining.data import parquet

    return parquet.from_bytes(store.read(entry.key))


def drop(ledger: Ledger, model: str, partition: datetime, by: str, reason: str) -> list[Entry]:
    """Leave a partition's quarantined rows out for good, whatever the budget; return what was dropped.

    Raises
    ------
    RequestError
        When the partition has no rows in quarantine, or the reason is too short.
    """
    reason = given_reason(reason, "a drop")
    open_entries = [e for e in entries(ledger, model) if e.partition == partition and e.state in ("aside", "blocking")]
    if not open_entries:
        there = shown({f"{e.partition:%Y-%m-%dT%H:%M}" for e in entries(ledger, model) if e.state != "taken in"})
        raise RequestError(
            f"{model}: there are no rows in quarantine for {partition:%Y-%m-%dT%H:%M}. There are for: "
            f"{there or 'none'}."
        )
    keys = {e.key for e in open_entries}
    marks = {kept.mark for kept in ledger.quarantined(model).values() if kept.key in keys}
    ledger.drop_quarantined(model, marks, by, reason)
    return open_entries


def _blocking(frozen: FrozenSpec, result: PartitionResult, aside: Aside) -> list[CheckResult]:
    from retraining.validation.partitions import share_text

    limit = f"checks.quarantine allows {allowance(frozen, result.n_rows)}"
    found = []
    for check, count in sorted(aside.checks.items()):
        text = f"{share_text(count, result.n_rows, aside.examples.get(check, ()))}; {limit}"
        found.append(CheckResult(check, "critical", "failed", text, result.start))
    return found


def _take_in(ledger: Ledger, model: str, results: Sequence[PartitionResult]) -> None:
    """Record which partitions are whole again, and why."""
    whole = {r.start: r for r in results if r.aside is None}
    if not whole:
        return
    ended = {}
    for key, kept in ledger.quarantined(model).items():
        result = whole.get(kept.partition)
        if result is not None:
            same = kept.features_id == result.features_id
            why = "the check was corrected" if same else "the rows were repaired at their source"
            ended[key] = TakenIn(why, result.features_id)
    ledger.take_in(model, ended)


def _mark(model: str, result: PartitionResult) -> str:
    return digest_of([model, result.start.isoformat(), result.features_id])


def _entry_key(result: PartitionResult, aside: Aside) -> str:
    return sha256(f"{result.features_id} {aside.key}".encode())


def _kept(mark: str, result: PartitionResult, aside: Aside, *, blocks: bool) -> Quarantined:
    return Quarantined(
        mark=mark,
        partition=result.start,
        features_id=result.features_id,
        n_rows=aside.n_rows,
        n_partition=result.n_rows,
        checks=aside.checks,
        key=aside.key,
        blocks=blocks,
    )
