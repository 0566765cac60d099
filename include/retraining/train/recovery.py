"""Recovery: after a collapse, the recipe that learnt only what came after it competes too, judged on the newest days.

A model that learnt mostly old rows is worse than none where the world turned round, and stays so until the new rows are
the most. Nothing is known yet of whether the change lasts; that shows on the holdout, which nobody here has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from retraining.gate.rivals import MIN_DAYS
from retraining.records import Reach, Tried, shown_day
from retraining.stats.blocks import count_days
from retraining.train.candidates import STAGE, candidate_key, is_kept, out_of_fold, run_candidate
from retraining.train.choice import Comparison, simplest_of_the_best
from retraining.train.folds import MIN_FOLD_ROWS, Fold, OutOfFold, fold_length
from retraining.train.job import Job
from retraining.train.rows import MIN_ROWS

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Attempt:
    """What the recipes that learnt only the newest rows came to: the better candidate, if any, and a sentence."""

    tried: tuple[Tried, ...]
    chosen: Tried | None
    why: str


def attempt(job: Job, since: datetime, ordinary: Tried, out: OutOfFold, compare: Comparison) -> Attempt:
    """Try every candidate on the rows from `since` on, and compare with the ordinary choice on the newest days.

    The ordinary one stays where it is within one standard error: it has more to learn from.
    """
    after = f"what came after {shown_day(since)}"
    fold = newest_days(job, since)
    if fold is None:
        return Attempt((), None, f"there are too few rows to learn only {after}")
    tried = [_try(job, index, since, fold) for index in range(job.n_candidates)]
    outs = [out.among(job.metric, job.data.y, fold[1][out.rows]), *(out_of_fold(job.workspace.store, t) for t in tried)]
    names = [ordinary.score.name, *(t.score.name for t in tried)]
    index, why = simplest_of_the_best(names, outs, compare)
    said = f"a recipe that learnt only {after} competed, on the newest {_n_days(job, fold)} days: {why}"
    return Attempt(tuple(tried), None if index == 0 else tried[index - 1], said)


def newest_days(job: Job, since: datetime) -> Fold | None:
    """Split what came since then into rows to learn and the newest days to be judged on; None where these are too few.

    Judged are half of it, at least four days and at most a fold's length.
    """
    data, end = job.data, job.snapshot.window.end
    judged = min(fold_length(job.frozen), max(MIN_DAYS * _DAY, (end - since) / 2))
    start, middle = (np.datetime64(t.replace(tzinfo=None), "us") for t in (since, end - judged))
    past, newest = (data.times >= start) & (data.times < middle), data.times >= middle
    if past.sum() < MIN_FOLD_ROWS or (past | newest).sum() < MIN_ROWS or not newest.any():
        return None
    sides: Sequence[NDArray[np.bool_]] = (past, newest)
    if any((data.y[side] == index).sum() == 0 for side in sides for index in range(len(data.classes))):
        return None
    return past, newest


def _try(job: Job, index: int, since: datetime, fold: Fold) -> Tried:
    """Try a candidate on what came since then; finished work is reused."""
    reach, ledger = Reach(since=since), job.workspace.ledger
    key = candidate_key(job.frozen.id, job.snapshot.id, index, since)
    done = ledger.finished(Tried, job.frozen.model, STAGE, key)
    if done is not None and is_kept(job.workspace.store, done):
        return done
    found = run_candidate(job, index, key, reach, [fold])
    ledger.finish(job.frozen.model, STAGE, key, found)
    return found


def _n_days(job: Job, fold: Fold) -> int:
    return count_days(job.data.times[fold[1]])
