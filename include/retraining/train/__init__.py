"""Train: try each candidate by time-ordered cross-validation, choose one, fit it up to the holdout."""

from retraining.train.candidates import describe, try_candidate
from retraining.train.choose import choose
from retraining.train.fitting import fit
from retraining.train.folds import MIN_FOLD_ROWS
from retraining.train.job import Job
from retraining.train.recipe import make_card, recipe_id
from retraining.train.rows import MIN_ROWS, Labelled, labelled_rows, learnt, smoke_rows

__all__ = [
    "MIN_FOLD_ROWS",
    "MIN_ROWS",
    "Job",
    "Labelled",
    "choose",
    "describe",
    "fit",
    "labelled_rows",
    "learnt",
    "make_card",
    "recipe_id",
    "smoke_rows",
    "try_candidate",
]
