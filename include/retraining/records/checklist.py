"""The release checklist: what is measured for each item, and what each item says."""

from __future__ import annotations

from dataclasses import dataclass
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
