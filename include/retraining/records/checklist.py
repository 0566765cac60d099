"""The release checklist: what is measured for each item, and what each item says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True)
class Estimate:
    """A difference on the holdout: a positive one is a gain.

    `lower` and `upper` are the one-sided bounds that decisions use, by Student's t with `degrees` degrees of freedom.
    """

    value: float
    standard_error: float
    lower: float
    upper: float
    degrees: int


@dataclass(frozen=True)
class Item:
    """One item of the checklist: what was found, what it was compared with, and a sentence for a person.

    `undecided` marks a block that more rows may lift; `remedy` says what would have to change.
    """

    name: str
    outcome: Literal["pass", "warn", "block"]
    figure: str
    limit: str
    sentence: str
    remedy: str = ""
    undecided: bool = False


@dataclass(frozen=True)
class SliceResult:
    """A group of holdout rows: the metric of candidate and champion on it, and how sure a loss beyond `margin` is.

    `p_worse` is the one-sided p-value of "not worse than the champion by more than the margin", before the correction
    for many slices. `problem` says why the slice was not judged; `evaluated` is False where that is an error.
    """

    name: str
    n_rows: int
    candidate: float | None
    champion: float | None
    gain: Estimate | None
    margin: float
    p_worse: float | None
    blocks: bool
    problem: str | None = None
    evaluated: bool = True


@dataclass(frozen=True)
class CalibrationResult:
    """Calibration errors, 0 to 1, and the candidate's gain over the champion (positive is better)."""

    candidate: float
    champion: float | None
    gain: Estimate | None


@dataclass(frozen=True)
class CaseResult:
    """One behavioural case on one model: what was predicted; `evaluated` is False where that could not be found out."""

    name: str
    kind: str
    passed: bool
    figure: str
    limit: str
    evaluated: bool = True


@dataclass(frozen=True)
class Evidence:
    """Whether a requirement holds, and the figure that shows it."""

    holds: bool
    figure: str


@dataclass(frozen=True)
class Served:
    """What serving a release costs, measured in a fresh process with one thread.

    `difference` is the largest change of the smoke rows' outputs since training, in the prediction's unit.
    """

    load_s: float
    latency_ms: float
    memory_mb: float
    size_mb: float
    difference: float


@dataclass(frozen=True)
class Moved:
    """A feature column of the holdout that is not what it was in the champion's training rows.

    `how` it moved decides what `before` and `after` are. `sign`: its rank correlation with the champion's predictions
    then, and with the truth now. `scale`: its median; `spread`: its interquartile range. `nulls`: the share of missing
    values. `categories`: the share of rows whose category was not there. `importance` is the column's share, 0 to 1.
    """

    column: str
    how: Literal["sign", "scale", "spread", "nulls", "categories"]
    before: float
    after: float
    importance: float


@dataclass(frozen=True)
class Held:
    """A model's own figure on a holdout that it had not learnt, and what was to be expected of it on those rows.

    Expected is what the model's own probabilities promise; for a regression, the figure of a model without features.
    Both are in the metric's unit.
    """

    end: datetime
    figure: float
    expected: float


@dataclass(frozen=True)
class Footing:
    """How the champion stands on the newest holdout, beside earlier holdouts, the newest first.

    `who` is the champion where its cut-off is not inside the holdout, else the candidate, which learnt nothing of it
    either. `lift` is its gain over a model without features, computed where there is a doubt. `since` is the day within
    the holdout from which on it does worse; None where that is the whole holdout, or nothing of the kind.
    """

    who: Literal["champion", "candidate"]
    now: Held
    lift: Estimate | None
    earlier: tuple[Held, ...]
    moved: tuple[Moved, ...]
    since: datetime | None = None
