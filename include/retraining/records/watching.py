"""What a champion does day by day, and what the monitor makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from retraining.records.checklist import Estimate
from retraining.records.data import Window


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
    """Realised performance of one partition's published predictions; None where a figure is undefined.

    `unknown` says which figures ought to have a value and have none: that is an alarm, not a quiet day.
    """

    start: datetime
    n_rows: int
    n_unlabelled: int
    metric: float | None
    business: float | None
    release_id: str
    unknown: tuple[str, ...] = ()


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
    """Everything one monitor run measured, before anything is decided.

    `n_new_labels` are labelled rows newer than the champion; from `retrain.min_new_labels` on, at least so many.
    `unknown` names what could not be computed, and why: such a figure neither holds nor falls.
    """

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
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Probation:
    """One look at a release that was promoted, beside the release it replaced, on published rows newer than both.

    `window` is the whole probation, and `n_rows` of `n_days` days of it were seen. `shares` are those of its days (0 to
    1) that each look so far had seen, this one the last: they say what of its error may be spent. `gain` is how much
    better the release is: its upper bound says *worse*, its lower *holds*, each at an error of its own. `returns` says
    that the release is to be taken back by itself. `by` is the run that looked.

    `worse`, `held` and `not_shown` (neither was shown by its end) end a probation; `unknown` could not be computed.
    """

    model: str
    sequence: int
    release_id: str
    against: int
    against_release_id: str
    as_of: datetime
    window: Window
    by: Literal["monitor", "retrain"]
    outcome: Literal["open", "worse", "held", "not_shown", "unknown"]
    shares: tuple[float, ...]
    n_rows: int
    n_days: int
    metric: str
    figure: float | None
    against_figure: float | None
    gain: Estimate | None
    sentence: str
    returns: bool = False

    @property
    def share(self) -> float:
        """The share of its days that was seen by now."""
        return self.shares[-1] if self.shares else 0.0

    @property
    def over(self) -> bool:
        """Whether nothing more is looked at."""
        return self.outcome in ("worse", "held", "not_shown")


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
class Closing:
    """A request that a person, or a mode in which nothing is asked for, ended without a retraining."""

    request_id: str
    model: str
    by: str
    account: str
    reason: str
    closed_at: datetime


@dataclass(frozen=True)
class Alert:
    """Something a person should know: cause, affected model, what was done, what to do.

    Model, kind and incident are its identity: what is said again about one incident is an update of the same alert.
    Without an incident of its own, it is about its as-of time: the run that failed, say.
    """

    model: str
    kind: str
    as_of: datetime
    message: str
    incident: str = ""

    @property
    def about(self) -> str:
        """The incident, by its name or by its time."""
        return self.incident or self.as_of.isoformat()
