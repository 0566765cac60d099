"""A replacement passes where its recipe is shown to be better than the champion's, and on nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from retraining.evaluation.looking import begins_at
from retraining.gate import Policy, decide
from retraining.gate.champion import bar_of, comparisons, decisive
from retraining.records import Estimate, Evaluation, Look, OriginFigures, Replacement, Rolled, Window
from retraining.spec import Spec
from samples.records import estimate, evaluation
from samples.tiny import SPEC, day

POLICY = Policy.of(Spec.model_validate(SPEC))
ORIGINS = tuple(OriginFigures(Window(day(18 + 7 * i), day(25 + 7 * i)), 280, 0.8, 0.7) for i in range(3))


def replaced(gain: Estimate | None, **changes: Any) -> Evaluation:
    """Return a replacement whose recipe was compared with the champion's over three weeks."""
    found = Replacement("theirs", Window(day(18), day(39)), 840, 84, 21, 1, 0.8, 0.7, gain, ORIGINS)
    return evaluation(rule="replace", replacement=replace(found, **changes), opponent=None)


@pytest.mark.parametrize(
    ("gain", "decision", "why"),
    [
        (estimate(0.01, 0.09), "promote", "replace: better at 95% confidence: roc_auc 0.8000 against 0.7000, gain"),
        (estimate(-0.01, 0.09), "inconclusive", "replace: the holdouts cannot tell"),
        (estimate(-0.02, 0.04), "reject", "replace: not better by as much as 0.05"),
        (estimate(-0.09, -0.01), "reject", "replace: worse than the champion's recipe"),
        (None, "reject", "there is no comparison with the champion's recipe; what is missing blocks"),
    ],
)
def test_the_recipes_decide_whatever_the_artifacts_say(gain: Estimate | None, decision: str, why: str) -> None:
    for over_champion in (estimate(0.05, 0.15), estimate(-0.15, -0.05), None):
        found = decide(replace(replaced(gain), over_champion=over_champion), POLICY)
        assert found.decision == decision and any(why in reason for reason in found.reasons), found


def test_a_verdict_names_origins_days_span_and_what_widened_it() -> None:
    e = replace(replaced(estimate(0.01, 0.09), n_settings=9, left_out=("2024-01-01: no rows",)), looks=2)
    reason = decide(e, POLICY).reasons[-1]
    assert "840 rows of 21 days in 3 holdouts (1 left out), 2024-01-19 to 2024-02-09 UTC" in reason
    assert "widened for 2 earlier looks, 9 settings that it was chosen among" in reason


def test_the_remedy_says_over_how_many_holdouts_the_gain_would_pass() -> None:
    remedy = decide(replaced(estimate(-0.02, 0.06)), POLICY).would_change[0]
    assert "or this gain over about 12 holdouts (gate.origins: 12, and a training.window" in remedy
    remedy = decide(replaced(estimate(-0.06, 0.05)), POLICY).would_change[0]
    assert "the gain itself is too small" in remedy
    assert "it would take more than a year" in decide(replaced(estimate(-0.05, 0.06)), POLICY).would_change[0]


def test_fewer_than_four_days_over_all_holdouts_decide_nothing() -> None:
    found = decide(replaced(None, n_days=3), POLICY)
    assert found.decision == "inconclusive" and "it takes 4 distinct ones" in found.reasons[0]


def test_a_champion_whose_recipe_cannot_be_learnt_is_compared_as_it_is() -> None:
    e = evaluation(rule="replace", replacement=Replacement(problem="it was adopted"), opponent=None)
    found = decide(e, POLICY)
    assert found.decision == "promote"
    assert found.reasons[-1].endswith("; compared as it is, not by its recipe: it was adopted")
    missing = decide(replace(e, over_champion=None, champion=None, incomparable="no x2"), POLICY)
    assert missing.decision == "reject" and "no x2; compared as it is" in missing.reasons[0]


def test_the_recipes_are_the_decisive_comparison_of_the_pages() -> None:
    e = replaced(estimate(0.01, 0.09))
    assert decisive(e) == (0.7, estimate(0.01, 0.09)) and bar_of(e, POLICY) == 0.0
    assert [name for name, *_ in comparisons(e)][:2] == ["champion's recipe over 3 holdouts", "champion in office"]


def test_what_is_judged_in_its_place_says_so_first() -> None:
    found = decide(evaluation(instead_of="f" * 64), POLICY)
    assert found.decision == "promote"
    assert found.reasons[0].endswith("because the replacement did not pass (verdict ffffffff)")


def test_looks_are_those_at_rows_of_any_of_the_holdouts() -> None:
    window = Window(day(32), day(39))
    rolled = [Rolled("tiny", "a", "b", "s", "h", i, o.holdout, 280, "p") for i, o in enumerate(reversed(ORIGINS))]
    assert begins_at(window, []) == day(32) and begins_at(window, rolled) == day(18)
    assert begins_at(window, [rolled[0], replace(rolled[2], problem="too few rows")]) == day(32)
    look = Look("tiny", "a", True, Window(day(18), day(39)), day(32))
    assert look.near == Window(day(18), day(53)), "holdouts of a later verdict begin as long before its newest"
    assert Look("tiny", "a", False, window, day(32)).near == window
    later = Look("tiny", "b", True, Window(day(38), day(59)), day(52))
    assert later.shares_rows_with(look) and look.shares_rows_with(later)
    assert not replace(later, window=Window(day(39), day(59))).shares_rows_with(look)
    assert not later.shares_rows_with(replace(look, replace=False))
