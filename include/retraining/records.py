"""What moves between the stages: frozen records that survive JSON.

Times are UTC. Shares are 0 to 1. Ids are SHA-256 hex digests unless a field says otherwise.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal, TypeVar, cast

from pydantic import TypeAdapter

T = TypeVar("T")


@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def to_dict(record: object) -> dict[str, Any]:
    """Return a record as plain JSON values, for a task boundary or a database."""
    adapter = _adapter(type(record))  # type: ignore[arg-type]  # mypy takes the instances' hash for the class's
    return cast("dict[str, Any]", adapter.dump_python(record, mode="json"))


def from_dict(cls: type[T], data: object) -> T:
    """Rebuild a record from the values `to_dict` gave. Unknown or missing fields raise `pydantic.ValidationError`."""
    adapter = _adapter(cls)  # type: ignore[arg-type]  # as above
    return cast(T, adapter.validate_python(data))


def digest_of(value: object) -> str:
    """Return the SHA-256 of a JSON value in canonical form (sorted keys, no spaces).

    >>> digest_of({"b": 1, "a": 2}) == digest_of({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def short(identity: str | None) -> str:
    """Return the first eight characters of an id, as people read it."""
    return identity[:8] if identity else "none"


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
N_BUCKETS = 100
"""Rows without a time are spread over the first hundred days of 1970 by a keyed hash; see `rows`."""


def _is_bucket(time: datetime) -> bool:
    return _EPOCH <= time <= _EPOCH + timedelta(days=N_BUCKETS)


def shown_day(time: datetime) -> str:
    """Return a time's day as people read it; where rows have no time, its hash bucket.

    >>> shown_day(datetime(2026, 5, 4, tzinfo=UTC)), shown_day(datetime(1970, 3, 22, tzinfo=UTC))
    ('2026-05-04', 'hash bucket 80 of 100')
    """
    return f"hash bucket {(time - _EPOCH).days} of {N_BUCKETS}" if _is_bucket(time) else f"{time:%Y-%m-%d}"


@dataclass(frozen=True, order=True)
class Window:
    """A half-open span of time: `start <= t < end`, in UTC."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        if _is_bucket(self.end):
            return f"hash buckets {(self.start - _EPOCH).days} to {(self.end - _EPOCH).days} of {N_BUCKETS}"
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC".replace(" 00:00", "")

    def overlaps(self, other: Window) -> bool:
        """Tell whether the two windows share an instant."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class Chunk:
    """One partition's rows of one kind in the store; `id` is of the content, `file_sha256` of the file."""

    id: str
    kind: Literal["features", "labels"]
    start: datetime
    n_rows: int
    n_labelled: int
    n_bytes: int
    file_sha256: str


@dataclass(frozen=True)
class Column:
    """A column of a snapshot and its logical type."""

    name: str
    type: str


@dataclass(frozen=True)
class SetAside:
    """Rows of a partition that broke critical checks and are not in a snapshot; `key` is where they are kept."""

    partition: datetime
    n_rows: int
    checks: tuple[str, ...]
    key: str


@dataclass(frozen=True)
class Snapshot:
    """A manifest: which chunks make up a window. `source_id` is an attribute, not part of the identity.

    A snapshot of accepted rows names the one it was made from as `raw_id`, and what was set aside.
    """

    id: str
    model: str
    window: Window
    as_of: datetime
    source_id: str
    columns: tuple[Column, ...]
    features: tuple[Chunk, ...]
    labels: tuple[Chunk, ...]
    empty: tuple[datetime, ...]
    raw_id: str | None = None
    set_aside: tuple[SetAside, ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows with features."""
        return sum(chunk.n_rows for chunk in self.features)

    @property
    def n_labelled(self) -> int:
        """Rows whose label is known."""
        return sum(chunk.n_labelled for chunk in self.labels)

    def describe(self) -> str:
        """Name the snapshot the way messages do."""
        return f"snapshot {short(self.id)} ({self.n_rows:,} rows, {self.window})"


@dataclass(frozen=True)
class Ingested:
    """What one ingestion froze, and how much it had to read from the source to do so."""

    train: Snapshot
    holdout: Snapshot
    refit: Snapshot
    n_partitions_read: int
    n_chunks_written: int


@dataclass(frozen=True)
class Admission:
    """What a retraining run froze when it started; every later task reads this and nothing newer."""

    model: str
    spec_id: str
    as_of: datetime
    trigger: str
    reason: str
    dry_run: bool
    champion: int | None
    requests: tuple[str, ...]
    skip: str | None


@dataclass(frozen=True)
class CheckResult:
    """One check on one set of rows. `outcome` is `passed`, `failed` or `not evaluated`."""

    check: str
    severity: Literal["critical", "warning", "info"]
    outcome: Literal["passed", "failed", "not evaluated"]
    observed: str
    partition: datetime | None

    @property
    def blocks(self) -> bool:
        """Whether it stops a run: a critical failure, or anything that could not be evaluated."""
        return self.severity == "critical" or self.outcome == "not evaluated"


@dataclass(frozen=True)
class Validation:
    """The failed and unevaluated checks of a snapshot; a validation without them passed."""

    snapshot_id: str
    suite_id: str
    n_checks: int
    n_rows: int
    n_aside: int
    accepted_id: str
    problems: tuple[CheckResult, ...]
    report_key: str

    @property
    def blocking(self) -> tuple[CheckResult, ...]:
        """The problems that stop the run: critical failures, and anything that could not be evaluated."""
        return tuple(p for p in self.problems if p.blocks)


@dataclass(frozen=True)
class Validated:
    """The snapshots that may be used, without the rows that were set aside, and what the checks found."""

    ingested: Ingested
    validation: Validation


@dataclass(frozen=True)
class CandidateScore:
    """One candidate's time-ordered cross-validation: the metric per fold, oldest fold first."""

    name: str
    params: dict[str, Any]
    folds: tuple[float, ...]
    mean: float
    standard_error: float
    run_id: str


@dataclass(frozen=True)
class Trained:
    """The chosen candidate, fitted up to the holdout. `recipe_id` is of spec, estimator, parameters and seed."""

    model: str
    recipe_id: str
    spec_id: str
    snapshot_id: str
    estimator: str
    params: dict[str, Any]
    seed: int
    artifact_id: str
    run_id: str
    cutoff: datetime
    scores: tuple[CandidateScore, ...]
    why: str


@dataclass(frozen=True)
class Estimate:
    """A metric on the holdout with its two-sided interval; `sides` are the one-sided bounds decisions use."""

    value: float
    standard_error: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Evaluation:
    """Candidate, champion and trivial baseline on the same holdout rows; a positive difference is a gain."""

    model: str
    recipe_id: str
    candidate_id: str
    champion_release_id: str | None
    champion_sequence: int | None
    champion_as_of: datetime | None
    champion_cutoff: datetime | None
    holdout_id: str
    spec_id: str
    window: Window
    as_of: datetime
    time_ordered: bool
    rule: Literal["first", "refresh", "replace"]
    metric: str
    greater_is_better: bool
    n_rows: int
    n_unlabelled: int
    n_blocks: int
    n_classes: int | None
    looks: int
    confidence: float
    candidate: float | None
    champion: float | None
    baseline: float | None
    over_baseline: Estimate | None
    over_champion: Estimate | None
    leaked_rows: int


Decision = Literal["promote", "reject", "inconclusive", "superseded", "nothing_new"]


@dataclass(frozen=True)
class Verdict:
    """The gate's decision with its reasons and what would have to change; `id` binds everything it was based on."""

    id: str
    model: str
    decision: Decision
    reasons: tuple[str, ...]
    would_change: tuple[str, ...]
    evaluation: Evaluation
    dry_run: bool


@dataclass(frozen=True)
class Release:
    """A refitted recipe, checked and bound to the verdict that allowed it."""

    id: str
    model: str
    verdict_id: str
    snapshot_id: str
    cutoff: datetime
    run_id: str
    flip_share: float | None
    n_rows: int


@dataclass(frozen=True)
class Champion:
    """One entry of a model's champion history."""

    model: str
    sequence: int
    kind: Literal["promotion", "rollback", "adoption"]
    release_id: str
    verdict_id: str | None
    spec_id: str
    recipe_id: str
    estimator: str
    version: int
    as_of: datetime
    cutoff: datetime
    by: str
    reason: str
    created_at: datetime


@dataclass(frozen=True)
class Deployment:
    """What became of a promote verdict: `deployed`, `superseded` by another run, or `waiting` for a person."""

    model: str
    outcome: Literal["deployed", "superseded", "waiting"]
    sequence: int | None
    version: int | None
    detail: str


@dataclass(frozen=True)
class Reproduction:
    """A model built again from its frozen parts, against the stored one, on all rows it was trained on and smoke rows.

    `identical` is of predictions, bit for bit; `largest_difference` is in the prediction's unit. `version` is None
    for a candidate that never reached the registry.
    """

    model: str
    release_id: str
    version: int | None
    snapshot_id: str
    spec_id: str
    same_environment: bool
    environment_changes: tuple[str, ...]
    n_rows: int
    largest_difference: float
    identical: bool
    file_identical: bool


@dataclass(frozen=True)
class PredictionSet:
    """One partition's published predictions."""

    model: str
    window: Window
    release_id: str
    sequence: int
    chunk_id: str
    as_of: datetime
    key: str
    n_rows: int
    file_sha256: str


@dataclass(frozen=True)
class ColumnDrift:
    """A column's distance from the champion's training data on one day, and the threshold it is compared with."""

    column: str
    method: str
    score: float
    threshold: float
    importance: float
    drifted: bool


@dataclass(frozen=True)
class DayPerformance:
    """Realised performance of one partition's published predictions; None where the metric is undefined."""

    start: datetime
    n_rows: int
    n_unlabelled: int
    metric: float | None
    business: float | None
    release_id: str


@dataclass(frozen=True)
class Change:
    """A watched figure now against its reference: `worse` says that the fall is real and larger than the margin."""

    name: str
    current: float
    reference: float
    lower: float
    upper: float
    margin: float
    n_days: int
    n_reference_days: int
    worse: bool


@dataclass(frozen=True)
class Measurement:
    """Everything one monitor run measured, before anything is decided."""

    model: str
    as_of: datetime
    window: Window
    sequence: int
    release_id: str
    n_rows: int
    drift: tuple[ColumnDrift, ...]
    health: tuple[str, ...]
    performance: tuple[Change, ...]
    performance_note: str
    n_new_labels: int
    report_key: str | None


@dataclass(frozen=True)
class TriggerDecision:
    """What the monitor decided and why. `held` means: would have asked, but a brake says not yet."""

    id: str
    model: str
    as_of: datetime
    outcome: Literal["quiet", "watch", "held", "suggest", "ask"]
    reason: str
    reasons: tuple[str, ...]
    would_change: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """A retraining that was asked for and not served yet."""

    id: str
    model: str
    as_of: datetime
    reason: str
    by: str


@dataclass(frozen=True)
class Alert:
    """Something a person should know: cause, affected model, what was done, what to do."""

    model: str
    kind: str
    as_of: datetime
    message: str
