"""From a candidate to a champion: what is trained, judged, decided, released and deployed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from retraining.records.checklist import (
    CalibrationResult,
    CaseResult,
    Estimate,
    Evidence,
    Footing,
    Item,
    Served,
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
class Reach:
    """Which of the training rows a recipe learns: the newest `window` of them, or those from `since` on; else all."""

    window: timedelta | None = None
    since: datetime | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it learns all of them."""
        return self.window is None and self.since is None

    def begins(self, cutoff: datetime) -> datetime | None:
        """Return when the rows begin that are learnt up to a cut-off; None where all are."""
        return self.since if self.window is None else cutoff - self.window


WHOLE = Reach()
"""Every row of the training window."""


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
class Tried:
    """One candidate, tried: the score of its best setting, and its out-of-fold predictions in the store.

    `index` is its place in the spec, simplest first. `n_tried` of `n_settings` settings were tried; fewer where
    `training.seconds` stopped the search.
    """

    model: str
    spec_id: str
    snapshot_id: str
    index: int
    estimator: str
    score: CandidateScore
    predictions_id: str
    n_tried: int
    n_settings: int
    reach: Reach = WHOLE

    @property
    def predictions_key(self) -> str:
        """Where the predictions are in the store."""
        return self.key_of(self.predictions_id)

    @staticmethod
    def key_of(predictions_id: str) -> str:
        """Return the store key of out-of-fold predictions."""
        return f"candidates/{predictions_id}.parquet"


@dataclass(frozen=True)
class Trained:
    """The chosen candidate, fitted up to the holdout. `recipe_id` is of spec, estimator, parameters, seed and reach."""

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
    reach: Reach = WHOLE
    again: bool = False
    """Whether it is a champion's recipe learnt again, and nothing was tried or chosen."""
    since: datetime | None = None
    """When a collapse began: a recipe that learnt only what came after it competed as well."""
    left_out: str | None = None
    """The artifact of what learnt only the rows of a collapse, where it was left out for this one."""


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


@dataclass(frozen=True)
class Release:
    """A refitted recipe, bound to the verdict that allowed it, with its own part of the checklist."""

    id: str
    model: str
    verdict_id: str
    snapshot_id: str
    cutoff: datetime
    run_id: str
    flip_share: float | None
    n_rows: int
    served: Served
    checklist: tuple[Item, ...]

    @property
    def blocking(self) -> tuple[Item, ...]:
        """The items that keep the release from being deployed."""
        return tuple(item for item in self.checklist if item.outcome == "block")


@dataclass(frozen=True)
class Champion:
    """One entry of a model's champion history; a `return` is by probation, which took back the entry before it."""

    model: str
    sequence: int
    kind: Literal["promotion", "rollback", "adoption", "override", "return"]
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
    """What became of a promote verdict: `deployed`, `superseded` by another run, `waiting` for a person, or `refused`.

    `refused` is a person's no, or a release that its own checks stopped; `detail` says which.
    """

    model: str
    outcome: Literal["deployed", "superseded", "waiting", "refused"]
    sequence: int | None
    version: int | None
    detail: str


@dataclass(frozen=True)
class Approval:
    """A person's answer to a promotion that waited; `by` is who answered according to Airflow, or `timeout`."""

    model: str
    verdict_id: str
    approved: bool
    by: str
    reason: str
    answered_at: datetime


@dataclass(frozen=True)
class Override:
    """A named person's promotion against the gate; `account` is the login the name was given under."""

    model: str
    verdict_id: str
    decision: Decision
    release_id: str
    sequence: int
    by: str
    account: str
    reason: str
    created_at: datetime


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
