"""What learnt only the rows after a collapse competes, on the newest days of them, and wins only where it is better."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from retraining.pipeline.crossing import ids_of, recall
from retraining.records import Reach, Trained, Tried
from retraining.train import Job
from retraining.train.choose import choose
from retraining.train.recovery import newest_days
from samples.tiny import day, rows, rows_of
from tests.unit.train.test_train import LOGISTIC, model_in


def job(folder: Path, changed: int, since: int) -> Job:
    """Return a job on days 4 to 31, in which what `x1` says turns round on a day, after a collapse."""
    frame = rows(range(42), lambda number: rows_of(number, signal=2.0 if number < changed else -2.0))
    workspace, admission, ingested = model_in(folder, frame, candidates=[{"estimator": LOGISTIC}])
    return Job(workspace, workspace.frozen(admission.spec_id), ingested.train, day(since))


def test_after_a_change_what_came_after_it_wins(tmp_path: Path) -> None:
    found = job(tmp_path, 25, 25)
    trained = choose(found, ())
    assert trained.reach == Reach(since=day(25)) and trained.since == day(25)
    assert (
        "learnt only what came after 2024-01-26 competed, on the newest 4 days: LogisticRegression since" in trained.why
    )
    assert [score.name for score in trained.scores] == ["LogisticRegression", "LogisticRegression since 2024-01-26"]
    workspace = found.workspace
    assert recall(workspace, Trained, ids_of(trained)) == trained, "it crosses a task boundary by its own key"
    tried = workspace.ledger.recorded(Tried, "tiny", "candidate").values()
    assert {t.reach for t in tried} == {Reach(), Reach(since=day(25))}
    assert all(recall(workspace, Tried, ids_of(t)) == t for t in tried)
    assert choose(found, ()) == trained, "done work is not done again"


def test_without_a_change_the_ordinary_recipe_stays(tmp_path: Path) -> None:
    trained = choose(job(tmp_path, 99, 25), ())
    assert trained.reach == Reach() and "competed, on the newest 4 days" in trained.why


def test_half_of_what_came_after_it_is_judged_on_at_most_a_fold(tmp_path: Path) -> None:
    def days(since: int) -> tuple[int, int] | None:
        fold = newest_days(found, day(since))
        if fold is None:
            return None
        past, newest = (len(np.unique(found.data.times[side].astype("datetime64[D]"))) for side in fold)
        return past, newest

    found = job(tmp_path, 99, 25)
    assert (days(25), days(20), days(10)) == ((3, 4), (6, 6), (15, 7))
    assert (days(27), days(30)) == (None, None), "too few rows to learn"
    assert choose(Job(found.workspace, found.frozen, found.snapshot, day(29)), ()).reach == Reach()
