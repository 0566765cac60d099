"""A replacement: two recipes that learn the same rows, judged after them at several origins."""

from __future__ import annotations

from dataclasses import dataclass

from retraining.records.checklist import Estimate
from retraining.records.data import Window


@dataclass(frozen=True)
class Rolled:
    """One origin: both recipes learnt what lies before a holdout, and their predictions of it are in the store.

    `recipe_id` is the candidate's, `champion_recipe_id` the champion's as it is learnt again; `index` counts origins
    back from the newest, 0. Where `problem` says why one of them could not be learnt, there are no predictions.
    """

    model: str
    recipe_id: str
    champion_recipe_id: str
    snapshot_id: str
    holdout_id: str
    index: int
    holdout: Window
    n_rows: int
    predictions_id: str | None
    problem: str | None = None

    @property
    def predictions_key(self) -> str | None:
        """Where the predictions are in the store."""
        return None if self.predictions_id is None else f"candidates/{self.predictions_id}.parquet"


@dataclass(frozen=True)
class OriginFigures:
    """Both recipes' metric on the holdout after one origin; None where it is undefined there."""

    holdout: Window
    n_rows: int
    candidate: float | None
    champion: float | None


@dataclass(frozen=True)
class Replacement:
    """The candidate's recipe against the champion's, over all holdouts of `span` together, oldest origin first.

    `gain` is how much better the candidate's recipe is; its bounds are widened for `n_settings` settings that the
    recipe was chosen among. `left_out` says which origins one of the recipes could not learn. Where the champion's
    recipe cannot be learnt again at all, `problem` says why, and the champion is compared as the artifact it is.
    """

    recipe_id: str | None = None
    span: Window | None = None
    n_rows: int = 0
    n_blocks: int = 0
    n_days: int = 0
    n_settings: int = 1
    candidate: float | None = None
    champion: float | None = None
    gain: Estimate | None = None
    origins: tuple[OriginFigures, ...] = ()
    left_out: tuple[str, ...] = ()
    problem: str | None = None
