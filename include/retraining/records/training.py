"""What is learnt: which rows a recipe reaches, how candidates did, and the chosen one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


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
