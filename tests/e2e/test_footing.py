"""A spoilt week is warned about, though candidate and champion are a tie on it, and a person is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from retraining.audit.reproduce import reproduce
from retraining.evaluation import recovery
from retraining.records import Item, Verdict
from retraining.workspace import Workspace
from samples.tiny import N_DAYS, NAME, day, retrain, rows, rows_of, write_csv
from tests.e2e.conftest import FIRST, SECOND, edit, forget_readings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_preflight")]


def spoilt(workspace: Workspace, first: int, last: int = N_DAYS) -> Workspace:
    """Turn the sign of a column, as a source does that is changed without a word, from one day to before another."""

    def make(number: int) -> pd.DataFrame:
        made = rows_of(number)
        return made.assign(x1=-made["x1"], x2=-made["x2"]) if first <= number < last else made

    return written(workspace, make)


def written(workspace: Workspace, make: Callable[[int], pd.DataFrame]) -> Workspace:
    """Write the source's rows anew."""
    write_csv(workspace.settings.models / f"{NAME}.csv", rows(range(N_DAYS), make))
    forget_readings(workspace)
    return Workspace(workspace.settings)


def footing(verdict: Verdict | None) -> Item:
    """Return a verdict's item about the champion's footing."""
    assert verdict is not None
    (item,) = [i for i in verdict.checklist if i.name == "footing"]
    return item


def test_a_sound_week_passes(champion: Workspace) -> None:
    result = retrain(champion, SECOND)
    item = footing(result.verdict)
    assert item.outcome == "pass" and "1 earlier holdouts are too few to say what chance does" in item.sentence
    assert result.verdict is not None and result.verdict.evaluation.footing is not None
    assert [h.figure for h in result.verdict.evaluation.footing.earlier] == [
        champion.ledger.verdicts(NAME)[0].evaluation.candidate
    ]


def test_a_column_whose_sign_turned_is_named_and_a_person_is_asked(champion: Workspace) -> None:
    def weaker(number: int) -> pd.DataFrame:
        made = rows_of(number)
        return made.assign(x2=-made["x2"]) if number >= 40 else made

    workspace = written(edit(champion, {"gate": {"approval": "on_warning"}}), weaker)
    result = retrain(workspace, SECOND)
    assert result.verdict is not None and result.verdict.decision == "promote", "a tie"
    item = footing(result.verdict)
    assert item.outcome == "warn" and "the champion itself collapsed" in item.sentence
    assert "x2 turned its sign" in item.sentence and "x1" not in item.sentence
    assert item.sentence in result.verdict.reasons
    assert result.deployment is not None and result.deployment.outcome == "waiting"


def test_a_champion_worse_than_no_model_is_a_collapse_at_once(champion: Workspace) -> None:
    result = retrain(spoilt(champion, 40), SECOND)
    item = footing(result.verdict)
    assert "shown to be worse than a model without features" in item.sentence
    assert "x1 turned its sign" in item.sentence and item.outcome == "warn"


def test_a_model_of_a_short_window_is_released_on_it_and_reproduced_bit_for_bit(new: Workspace) -> None:
    short = {"estimator": "sklearn.linear_model.LogisticRegression", "window": "14d"}
    workspace = edit(new, {"training": {"candidates": [{"estimator": short["estimator"]}, short]}})
    workspace = written(workspace, lambda number: rows_of(number, signal=2.0 if number < 14 else -2.0))
    result = retrain(workspace, FIRST)
    assert result.deployment is not None and result.deployment.outcome == "deployed", result.text
    release = workspace.ledger.releases(NAME)[-1]
    assert release.n_rows == 14 * 40, "the newest fortnight, through the holdout"
    found = reproduce(workspace, NAME)
    assert found.identical and found.file_identical and found.n_rows == 14 * 40 + 50


def test_a_change_that_lasts_is_recovered_from_by_what_came_after_it(champion: Workspace) -> None:
    workspace = spoilt(champion, 40)
    fallen = retrain(workspace, SECOND).verdict
    assert fallen is not None and fallen.decision == "reject", "worse than a model without features"
    result = retrain(workspace, day(55))
    assert result.verdict is not None and result.deployment is not None
    assert result.deployment.outcome == "deployed", result.text
    e = result.verdict.evaluation
    assert "a recipe that learnt only what came after 2024-02-10 competed, on the newest 4 days" in e.chosen
    assert e.candidate is not None and e.candidate > 0.8 and e.champion is not None and e.champion < 0.2
    release = workspace.ledger.releases(NAME)[-1]
    assert release.n_rows == 14 * 40, "from the change on, through the holdout"
    assert reproduce(workspace, NAME).identical
    again = retrain(workspace, day(60)).verdict
    assert again is not None and again.decision == "promote" and footing(again).outcome == "pass"
    assert "learnt only what came after 2024-02-10 competed" in again.evaluation.chosen, "it goes on as long as it pays"
    assert workspace.ledger.releases(NAME)[-1].n_rows == 19 * 40


def test_a_week_that_was_merely_spoilt_leaves_no_short_window_behind(
    champion: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, taken = spoilt(champion, 40, 47), []
    assert footing(retrain(workspace, SECOND).verdict).outcome == "warn"
    footing_of = recovery.footing_of

    def watched(*args: Any) -> Any:
        taken.append(len(workspace.ledger.numbered_looks(NAME)))
        return footing_of(*args)

    monkeypatch.setattr(recovery, "footing_of", watched)
    result = retrain(workspace, day(55))
    assert result.verdict is not None and result.deployment is not None
    assert result.deployment.outcome == "deployed", result.text
    assert result.verdict.evaluation.chosen.startswith("the champion stands again, so what learnt only the rows of its")
    looks = workspace.ledger.numbered_looks(NAME)
    assert taken == [3] and len(looks) == 3, (
        "that the champion stands was seen on the holdout, after the look was counted"
    )
    assert result.verdict.evaluation.look == looks[3].evaluation and result.verdict.evaluation.looks == 0
    assert workspace.ledger.releases(NAME)[-1].n_rows == 28 * 40
    assert reproduce(workspace, NAME).identical
