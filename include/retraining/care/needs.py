"""What is needed as of a time: by champions, open verdicts and requests, the next runs, and the retention period.

A thing is needed as of some moments. Those within the retention period count, and so do the as-of times of verdicts and
requests that are still open, however old they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from retraining.care.items import ModelRecords, release_key
from retraining.data import chunks
from retraining.data.ingest import Reader
from retraining.data.snapshots import snapshot_key
from retraining.errors import Damaged, RetrainingError
from retraining.ledger.upkeep import StoredReading
from retraining.records import Champion, Chunk, Manifest, PredictionSet, Verdict, Window
from retraining.spec import FrozenSpec, find_models, load, spec_key
from retraining.spec.model import Monitor, Retention
from retraining.windows import floor, nominal
from retraining.workspace import Workspace

_SPARE_PARTITIONS = 3
"""Added to a run's look into the past: windows are floored to partitions, months are longer than 30 days."""
_SPARE_SHARE = 1.05
"""As above, for windows of many months."""


@dataclass(frozen=True)
class Policy:
    """How a model's things are kept: `moments` are the as-of times that count beside everything since `horizon`."""

    model: str
    horizon: datetime
    moments: frozenset[datetime]
    spec: FrozenSpec | None
    """The newest spec that is known; None when there is none that loads."""
    active: bool
    """Whether there is a YAML, so that there will be a next run."""
    records: ModelRecords
    history: tuple[Champion, ...]

    def counts(self, as_of: datetime) -> bool:
        """Tell whether what was made as of a time is kept for its time alone."""
        return as_of >= self.horizon or as_of in self.moments

    @property
    def champions(self) -> list[Champion]:
        """The live champion, the ones a rollback would take, and all that were live since the horizon."""
        if not self.history:
            return []
        live = self.history[-1]
        earlier = [c for c in self.history if c.release_id != live.release_id]
        later = zip(self.history, self.history[1:], strict=False)
        replaced_since = [c for c, successor in later if successor.as_of >= self.horizon]
        found = [*replaced_since, *earlier[-1:], *self.history[-2:]]
        return sorted({c.sequence: c for c in found}.values(), key=lambda c: c.sequence)

    @property
    def measured_from(self) -> datetime | None:
        """The first day the monitor compares for one of these champions."""
        reference = (self.spec.spec.monitor if self.spec else Monitor()).reference
        firsts = [c.cutoff - reference for c in self.champions]
        if not firsts:
            return None
        return floor(min(firsts), self.spec.spec.data.partition if self.spec else "month")

    def first_partition(self, as_of: datetime) -> datetime:
        """Return where the data begins that runs as of a time look at; without a known spec all of it counts."""
        if self.spec is None:
            return datetime.min.replace(tzinfo=UTC)
        spec = self.spec.spec
        unit = nominal(spec.data.partition)
        window = (spec.training.window + spec.gate.holdout) * _SPARE_SHARE
        past = spec.data.label_delay + max(window, spec.score.catch_up, spec.monitor.window)
        first = as_of - past - unit * (spec.data.look_back + _SPARE_PARTITIONS)
        return min(first, self.measured_from or first)


@dataclass
class Needed:
    """Items that are needed, and the readings that are."""

    items: set[str] = field(default_factory=set)
    readings: list[StoredReading] = field(default_factory=list)


def policies(workspace: Workspace, as_of: datetime) -> dict[str, Policy]:
    """Return how each model that has a YAML or is known to the ledger is kept as of a time."""
    paths = find_models(workspace.settings.models)
    return {
        model: _policy(workspace, model, paths.get(model), as_of)
        for model in sorted({*paths, *workspace.ledger.known_models()})
    }


def _policy(workspace: Workspace, model: str, path: Any, as_of: datetime) -> Policy:
    ledger = workspace.ledger
    records, history = ModelRecords.of(ledger, model), tuple(ledger.champions(model))
    spec = _loaded(path) if path is not None else None
    keep = [spec.spec.retention.keep] if spec else [Retention().keep]
    if spec is None:
        spec = _last_frozen(workspace, records, history)
        keep += [spec.spec.retention.keep] if spec else []  # a YAML that is gone or broken never shortens anything
    moments = {r.as_of for r in ledger.open_requests(model)}
    moments |= {v.evaluation.as_of for v in records.verdicts.values() if is_open(workspace, v)}
    return Policy(model, as_of - max(keep), frozenset(moments), spec, path is not None, records, history)


def _loaded(path: Any) -> FrozenSpec | None:
    try:
        return load(path)
    except RetrainingError:  # `check` and the alert about stale models speak about a broken YAML
        return None


def _last_frozen(workspace: Workspace, records: ModelRecords, history: tuple[Champion, ...]) -> FrozenSpec | None:
    known = [v.evaluation.spec_id for v in records.verdicts.values()] or [c.spec_id for c in history]
    try:
        return workspace.frozen(known[-1]) if known else None
    except (Damaged, ValidationError, ValueError):  # lost, or frozen by a version with other keys
        return None


