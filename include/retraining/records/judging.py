"""What is judged: a run as it was admitted, who was compared with whom, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from retraining.records.checklist import (
    CalibrationResult,
    CaseResult,
    Estimate,
    Evidence,
    Footing,
    Item,
    SliceResult,
)
from retraining.records.data import Window
from retraining.records.replacing import Replacement


@dataclass(frozen=True)
class Admission:
    """What a retraining run froze when it started; every later task reads this and nothing newer.

    `by` is the account of who triggered it; None when nobody did, or nobody knows who.
    """

    model: str
    spec_id: str
    as_of: datetime
    trigger: str
    reason: str
    dry_run: bool
    champion: int | None
    requests: tuple[str, ...]
    skip: str | None
    by: str | None = None


@dataclass(frozen=True)
class Look:
    """That an evaluation looked at a holdout's rows, written before any figure of them is there.

    `window` is of all rows that are judged: a replacement's begin before its newest holdout, which begins at `holdout`.
    A replacement and a refresh are two questions, each with an error of its own; `replace` tells them apart. Rows
    without a time are split anew for each version of their table, so only looks at the same `version` count.
    """

    model: str
    evaluation: str
    replace: bool
    window: Window
    holdout: datetime
    version: str | None = None

    @property
    def near(self) -> Window:
        """The time in which the holdout of another verdict may lie that judged some of the same rows.

        It reaches as far after the holdout as before it: the rows of a later verdict begin that long before its own.
        """
        return Window(self.window.start, self.window.end + (self.holdout - self.window.start))

    def shares_rows_with(self, other: Look) -> bool:
        """Tell whether an earlier look counts for this one."""
        same = (self.replace, self.version) == (other.replace, other.version)
        return same and self.window.overlaps(other.window)


@dataclass(frozen=True)
class Rival:
    """An earlier champion against the candidate, on holdout rows that neither of them was trained on.

    `figure` and `candidate` are both models' metric on the same `n_rows` rows of `n_days` days, and `gain` how much
    better the candidate is; None where `problem` says why they could not be compared. `how` says what was compared
    where it was not the champion as it is, or only on some of the rows.
    """

    release_id: str
    sequence: int
    cutoff: datetime
    n_rows: int
    n_days: int
    candidate: float | None
    figure: float | None
    gain: Estimate | None
    problem: str | None = None
    how: str = ""


@dataclass(frozen=True)
class Evaluation:
    """A candidate on a whole holdout, beside a trivial baseline and earlier champions; a positive difference is a gain.

    A refresh is judged against its `opponent`, a champion that had less to learn from, because on a schedule as long as
    the holdout the champion in office and the candidate are one model. `champion` and `over_champion` are of the rows
    that are newer than the champion's own cut-off, `n_champion_rows` of them. `anchor` is where the present run of
    refreshes began. What could not be evaluated is None; None blocks. `incomparable` says why the champion could not
    score these rows; `refit_id` is the snapshot that the release is fitted on.
    """

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
    incomparable: str | None
    leaked_rows: int
    refit_id: str
    slices: tuple[SliceResult, ...]
    calibration: CalibrationResult | None
    cases: tuple[CaseResult, ...]
    validated: Evidence | None
    locked: Evidence | None
    chosen: str = ""
    """Why this candidate was chosen among those that were tried; empty in verdicts from before this was kept."""
    n_days: int | None = None
    """Distinct days that the holdout's rows are of; None in verdicts from before this was kept."""
    n_champion_rows: int | None = None
    """Holdout rows newer than the champion's cut-off; None in verdicts from before it was judged on a part."""
    opponent: Rival | None = None
    anchor: Rival | None = None
    told: tuple[tuple[str, float], ...] = ()
    """Features that alone tell the target on the holdout, and how much of it."""
    footing: Footing | None = None
    """How the champion itself does on the newest rows; None in verdicts from before this was kept, and without time."""
    replacement: Replacement | None = None
    """How a replacement was compared; None for another rule, and in verdicts from before recipes were compared."""
    instead_of: str | None = None
    """The verdict on a replacement that did not pass, in whose place the champion's own recipe is judged here."""
    look: str | None = None
    """The look that was taken before any figure was there, by its `evaluation`; None in verdicts from before looks were
    numbered, and where the holdout cannot decide whatever its figures are."""


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
    checklist: tuple[Item, ...]
