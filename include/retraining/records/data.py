"""Data: windows of time, chunks, snapshots, and what their checks found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from retraining.records.base import short

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
N_BUCKETS = 100
"""Rows without a time are spread over the first hundred days of 1970 by a keyed hash; see `rows`."""


def _is_bucket(time: datetime) -> bool:
    return EPOCH <= time <= EPOCH + timedelta(days=N_BUCKETS)


def shown_day(time: datetime) -> str:
    """Return a time's day as people read it; where rows have no time, its hash bucket.

    >>> shown_day(datetime(2026, 5, 4, tzinfo=UTC)), shown_day(datetime(1970, 3, 22, tzinfo=UTC))
    ('2026-05-04', 'hash bucket 80 of 100')
    """
    return f"hash bucket {(time - EPOCH).days} of {N_BUCKETS}" if _is_bucket(time) else f"{time:%Y-%m-%d}"


def shown_value(value: object) -> str:
    """Return a stored value as people read it: whole numbers, which chunks hold as floats, without a fraction.

    >>> shown_value(104872.0), shown_value(0.5), shown_value(datetime(2026, 5, 4, 12, tzinfo=UTC))
    ('104872', '0.5', '2026-05-04 12:00')
    """
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}".removesuffix(":00")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


@dataclass(frozen=True, order=True)
class Window:
    """A half-open span of time: `start <= t < end`, in UTC."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        if _is_bucket(self.end):
            return f"hash buckets {(self.start - EPOCH).days} to {(self.end - EPOCH).days} of {N_BUCKETS}"
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
class Provenance:
    """What a run knows of a snapshot beside its content: whose it is, as of when, and where its rows come from.

    Of accepted rows it names the snapshot they were made from as `raw_id`, and what was set aside.
    """

    model: str
    as_of: datetime
    source_id: str
    empty: tuple[datetime, ...] = ()
    raw_id: str | None = None
    set_aside: tuple[SetAside, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """Which chunks make up a window: content, and nothing of the runs that froze it.

    `first` is what one written by an early version says of the run that wrote it first, and not of any other.
    """

    id: str
    window: Window
    columns: tuple[Column, ...]
    features: tuple[Chunk, ...]
    labels: tuple[Chunk, ...]
    first: Provenance | None = field(default=None, kw_only=True, compare=False)

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
class Snapshot(Manifest):
    """A manifest with the provenance of the run that carries it; two runs may carry one manifest."""

    provenance: Provenance

    @property
    def model(self) -> str:
        """The model that the run is about."""
        return self.provenance.model

    @property
    def as_of(self) -> datetime:
        """The as-of time of the run."""
        return self.provenance.as_of

    @property
    def source_id(self) -> str:
        """Where the run's rows come from."""
        return self.provenance.source_id

    @property
    def empty(self) -> tuple[datetime, ...]:
        """The partitions without rows."""
        return self.provenance.empty

    @property
    def raw_id(self) -> str | None:
        """The snapshot that these accepted rows were made from; None where nothing was set aside."""
        return self.provenance.raw_id

    @property
    def set_aside(self) -> tuple[SetAside, ...]:
        """The rows that were set aside."""
        return self.provenance.set_aside


@dataclass(frozen=True)
class Ingested:
    """What one ingestion froze, and how much it had to read from the source to do so.

    `champion_train` and `champion_refit` are there where the champion's recipe has another training window.
    """

    train: Snapshot
    holdout: Snapshot
    refit: Snapshot
    n_partitions_read: int
    n_chunks_written: int
    champion_train: Snapshot | None = None
    champion_refit: Snapshot | None = None


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
