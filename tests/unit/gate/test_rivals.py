"""Whom a candidate meets: another model than itself, the champion on new rows only, and an anchor against creep."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from retraining.gate import decide
from retraining.gate.rivals import barred, choose_rivals, fallback, standing
from retraining.records import Champion, Window
from samples.records import champion, estimate, evaluation, rival
from samples.tiny import day
from tests.unit.gate.test_decision import POLICY

WEEK = timedelta(days=7)


def history(*cutoffs: int, **kinds: Any) -> list[Champion]:
    """Return a champion per cut-off, promoted one after another; `e3="rollback"` changes what the third is."""
    return [
        champion(n, cutoff=day(cut), kind=kinds.get(f"e{n}", "promotion"), verdict_id=f"v{n}")
        for n, cut in enumerate(cutoffs, start=1)
    ]


def rules(entries: list[Champion], **special: str) -> dict[str, str]:
    """Return the rule of each promotion: the first is first, the others are refreshes."""
    return {f"v{c.sequence}": special.get(f"v{c.sequence}", "first" if c.sequence == 1 else "refresh") for c in entries}


def met(entries: list[Champion], start: int, **special: str) -> tuple[list[int], Any, Any]:
    """Return the sequences of the opponents, from when the champion is compared, and the anchor's sequence."""
    found = choose_rivals(entries, rules(entries, **special), entries[-1], Window(day(start), day(start + 7)), WEEK)
    anchor = None if found.anchor is None else found.anchor.sequence
    return [c.sequence for c in found.opponents], found.champion_from, anchor


def test_on_a_weekly_schedule_the_opponent_is_a_week_older_than_the_candidate() -> None:
    entries = history(7, 14, 21, 28)
    assert met(entries, 28) == ([3, 2, 1], day(28), 1)
    assert all(c.cutoff <= day(28) - WEEK for c in entries[:3]), "the candidate learnt at least a holdout more"


def test_the_first_refresh_meets_nobody_older() -> None:
    assert met(history(28), 28) == ([], day(28), 1)


def test_a_champion_of_three_days_ago_is_compared_on_what_is_newer_than_it() -> None:
    assert met(history(7, 14, 32), 28) == ([2, 1], day(32), 1)
    assert met(history(7, 14, 35), 28)[1] is None


def test_an_old_champion_is_the_opponent() -> None:
    opponents, begins, _ = met(history(7, 14), 28)
    assert (opponents[0], begins) == (2, day(28))


def test_the_anchor_is_where_the_run_of_refreshes_began() -> None:
    weekly = history(*range(7, 7 * 13, 7))
    assert met(weekly, 84)[2] == 4, "the eighth refresh back"
    assert met(weekly, 84, v9="replace")[2] == 9
    assert met(history(*range(7, 7 * 13, 7), e10="override"), 84)[2] == 10
    assert met(history(7, 90), 84)[2] == 1
    assert met(history(90), 84)[2] is None, "it learnt rows of the holdout"


def test_what_a_rollback_took_back_is_no_opponent() -> None:
    entries = history(7, 14, 21)
    back = champion(4, cutoff=day(14), kind="rollback", release_id="release2", verdict_id="v2")
    assert [c.sequence for c in standing([*entries, back])] == [1, 2]
    assert met([*entries, back], 28)[0] == [2, 1]
    later = champion(5, cutoff=day(28), verdict_id="v5")
    assert [c.sequence for c in standing([*entries, back, later])] == [1, 2, 5]


@pytest.mark.parametrize(
    ("changes", "decision", "why"),
    [
        ({"opponent": None}, "promote", "nothing older could be compared"),
        ({"opponent": rival(problem="column x1 is missing", gain=None)}, "promote", "column x1 is missing"),
        ({"opponent": rival(release_id="older", gain=estimate(-0.3, 0.3))}, "inconclusive", "champion 1, trained to"),
        ({"opponent": rival(release_id="older"), "over_champion": estimate(-0.1, -0.03)}, "reject", "worse than the"),
        ({"opponent": rival(release_id="older"), "over_champion": estimate(-0.1, 0.1)}, "promote", "not shown to be"),
        ({"anchor": rival(release_id="first", gain=estimate(-0.1, -0.021))}, "reject", "crept down"),
        ({"anchor": rival(release_id="first", gain=estimate(-0.1, -0.019))}, "promote", "anchor: not shown"),
        ({"anchor": rival(release_id="first", gain=None, problem="freed")}, "promote", "could not be compared: freed"),
        ({"rule": "replace", "over_champion": None, "n_champion_rows": 300}, "inconclusive", "300 of 1,000 holdout"),
        ({"rule": "replace", "over_champion": None}, "reject", "what is missing blocks"),
    ],
)
def test_what_each_comparison_leads_to(changes: dict[str, Any], decision: str, why: str) -> None:
    judged = decide(evaluation(**changes), POLICY)
    assert judged.decision == decision
    assert why in "; ".join(judged.reasons)


def test_a_verdict_names_two_different_models() -> None:
    told = decide(evaluation(opponent=rival(sequence=4, release_id="older")), POLICY).reasons[-1]
    assert "champion 4, trained to 2024-01-29" in told


# --- what probation took back --------------------------------------------------------------------------------------


def returned(entries: list[Champion], target: int) -> list[Champion]:
    """Return the history after probation took the last entry back, to an earlier one."""
    now, to = entries[-1], entries[target - 1]
    back = champion(now.sequence + 1, cutoff=to.cutoff, kind="return", release_id=to.release_id, by="probation")
    return [*entries, back]


def test_what_probation_took_back_is_no_opponent_and_barred_until_a_new_verdict() -> None:
    entries = returned(history(7, 14, 21), 2)
    assert [c.sequence for c in standing(entries)] == [1, 2]
    assert barred(entries) == {"release3"}
    again = [*entries, champion(5, cutoff=day(28), release_id="release3")]
    assert barred(again) == set(), "a new verdict let it in"


def test_a_release_is_compared_with_the_newest_other_one_that_stands() -> None:
    def against(entries: list[Champion]) -> int | None:
        found = fallback(entries)
        return None if found is None else found.sequence

    assert against(history(7)) is None, "a first champion has nobody before it"
    assert against(history(7, 14, 21)) == 2
    assert against([*returned(history(7, 14, 21), 2), champion(5, cutoff=day(28))]) == 2, "not what was taken back"
    rolled = [*history(7, 14, 21), champion(4, cutoff=day(7), kind="rollback", release_id="release1")]
    assert against([*rolled, champion(5, cutoff=day(28))]) == 1, "whom a person rolled back to stands"
    adopted = history(7, 14, e1="adoption")
    assert against(adopted) == 1, "an adopted champion is one like any other"
