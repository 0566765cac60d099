"""A champion that collapses is warned about whatever the comparison says, and what moved is named."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from retraining.gate import decide
from retraining.gate.footing import N_EARLIER, fall_of, has_collapsed
from retraining.records import Evaluation, Footing, Held, Moved
from samples.records import estimate, evaluation
from samples.tiny import day
from tests.unit.gate.test_decision import POLICY

USUAL = (0.80, 0.78, 0.83, 0.79, 0.81, 0.77, 0.82, 0.80)
"""Own figures on eight earlier holdouts, of which 0.80 was to be expected each time."""


def footing(figure: float, *earlier: float, expected: float = 0.8, **changes: Any) -> Footing:
    """Return how a champion stands that reached a figure, after earlier ones."""
    held = tuple(Held(day(32 - 7 * i), f, 0.8) for i, f in enumerate(earlier))
    base = Footing("champion", Held(day(39), figure, expected), None, held, ())
    return dataclasses.replace(base, **changes)


def judged(found: Footing | None, **changes: Any) -> Evaluation:
    """Return an evaluation in which candidate and champion are a tie."""
    return evaluation(over_champion=estimate(-0.01, 0.01), footing=found, **changes)


TURNED = Moved("hour", "sign", 0.41, -0.22, 0.5)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (footing(0.60, *USUAL), "0.2000 less than these rows let expect, chance explains 0.04"),
        (footing(0.60, *USUAL[:2], moved=(TURNED,)), "hour turned its sign: correlated +0.41 with predictions, -0.22"),
        (footing(0.30, lift=estimate(-0.3, -0.1)), "worse than a model without features (-0.2000)"),
        (footing(0.52, lift=estimate(-0.01, 0.05)), "own predictions let expect 0.8000, and it is not shown to beat"),
        (footing(0.76, *USUAL, moved=(TURNED,)), "a fall of 0.0400 with a cause that is seen"),
    ],
)
def test_a_collapse_warns_and_never_hides_behind_a_tie(found: Footing, said: str) -> None:
    verdict = decide(judged(found), POLICY)
    (item,) = [i for i in verdict.checklist if i.name == "footing"]
    assert (verdict.decision, item.outcome) == ("promote", "warn")
    assert said in item.sentence and item.sentence in verdict.reasons and item.remedy


@pytest.mark.parametrize(
    "found",
    [
        footing(0.76, *USUAL),  # a fall, but chance explains it
        footing(0.77, *[0.8, 0.801, 0.799] * 2),  # beyond chance, but a small one
        footing(0.72, *USUAL, expected=0.72),  # the season: these rows are harder, and the model knows it
        footing(0.70, 0.9, 0.6, 0.95, 0.65, 0.8),  # a large one, in a model whose weeks differ as much
        footing(0.60, *USUAL[:3]),  # too little history to tell chance
        footing(0.60, *USUAL[:3], lift=estimate(0.01, 0.1)),
        footing(0.52, *USUAL[:3], lift=estimate(-0.3, 0.1), expected=0.54),
        footing(0.79, *USUAL, moved=(TURNED,)),  # a column moved, and nothing was lost
        footing(0.90, *USUAL, moved=(TURNED,)),
    ],
)
def test_what_is_no_collapse_passes(found: Footing) -> None:
    (item,) = [i for i in decide(judged(found), POLICY).checklist if i.name == "footing"]
    assert item.outcome == "pass"


def test_too_few_earlier_holdouts_are_named() -> None:
    (item,) = [i for i in decide(judged(footing(0.6, *USUAL[:3])), POLICY).checklist if i.name == "footing"]
    assert "3 earlier holdouts are too few to say what chance does, it takes 4" in item.sentence


def test_a_metric_of_which_less_is_better_falls_by_rising() -> None:
    usual = dataclasses.replace(
        footing(13.0, expected=12.0), earlier=tuple(Held(day(i), 9 + i % 2, 12) for i in range(6))
    )
    assert fall_of(usual, greater_is_better=False, confidence=0.95).beyond == pytest.approx(3.5)
    assert has_collapsed(judged(usual, greater_is_better=False), POLICY)
    assert not has_collapsed(judged(usual, greater_is_better=True), POLICY)


def test_without_a_champion_or_a_time_there_is_no_footing() -> None:
    for e in (judged(None), judged(footing(0.3, *USUAL), champion_release_id=None)):
        assert "footing" not in [i.name for i in decide(e, POLICY).checklist]


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        (Moved("temp", "scale", 56.2, 13.1, 0.2), "temp changed its scale: median 13.1, it was 56.2"),
        (Moved("temp", "spread", 2.0, 30.0, 0.2), "temp changed its scale: middle half's width 30, it was 2"),
        (Moved("temp", "nulls", 0.02, 1.0, 0.2), "temp is missing in 100% of the rows, it was in 2%"),
        (Moved("dest", "categories", 0.0, 0.31, 0.2), "dest has categories that were never seen in 31% of the rows"),
    ],
)
def test_how_a_column_moved_is_a_sentence(moved: Moved, said: str) -> None:
    verdict = decide(judged(footing(0.6, *USUAL, moved=(moved,))), POLICY)
    assert said in "; ".join(verdict.reasons)


def test_the_history_is_bounded() -> None:
    assert len(USUAL) == N_EARLIER
