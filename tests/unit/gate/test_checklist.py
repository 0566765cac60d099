"""Each item of the checklist alone blocks; what is missing blocks; warnings do not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from retraining.gate import Policy, decide, release_checklist
from retraining.gate.checklist import CANDIDATE, checklist, holm
from retraining.records import CalibrationResult, CaseResult, Estimate, Evidence, Item, Served, SliceResult
from retraining.spec.gate import Budgets, Calibration
from samples.records import estimate, evaluation, rival
from tests.unit.gate.test_decision import POLICY

SERVED = Served(load_s=0.1, latency_ms=5.0, memory_mb=300.0, size_mb=1.0, difference=0.0)
OBEYED = CaseResult("a storm delays", "direction", True, "+0.2", "increase")
BROKEN = dataclasses.replace(OBEYED, passed=False, figure="-0.2")


def _slice(**changes: Any) -> SliceResult:
    base = SliceResult("origin = JFK", 400, 0.70, 0.71, estimate(-0.03, 0.01), 0.04, 0.9, blocks=True)
    return dataclasses.replace(base, **changes)


WORSE = _slice(candidate=0.6, gain=estimate(-0.13, -0.09), p_worse=0.0001)


def _problems(changes: dict[str, Any], policy: Policy = POLICY) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {"pass": [], "warn": [], "block": []}
    for item in checklist(evaluation(**changes), policy):
        found[item.outcome].append(item)
    return found


@pytest.mark.parametrize(
    ("item", "changes"),
    [
        ("validation", {"validated": Evidence(False, "snapshot 12ab did not pass validation")}),
        ("validation", {"validated": None}),
        ("environment", {"locked": Evidence(False, "1 packages are not as requirements.txt says: numpy")}),
        ("environment", {"locked": None}),
        ("baseline", {"over_baseline": estimate(-0.01, 0.2)}),
        ("baseline", {"over_baseline": None}),
        ("slice: origin = JFK", {"slices": (WORSE,)}),
        ("slice: tail", {"slices": (_slice(name="tail", gain=None, problem="no such column", evaluated=False),)}),
        ("calibration", {"calibration": CalibrationResult(0.3, None, None)}),
        ("calibration", {"calibration": CalibrationResult(0.15, 0.02, estimate(-0.15, -0.10))}),
        ("calibration", {"calibration": CalibrationResult(float("nan"), None, None)}),
        ("calibration", {"calibration": CalibrationResult(0.1, 0.1, Estimate(*[float("nan")] * 4, 27))}),
        ("calibration", {"calibration": None}),
        ("case: a storm delays", {"cases": (BROKEN,)}),
        ("case: a storm delays", {"cases": (dataclasses.replace(BROKEN, evaluated=False),)}),
        ("opponent", {"opponent": rival(gain=estimate(-0.3, -0.1))}),
        ("opponent", {"opponent": rival(gain=None)}),
        ("champion", {"over_champion": None, "opponent": rival(release_id="older")}),
        ("champion", {"over_champion": estimate(-0.3, -0.1), "opponent": rival(release_id="older")}),
        ("anchor", {"anchor": rival(release_id="oldest", gain=estimate(-0.3, -0.1))}),
    ],
)
def test_an_item_alone_blocks(item: str, changes: dict[str, Any]) -> None:
    found = _problems(changes)
    assert [i.name for i in found["block"]] == [item]
    judged = decide(evaluation(**changes), POLICY)
    assert judged.decision == "reject"
    if judged.checklist:  # what cannot be compared at all comes to no checklist
        assert judged.reasons == (found["block"][0].sentence,)
        assert all(i.remedy for i in found["block"] if "missing" not in i.sentence)


def test_a_good_candidate_passes_every_item_in_reading_order() -> None:
    judged = decide(evaluation(slices=(_slice(),), cases=(OBEYED,)), POLICY)
    assert judged.decision == "promote"
    assert [(i.name, i.outcome) for i in judged.checklist] == [
        ("validation", "pass"),
        ("environment", "pass"),
        ("baseline", "pass"),
        ("slice: origin = JFK", "pass"),
        ("calibration", "pass"),
        ("case: a storm delays", "pass"),
        ("opponent", "pass"),
    ]
    assert len(CANDIDATE) == 10, "a new item needs a case in which it alone blocks, or warns"


def test_a_slice_that_passes_says_that_it_is_not_shown_to_be_worse_and_how_little_that_is() -> None:
    (item,) = [i for i in decide(evaluation(slices=(_slice(),)), POLICY).checklist if i.name.startswith("slice")]
    assert item.outcome == "pass"
    assert "not shown to lose more than 0.04" in item.sentence
    assert "gain -0.0100 (-0.0300 to +0.0100, 400 rows)" in item.sentence


@pytest.mark.parametrize(
    ("item", "changes", "policy", "says"),
    [
        ("feature: paid_at", {"told": (("paid_at", 0.998),)}, {}, "paid_at alone tells 99.8% of the target"),
        ("rule", {}, {"rule": "refresh"}, "gate.rule forces refresh"),
        ("margin", {"baseline": 0.68}, {}, "more than half of what the champion is worth: 0.01 counts"),
        ("rows", {"n_rows": 120}, {"min_rows": 100}, "decided on 120 rows"),
    ],
)
def test_what_a_team_can_hardly_defend_is_said_on_the_verdict(
    item: str, changes: dict[str, Any], policy: dict[str, Any], says: str
) -> None:
    judged = decide(evaluation(**changes), dataclasses.replace(POLICY, **policy))
    assert judged.decision == "promote"
    (warned,) = [i for i in judged.checklist if i.outcome == "warn"]
    assert warned.name == item and says in warned.sentence and warned.sentence in judged.reasons


@pytest.mark.parametrize(
    ("changes", "policy", "why"),
    [
        ({"slices": (_slice(gain=estimate(-0.12, 0.0), p_worse=0.2),)}, POLICY, "but that may be chance"),
        ({"slices": (dataclasses.replace(WORSE, blocks=False),)}, POLICY, "is worse by more than 0.04"),
        ({"slices": (_slice(gain=None, problem="60 rows, it takes 200"),)}, POLICY, "was not judged: 60 rows"),
        (
            {"calibration": CalibrationResult(0.3, None, None)},
            dataclasses.replace(POLICY, calibration=Calibration()),
            "do not mean what they say",
        ),
        (
            {"calibration": CalibrationResult(0.15, 0.02, estimate(-0.15, -0.10))},
            dataclasses.replace(POLICY, calibration=Calibration(if_worse="warn")),
            "worse calibrated than the champion",
        ),
        (
            {"locked": Evidence(False, "1 packages differ")},
            dataclasses.replace(POLICY, environment="recorded"),
            "1 packages differ",
        ),
    ],
)
def test_a_warning_is_said_and_does_not_block(changes: dict[str, Any], policy: Policy, why: str) -> None:
    judged = decide(evaluation(**changes), policy)
    assert judged.decision == "promote"
    assert why in "; ".join(judged.reasons)
    assert judged.reasons[-1].startswith("refresh: not worse"), "the comparison with the champion comes last"


def test_of_twenty_slices_one_fails_by_chance_and_does_not_block() -> None:
    by_chance = _slice(name="s0", gain=estimate(-0.13, -0.03), p_worse=0.03)
    many = (by_chance, *(_slice(name=f"s{i}", p_worse=0.5) for i in range(1, 20)))
    assert decide(evaluation(slices=many), POLICY).decision == "promote"
    assert decide(evaluation(slices=(by_chance,)), POLICY).decision == "reject"


def test_slices_of_one_name_do_not_hide_each_other() -> None:
    fine = dataclasses.replace(_slice(), name=WORSE.name)
    assert decide(evaluation(slices=(WORSE, fine)), POLICY).decision == "reject"
    assert decide(evaluation(slices=(fine, WORSE)), POLICY).decision == "reject"


def test_holm_rejects_step_by_step() -> None:
    assert holm({"a": 0.02, "b": 0.024, "c": 0.5}, 0.05) == set()
    assert holm({"a": 0.016, "b": 0.024, "c": 0.5}, 0.05) == {"a", "b"}
    assert holm({}, 0.05) == set()


@pytest.mark.parametrize(
    ("item", "flips", "served", "cases"),
    [
        ("flips", 0.11, SERVED, ()),
        ("flips", None, SERVED, ()),
        ("latency", 0.0, dataclasses.replace(SERVED, latency_ms=101.0), ()),
        ("memory", 0.0, dataclasses.replace(SERVED, memory_mb=4000.0), ()),
        ("size", 0.0, dataclasses.replace(SERVED, size_mb=501.0), ()),
        ("case: a storm delays", 0.0, SERVED, (BROKEN,)),
    ],
)
def test_an_item_of_a_release_alone_blocks(item: str, flips: float | None, served: Served, cases: Any) -> None:
    found = release_checklist(flips, served, cases, POLICY)
    assert [i.name for i in found if i.outcome == "block"] == [item]


def test_a_release_that_could_not_be_served_is_blocked() -> None:
    blocked = {i.name for i in release_checklist(0.0, None, (), POLICY) if i.outcome == "block"}
    assert blocked == {"latency", "memory", "size"}
    generous = dataclasses.replace(POLICY, budgets=Budgets(latency_ms=200), max_flips=1.0)
    slow = dataclasses.replace(SERVED, latency_ms=150.0)
    assert all(i.outcome == "pass" for i in release_checklist(1.0, slow, (OBEYED,), generous))