def newest_spec(workspace: Workspace, model: str) -> FrozenSpec | None:
    """Return a model's YAML if it loads, else the newest spec that was frozen and still loads."""
    path = find_models(workspace.settings.models).get(model)
    found = None if path is None else _loaded(path)
    if found is not None:
        return found
    ledger = workspace.ledger
    return _last_frozen(workspace, ModelRecords.of(ledger, model), tuple(ledger.champions(model)))


def is_open(workspace: Workspace, verdict: Verdict) -> bool:
    """Tell whether a promotion may still happen: nobody refused it, and nothing became of it yet."""
    if verdict.decision != "promote" or verdict.dry_run or workspace.ledger.outcome(verdict.id) is not None:
        return False
    answer = workspace.ledger.approval(verdict.id)
    return answer is None or answer[0]


def needed_items(
    policy: Policy, manifests: Mapping[str, Manifest], frozen: set[str], predictions: Iterable[PredictionSet]
) -> Iterator[str]:
    """Yield the items that a model needs, chunks and reports left out: those follow from the snapshots.

    Parameters
    ----------
    frozen
        The snapshots that runs froze whose as-of times count.
    """
    for champion in policy.champions:
        yield from (release_key(champion.release_id), spec_key(champion.spec_id))
        yield from policy.records.needs_of(champion.verdict_id)
        yield from policy.records.shown_of(champion.verdict_id)
    for verdict in policy.records.verdicts.values():
        if policy.counts(verdict.evaluation.as_of):
            yield from policy.records.needs_of(verdict.id)
            yield from policy.records.shown_of(verdict.id)
    kept = {key for key, m in manifests.items() if m.id in frozen or _counts_first(policy, m)}
    yield from kept
    for trained in policy.records.trained.values():
        if snapshot_key(trained.snapshot_id) in kept:
            yield from (release_key(trained.artifact_id), spec_key(trained.spec_id))
            yield from policy.records.tried_for(trained)
    if policy.spec is not None:
        yield spec_key(policy.spec.id)
    first = policy.measured_from
    for made in predictions:
        if policy.counts(made.as_of) or (first is not None and made.window.start >= first):
            yield made.key


def _counts_first(policy: Policy, manifest: Manifest) -> bool:
    """Tell whether an early version's manifest is kept for the run that it names."""
    first = manifest.first
    return first is not None and first.model == policy.model and policy.counts(first.as_of)


# --- readings -----------------------------------------------------------------------------------------------------


class _Unread:
    """A source that only lends its name."""

    def read(self, window: Window) -> pa.Table:
        raise RetrainingError(f"{window} was to be read, but housekeeping reads no source")


def source_id(workspace: Workspace, spec: FrozenSpec) -> str:
    """Return the id under which a spec's readings stand; the source itself is not opened."""
    return Reader(spec, _Unread(), None, workspace.store, workspace.ledger).source_id


def owners(
    workspace: Workspace, found: Mapping[str, Policy], manifests: Iterable[Manifest]
) -> dict[str, list[tuple[Policy, bool]]]:
    """Return, by source, the models that read it, and whether their next run will."""
    by_source: dict[str, dict[str, bool]] = {}
    early = [(m.first.source_id, m.first.model) for m in manifests if m.first is not None]
    for source, model in (*workspace.ledger.sources_read(), *early):
        by_source.setdefault(source, {})[model] = False
    for policy in found.values():
        if policy.spec is not None and policy.active:
            by_source.setdefault(source_id(workspace, policy.spec), {})[policy.model] = True
    return {s: [(found[m], reads) for m, reads in names.items() if m in found] for s, names in by_source.items()}


def needed_readings(
    readings: Iterable[StoredReading], owned: Mapping[str, list[tuple[Policy, bool]]], oldest: datetime
) -> Iterator[StoredReading]:
    """Yield the readings that runs within the retention period made or would use.

    Parameters
    ----------
    readings
        Those in force, by source, partition and as-of time.
    oldest
        The horizon of readings that no known model owns.
    """
    for (source, _), group in groupby(readings, key=lambda r: (r.source_id, r.start)):
        seen = list(group)
        for index, reading in enumerate(seen):
            until = seen[index + 1].as_of if index + 1 < len(seen) else None
            keepers = owned.get(source, [])
            if (not keepers and reading.as_of >= oldest) or any(
                _is_needed(policy, reading, until, first=index == 0, reads=reads) for policy, reads in keepers
            ):
                yield reading


def _is_needed(policy: Policy, reading: StoredReading, until: datetime | None, *, first: bool, reads: bool) -> bool:
    if policy.counts(reading.as_of):
        return True
    if not reads:
        return False
    if (until is None or until > policy.horizon) and reading.start >= policy.first_partition(policy.horizon):
        return True
    return any(
        (first or reading.as_of <= moment) and (until is None or moment < until)
        for moment in policy.moments
        if reading.start >= policy.first_partition(moment)
    )


def chunk_items(parts: Iterable[Chunk]) -> set[str]:
    """Return the items of chunks."""
    return {chunks.key_of(chunk.id) for chunk in parts}


def longest(found: Mapping[str, Policy], as_of: datetime) -> datetime:
    """Return the earliest horizon of all: that of things whose model is not known."""
    default: timedelta = Retention().keep
    return min([as_of - default, *(p.horizon for p in found.values())])
