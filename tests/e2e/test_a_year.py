"""A year of weekly retrainings on the default path: who is compared with whom, and what becomes of one spoilt week."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from retraining.pipeline import monitor, score
from retraining.records import Probation, Verdict
from retraining.workspace import Workspace
from samples.tiny import NAME, day, retrain, rows, rows_of, tiny
from tests.support.pictures import undrawn
from tests.support.preflight import in_this_process

FIRST_WEEK, N_WEEKS, SPOILT = 5, 52, 30
"""The week after which the first model is trained (its window and a holdout are then there), how many follow it, and
the week whose rows are spoilt."""
TRAINED = range(FIRST_WEEK, FIRST_WEEK + N_WEEKS)
N_ROWS, TIMES = 100, 5
WINDOW = 4
"""Weeks that a model learns from: as long a spoilt week is part of them."""


def source(number: int) -> pd.DataFrame:
    """Return a day's rows; in the spoilt week others come in, five times over, whose `x2` means the opposite.

    What it says of `x1` holds, so that the model is still better than none there, and its release learns the rest.
    """
    if number // 7 != SPOILT - 1:
        return rows_of(number, n_rows=N_ROWS)
    made, random = rows_of(number, n_rows=N_ROWS * TIMES), np.random.default_rng([number, 1])
    y = (1.3 * made["x1"] - 1.1 * made["x2"] + random.logistic(size=len(made)) > 0).astype(int)
    return made.assign(y=y, id=[f"{number:05d}-{i:04d}" for i in range(len(made))])


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """An installation after a year: retrained each Monday; scored and watched daily in the spoilt week and the next."""
    workspace = tiny(tmp_path_factory.mktemp("year"), frame=rows(range(7 * TRAINED.stop), source))
    frozen = workspace.spec(NAME)
    with in_this_process(), undrawn():
        for week in TRAINED:
            retrain(workspace, day(7 * week + 1) + timedelta(hours=4))
            for number in range(7 * week + 1, 7 * week + 8) if week in (SPOILT - 1, SPOILT) else ():
                score.run(workspace, frozen, day(number) + timedelta(hours=5))
                monitor.run(workspace, frozen, day(number) + timedelta(hours=7))
    return workspace


@pytest.fixture(scope="module")
def verdicts(year: Workspace) -> dict[int, Verdict]:
    """The verdicts by the week that they judged."""
    return {(v.evaluation.window.end - day(0)).days // 7: v for v in year.ledger.verdicts(NAME)}


pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def footing(verdict: Verdict) -> str:
    return next(i.outcome for i in verdict.checklist if i.name == "footing")


def test_each_verdict_names_two_different_models(verdicts: dict[int, Verdict]) -> None:
    assert sorted(verdicts) == list(TRAINED), "no week waits for another"
    first, second = (verdicts[week].evaluation for week in TRAINED[:2])
    assert first.champion is None and second.opponent is None, "the second has nobody a holdout older"
    for week in TRAINED[2:]:
        e = verdicts[week].evaluation
        assert e.opponent is not None, week
        assert e.opponent.cutoff <= e.window.start - timedelta(days=7), "it learnt a holdout less than the candidate"
        assert e.opponent.candidate != e.opponent.figure, "two models, two figures"


def test_sound_weeks_promote_and_warn_of_nothing(verdicts: dict[int, Verdict]) -> None:
    sound = [week for week in TRAINED[1:] if not SPOILT <= week <= SPOILT + WINDOW]
    promoted = [week for week in sound if verdicts[week].decision == "promote"]
    assert len(promoted) >= 0.8 * len(sound), "refreshes that are as good pass in four weeks of five"
    assert sum(footing(verdicts[week]) != "pass" for week in sound) <= 0.05 * len(sound)


def test_a_spoilt_week_is_warned_about_and_what_was_made_of_it_is_taken_back(
    year: Workspace, verdicts: dict[int, Verdict]
) -> None:
    spoilt = verdicts[SPOILT]
    assert (spoilt.decision, footing(spoilt)) == ("promote", "warn"), "the candidate had not learnt of it: a tie"
    assert any("x2 turned its sign" in i.sentence for i in spoilt.checklist if i.name == "footing")
    history = year.ledger.champions(NAME)
    (back,) = [c for c in history if c.kind == "return"]
    bad, before = history[back.sequence - 2], history[back.sequence - 3]
    assert (bad.verdict_id, back.release_id, back.by) == (spoilt.id, before.release_id, "probation")
    assert day(7 * SPOILT + 1) < back.as_of < day(7 * SPOILT + 8), "before the next retraining"
    looks = year.ledger.recorded(Probation, NAME, "probation").values()
    (worse,) = [look for look in looks if look.outcome == "worse"]
    assert worse.gain is not None and worse.gain.upper < 0 and worse.sequence == bad.sequence
    assert [a.kind for a in year.ledger.alerts(NAME)].count("taken back") == 1


def test_it_is_recovered_from_when_the_week_has_left_the_training_window(
    year: Workspace, verdicts: dict[int, Verdict]
) -> None:
    after = {week: verdicts[week].decision for week in range(SPOILT + 1, SPOILT + WINDOW + 2)}
    assert "promote" not in list(after.values())[:-1], "what learnt the spoilt rows is worse than who stayed"
    assert after[SPOILT + WINDOW + 1] == "promote"
    last = verdicts[TRAINED[-1]].evaluation
    figures = [verdicts[week].evaluation.candidate or 0 for week in TRAINED if week < SPOILT]
    assert last.candidate is not None and last.candidate > np.mean(figures) - 0.05
    assert year.ledger.champions(NAME)[-1].as_of > day(7 * TRAINED[-5])
