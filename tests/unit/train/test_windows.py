"""A candidate may learn only the newest rows; candidates of different windows meet on the newest fold."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retraining.artifacts import stored
from retraining.checking import check_spec
from retraining.errors import NotEnoughData, SpecError
from retraining.records import Reach, digest_of
from retraining.spec import load
from retraining.train import Job, learnt, recipe_id, try_candidate
from retraining.train.choose import choose
from samples.tiny import day, rows, rows_of, write_model
from tests.unit.train.test_train import LOGISTIC, model_in

BOTH = [{"estimator": LOGISTIC}, {"estimator": LOGISTIC, "window": "14d"}]
FORTNIGHT = timedelta(days=14)


def job(folder: Path, changed: int, **keys: Any) -> Job:
    """Return a job on days 4 to 31, in which what `x1` says turns round on a day."""
    frame = rows(range(42), lambda number: rows_of(number, signal=2.0 if number < changed else -2.0))
    workspace, admission, ingested = model_in(folder, frame, candidates=BOTH, **keys)
    return Job(workspace, workspace.frozen(admission.spec_id), ingested.train)


def test_after_a_change_the_short_window_wins_by_the_newest_fold(tmp_path: Path) -> None:
    found = job(tmp_path, 14)
    trained = choose(found, ())
    assert trained.reach == Reach(window=FORTNIGHT)
    assert "of different windows, on the newest fold: LogisticRegression on the newest 14d: best" in trained.why
    card = stored.read_card(found.workspace.store, trained.artifact_id)
    assert card.reach == trained.reach and card.recipe_id == trained.recipe_id
    data = learnt(found.data, card.reach, card.cutoff)
    assert len(data.y) == 14 * 40 == data.rows.num_rows == len(data.x) and data.times.min() >= np.datetime64(
        "2024-01-19"
    )
    assert card.prior[1] == data.y.mean(), "the baseline is of the same rows"


def test_without_a_change_the_long_window_stays(tmp_path: Path) -> None:
    trained = choose(job(tmp_path, 99), ())
    assert trained.reach == Reach() and "of different windows" in trained.why


def test_older_folds_say_nothing_of_a_change(tmp_path: Path) -> None:
    found = job(tmp_path, 24)  # the older fold is from before it, and there the long window is better by far
    long, short = (try_candidate(found, index) for index in (0, 1))
    assert long.score.folds[0] > short.score.folds[0] - 0.05
    assert (long.reach, short.reach) == (Reach(), Reach(window=FORTNIGHT))
    assert short.score.name == "LogisticRegression on the newest 14d"


def test_each_fold_is_learnt_from_the_window_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, learnt_from = job(tmp_path, 99), []
    from retraining.train import folds

    real = folds.fit

    def spy(frozen: Any, estimator: str, params: Any, plan: Any, data: Any, among: Any) -> Any:
        learnt_from.append((data.times[among].min(), data.times[among].max()))
        return real(frozen, estimator, params, plan, data, among)

    monkeypatch.setattr("retraining.train.folds.fit", spy)
    try_candidate(found, 1)
    assert [(last - first) < np.timedelta64(FORTNIGHT) for first, last in learnt_from] == [True, True]
    assert [str(first)[:10] for first, _ in learnt_from] == ["2024-01-05", "2024-01-12"]


def test_a_window_that_leaves_too_little_is_named(tmp_path: Path) -> None:
    frame = rows(range(42), lambda number: rows_of(number, n_rows=5 if number < 18 else 12))
    workspace, admission, ingested = model_in(tmp_path, frame, candidates=BOTH)
    with pytest.raises(NotEnoughData, match="the window of a candidate is too short for 2 folds"):
        try_candidate(Job(workspace, workspace.frozen(admission.spec_id), ingested.train), 1)


def test_a_recipe_without_a_window_keeps_its_id() -> None:
    parts = ("spec", LOGISTIC, {"C": 1}, 0)
    assert recipe_id(*parts) == recipe_id(*parts, Reach()) == digest_of([*parts])
    ids = {recipe_id(*parts, reach) for reach in (Reach(), Reach(FORTNIGHT), Reach(since=day(3)), Reach(since=day(4)))}
    assert len(ids) == 4


def test_a_spec_without_a_window_is_frozen_as_before(tmp_path: Path) -> None:
    plain = load(write_model(tmp_path))
    assert "window" not in plain.document()["spec"]["training"]["candidates"][0]
    other = load(write_model(tmp_path, changes={"training": {"candidates": BOTH}}))
    assert other.learning_id != plain.learning_id
    assert other.document()["spec"]["training"]["candidates"][1]["window"] == "14d"


@pytest.mark.parametrize(
    ("window", "why"),
    [
        ("29d", "LogisticRegression (29d) is longer than training.window (28d)"),
        ("0d", "greater than"),
    ],
)
def test_a_window_that_cannot_be_is_refused(tmp_path: Path, window: str, why: str) -> None:
    path = write_model(tmp_path, changes={"training": {"candidates": [{"estimator": LOGISTIC, "window": window}]}})
    with pytest.raises(SpecError) as caught:
        load(path)
    assert why in str(caught.value)


def test_check_refuses_a_window_that_makes_another_model_of_the_release(tmp_path: Path) -> None:
    short = {"training": {"candidates": [{"estimator": LOGISTIC, "window": "3d"}]}}
    (problem,) = check_spec(load(write_model(tmp_path, changes=short)))
    assert "window 3d is shorter than twice gate.holdout" in problem and "at least 14d" in problem
    timeless = {
        "data": {"time_column": None, "label_delay": None},
        "training": {"window": None, "candidates": BOTH},
        "gate": {"holdout": None},
        "retrain": {"schedule": None},
    }
    problems = check_spec(load(write_model(tmp_path, changes=timeless)))
    assert any("rows without a time_column have no newest ones" in text for text in problems)
