"""A spoilt week is warned about, though candidate and champion are a tie on it, and a person is asked."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from retraining.records import Item, Verdict
from retraining.workspace import Workspace
from samples.tiny import N_DAYS, NAME, retrain, rows, rows_of, write_csv
from tests.e2e.conftest import SECOND, edit, forget_readings

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
