"""What is needed as of a time: by champions, open verdicts and requests, the next runs, and the retention period.

A thing is needed as of some moments. Those within the retention period count, and so do the as-of times of verdicts and
requests that are still open, however old they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import groupby
from typing import Any

from pydantic import ValidationError

from retraining.care.items import ModelRecords, release_key
from retraining.data import chunks
from retraining.data.snapshots import snapshot_key
from retraining.errors import Damaged, RetrainingError
from retraining.gate.rivals import ANCHOR_REFRESHES, barred, standing
from retraining.ledger import Ledger
from retraining.ledger.readings import StoredReading
from retraining.records import Champion, Chunk, Verdict
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
    history: tuple[Champion, ...]

    def counts(self, as_of: datetime) -> bool:
        """Tell whether what was made as of a time is kept for its time alone."""
        return as_of >= self.horizon or as_of in self.moments

    @cached_property
    def live(self) -> list[Champion]:
        """The live champion, the ones a rollback would take, and all that were live since the horizon."""
        if not self.history:
            return []
        live = self.history[-1]
        out = {live.release_id, *barred(self.history)}
        earlier = [c for c in self.history if c.release_id not in out]
        later = zip(self.history, self.history[1:], strict=False)
        replaced_since = [c for c, successor in later if successor.as_of >= self.horizon]
        return _once([*replaced_since, *earlier[-1:], *self.history[-2:]])

    @cached_property
    def champions(self) -> list[Champion]:
        """Those that are or may be live, and those that a refresh may meet: opponents, and an anchor further back."""
        return _once([*self.live, *standing(self.history)[-ANCHOR_REFRESHES - 1 :]])

    @cached_property
    def measured_from(self) -> datetime | None:
        """The first day the monitor compares for one of these champions."""
        reference = (self.spec.spec.monitor if self.spec else Monitor()).reference
        firsts = [c.cutoff - reference for c in self.live]
        if not firsts:
            return None
        return floor(min(firsts), self.spec.spec.data.partition if self.spec else "month")

    @cached_property
    def read_from(self) -> datetime:
        """Where the data begins that runs as of the horizon look at."""
        return self.first_partition(self.horizon)

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


def _once(found: Iterable[Champion]) -> list[Champion]:
    return sorted({c.sequence: c for c in found}.values(), key=lambda c: c.sequence)


@dataclass(frozen=True)
class Needs:
    """What one model needs, chunks and reports left out: those follow from the snapshots.

    `frozen` are the items of the snapshots that are kept for the as-of times of the runs that froze them, those apart
    that only a manifest of an early version tells. `with_snapshot` has what is needed as long as one is, by its item.
    """

    policy: Policy
    items: frozenset[str]
    frozen: frozenset[str]
    with_snapshot: Mapping[str, frozenset[str]]


def needs_of_models(workspace: Workspace, as_of: datetime) -> Iterator[Needs]:
    """Yield what each model that has a YAML or is known to the ledger needs as of a time, one after the other.

    A model's records are let go before the next one's are read.
    """
    paths, ledger = find_models(workspace.settings.models), workspace.ledger
    waiting = {model: _unrefused(workspace, model, found) for model, found in ledger.waiting_verdicts().items()}
    asked = {model: [r.as_of for r in found] for model, found in ledger.open_requests_by_model().items()}
    for model in sorted({*paths, *ledger.known_models()}):
        records = ModelRecords.of(ledger, model)
        moments = frozenset([*waiting.get(model, ()), *asked.get(model, ())])
        policy = _policy(workspace, records, paths.get(model), as_of, moments)
        yield Needs(
            policy, frozenset(_needed(ledger, policy, records)), _frozen(ledger, policy), _with_snapshot(records)
        )


def _unrefused(workspace: Workspace, model: str, waiting: Iterable[Verdict]) -> list[datetime]:
    """Return the as-of times of promotions that may still happen: those that nobody refused."""
    answers = workspace.ledger.approvals(model)
    return [v.evaluation.as_of for v in waiting if v.id not in answers or answers[v.id].approved]


def _policy(
    workspace: Workspace, records: ModelRecords, path: Any, as_of: datetime, moments: frozenset[datetime]
) -> Policy:
    model, history = records.model, tuple(workspace.ledger.champions(records.model))
    spec = _loaded(path) if path is not None else None
    keep = [spec.spec.retention.keep] if spec else [Retention().keep]
    if spec is None:
        spec = _last_frozen(workspace, records, history)
        keep += [spec.spec.retention.keep] if spec else []  # a YAML that is gone or broken never shortens anything
    return Policy(model, as_of - max(keep), moments, spec, path is not None, history)


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


def _needed(ledger: Ledger, policy: Policy, records: ModelRecords) -> Iterator[str]:
    for champion in policy.champions:
        yield from (release_key(champion.release_id), spec_key(champion.spec_id))
        yield from records.needs_of(champion.verdict_id)
        yield from records.shown_of(champion.verdict_id)
    for verdict in records.verdicts.values():
        if policy.counts(verdict.evaluation.as_of):
            yield from records.needs_of(verdict.id)
            yield from records.shown_of(verdict.id)
    if policy.spec is not None:
        yield spec_key(policy.spec.id)
    first = policy.measured_from
    for made in ledger.all_predictions(policy.model):
        if policy.counts(made.as_of) or (first is not None and made.window.start >= first):
            yield made.key


def _frozen(ledger: Ledger, policy: Policy) -> frozenset[str]:
    return frozenset(map(snapshot_key, ledger.snapshots_of(policy.model, policy.horizon, policy.moments)))


def _with_snapshot(records: ModelRecords) -> dict[str, frozenset[str]]:
    """Return what was learnt from each snapshot: candidates that no verdict is about are kept with their data."""
    found: dict[str, set[str]] = {}
    for trained in records.trained.values():
        learnt = {release_key(trained.artifact_id), spec_key(trained.spec_id), *records.tried_for(trained)}
        found.setdefault(snapshot_key(trained.snapshot_id), set()).update(learnt)
    return {key: frozenset(items) for key, items in found.items()}


# --- readings -----------------------------------------------------------------------------------------------------


def needed_readings(
    readings: Iterable[StoredReading], keepers: Collection[tuple[Policy, bool]], oldest: datetime
) -> Iterator[StoredReading]:
    """Yield the readings that runs within the retention period made or would use.

    Parameters
    ----------
    readings
        Those in force of one source, by partition and as-of time.
    keepers
        The models that read the source, and whether their next run will.
    oldest
        The horizon of readings that no known model owns.
    """
    for _, group in groupby(readings, key=lambda r: r.start):
        seen = list(group)
        for index, reading in enumerate(seen):
            until = seen[index + 1].as_of if index + 1 < len(seen) else None
            if (not keepers and reading.as_of >= oldest) or any(
                _is_needed(policy, reading, until, first=index == 0, reads=reads) for policy, reads in keepers
            ):
                yield reading


def _is_needed(policy: Policy, reading: StoredReading, until: datetime | None, *, first: bool, reads: bool) -> bool:
    if policy.counts(reading.as_of):
        return True
    if not reads:
        return False
    if (until is None or until > policy.horizon) and reading.start >= policy.read_from:
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
