"""The gate's decision: a table of cases, and that a better candidate is never judged worse."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from retraining.gate import Policy, decide, lacking, make_verdict
from retraining.records import Estimate, Evaluation
from retraining.spec.gate import Budgets, Calibration, Gate
from samples.records import against, estimate, evaluation, rival
from samples.tiny import day

POLICY = Policy(
    margin=0.02,
    min_rows=500,
    min_blocks=20,
    holdout=timedelta(days=7),
    label_delay=timedelta(days=1),
    partition=timedelta(days=1),
    max_flips=0.1,
    calibration=Calibration(limit=0.2),
    budgets=Budgets(),
    environment="locked",
)
FIRST: dict[str, Any] = {
    "rule": "first",
    "champion_release_id": None,
    "champion_sequence": None,
    "champion_as_of": None,
    "champion_cutoff": None,
    "champion": None,
    "over_champion": None,
    "opponent": None,
}
REPLACE: dict[str, Any] = {"rule": "replace"}
NAN = float("nan")


def _can_decide(e: Evaluation) -> bool:
    return lacking(e.n_rows, e.n_blocks, e.n_days or 0, e.n_classes, POLICY, time=e.time_ordered) is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"n_rows": 500, "n_blocks": 20, "n_days": 4, "n_classes": 2},
        {"n_days": 1, "time_ordered": False},
        {"n_classes": None},
        *({name: few} for name, few in (("n_rows", 499), ("n_blocks", 19), ("n_days", 3), ("n_classes", 1))),
    ],
)
def test_whether_a_holdout_can_decide_is_known_before_its_figures(changes: dict[str, Any]) -> None:
    e = evaluation(**changes)
    assert _can_decide(e) == bool(decide(e, POLICY).checklist)


@pytest.mark.parametrize(
    ("changes", "decision", "why"),
    [
        (FIRST, "promote", "there is no champion yet"),
        ({}, "promote", "refresh: not worse by 0.02 at 95% confidence"),
        (against(estimate(-0.019, 0.03)), "promote", "not worse by 0.02"),
        (against(estimate(-0.02, 0.03)), "inconclusive", "the holdout cannot tell"),
        (against(estimate(-0.3, 0.3)), "inconclusive", "lower bound must be above -0.0200"),
        (against(estimate(-0.3, -0.01)), "reject", "worse than champion 1, trained to 2024-01-26"),
        (against(estimate(-0.015, -0.005)), "promote", "not worse by 0.02"),
        ({**REPLACE, "over_champion": estimate(0.001, 0.1)}, "promote", "replace: better at 95%"),
        ({**REPLACE, "over_champion": estimate(0.0, 0.1)}, "inconclusive", "lower bound must be above +0.0000"),
        ({**REPLACE, "over_champion": estimate(-0.05, 0.01)}, "reject", "not better by as much as 0.02"),
        ({**REPLACE, "over_champion": estimate(-0.05, -0.01)}, "reject", "worse than the champion"),
        ({"over_baseline": estimate(-0.01, 0.3)}, "reject", "not better than a model without features"),
        ({**FIRST, "over_baseline": estimate(0.0, 0.3)}, "reject", "not better than a model without features"),
        ({"leaked_rows": 1}, "reject", "1 holdout rows were in the training data"),
        ({**FIRST, "leaked_rows": 1}, "reject", "1 holdout rows were in the training data"),
        ({"candidate": None}, "reject", "could not be computed"),
        ({"over_baseline": None}, "reject", "there is no comparison with the trivial baseline"),
        (against(None), "reject", "there is no comparison with the champion"),
        ({"over_champion": None, "incomparable": "column x1 is missing"}, "reject", "cannot score these rows"),
        (against(Estimate(NAN, NAN, NAN, NAN, 27)), "inconclusive", "cannot tell"),
        ({"over_baseline": Estimate(NAN, NAN, NAN, NAN, 27)}, "reject", "not better than a model without features"),
        ({"n_rows": 499}, "inconclusive", "499 rows in 28 blocks; it takes 500 rows and 20 blocks"),
        ({"n_blocks": 19}, "inconclusive", "1,000 rows in 19 blocks"),
        ({"n_days": 3}, "inconclusive", "of 3 days; it takes 4 distinct ones"),
        ({"n_days": 3, "time_ordered": False}, "promote", "not worse by 0.02"),
        ({"n_classes": 1}, "inconclusive", "rows of one class only"),
        ({**FIRST, "n_rows": 0, "n_blocks": 0}, "inconclusive", "0 rows"),
        ({"n_rows": 0}, "nothing_new", "no mature row is newer than the champion's cut-off 2024-02-02"),
        ({"champion_cutoff": day(39)}, "nothing_new", "no mature row is newer than the champion's cut-off 2024-02-09"),
        ({"champion_cutoff": day(38)}, "promote", "not worse by 0.02"),
        ({"as_of": day(30)}, "superseded", "as of 2024-01-31 00:00, the champion as of 2024-02-03"),
        ({"as_of": day(30), "n_rows": 0, "leaked_rows": 5}, "superseded", "the champion as of"),
    ],
)
def test_verdicts(changes: dict[str, Any], decision: str, why: str) -> None:
    judged = decide(evaluation(**changes), POLICY)
    assert judged.decision == decision
    assert why in "; ".join(judged.reasons)
    computed = "could not be" in why or "there is no comparison" in why
    assert bool(judged.checklist) <= _can_decide(evaluation(**changes)), "figures that decide are of a counted look"
    assert judged.would_change or decision == "promote" or computed, "it says what would have to change"


def test_too_few_rows_name_the_earliest_run_that_can_decide() -> None:
    judged = decide(evaluation(n_rows=10), POLICY)
    assert judged.would_change[0] == "a run as of 2024-02-17 00:00 UTC or later"  # window, holdout and label delay


def test_a_verdict_binds_what_it_was_based_on() -> None:
    base = make_verdict(evaluation(), POLICY, dry_run=False)
    assert make_verdict(evaluation(), POLICY, dry_run=False) == base
    assert make_verdict(evaluation(looks=3), POLICY, dry_run=False).id == base.id
    for changed in (
        {"recipe_id": "x"},
        {"opponent": rival(release_id="x")},
        {"anchor": rival(release_id="x")},
        {"candidate_id": "x"},
        {"champion_release_id": "x"},
        {"champion_sequence": 7},
        {"holdout_id": "x"},
        {"spec_id": "x"},
        {"as_of": day(41)},
    ):
        assert make_verdict(evaluation(**changed), POLICY, dry_run=False).id != base.id
    assert make_verdict(evaluation(), POLICY, dry_run=True).id != base.id


bounds = st.floats(-1, 1, allow_nan=False)
rules = st.sampled_from(["refresh", "replace"])


@given(rules, bounds, bounds, st.floats(0, 1), st.floats(0, 1))
def test_a_better_candidate_is_never_judged_worse(rule: str, one: float, two: float, up: float, more: float) -> None:
    lower, upper = sorted((one, two))
    rank = {"reject": 0, "inconclusive": 1, "promote": 2}
    worse, better = (
        decide(evaluation(rule=rule, **against(estimate(low, high))), POLICY).decision
        for low, high in ((lower, upper), (lower + up, upper + up + more))
    )
    assert rank[better] >= rank[worse]


@given(rules, bounds, bounds, st.integers(0, 2000), st.integers(0, 60), st.integers(0, 3), bounds)
def test_nothing_is_promoted_with_a_flaw(
    rule: str, lower: float, baseline: float, n_rows: int, n_blocks: int, leaked: int, width: float
) -> None:
    found = evaluation(
        rule=rule,
        **against(estimate(lower, lower + abs(width))),
        over_baseline=estimate(baseline, baseline + abs(width)),
        n_rows=n_rows,
        n_blocks=n_blocks,
        leaked_rows=leaked,
    )
    if decide(found, POLICY).decision == "promote":
        assert lower > (-POLICY.margin if rule == "refresh" else 0)
        assert baseline > 0
        assert (n_rows >= 500, n_blocks >= 20, leaked) == (True, True, 0)


def test_every_field_that_may_be_missing_blocks() -> None:
    optional = {"candidate", "over_baseline", "over_champion"}
    assert optional <= {f.name for f in dataclasses.fields(evaluation())}
    for name in optional:
        found = evaluation(**{name: None}, opponent=rival(release_id="another"))
        assert decide(found, POLICY).decision != "promote"
    assert decide(evaluation(opponent=rival(gain=None)), POLICY).decision == "reject"


# --- there is no setting that turns the gate off ------------------------------------------------------------------

PERMISSIVE: dict[str, list[Any]] = {
    "holdout": ["20h", "400d"],
    "rule": ["auto", "refresh", "replace"],
    "origins": [1, 52],
    "margin": [5e-324, 0.02, 1.0, 1e300],
    "confidence": [0.8, 0.999],
    "min_rows": [50],
    "min_blocks": [20],
    "block": [None, "1h"],
    "refit": [True, False],
    "max_flips": [1.0],
    "slices": [[]],
    "calibration": [{"margin": 1, "limit": 1, "if_worse": "warn"}],
    "cases": [None],
    "budgets": [{"latency_ms": 1e300, "memory_mb": 1e300, "size_mb": 1e300}],
    "environment": ["recorded"],
    "approval": ["none", "on_warning", "required"],
    "approvers": [[], ["ann"]],
    "four_eyes": [True, False],
    "approval_timeout": ["1h", "30d"],
}
"""Every key of the YAML's gate with its loosest values. A key that is new must be added: is it a way round the gate?"""


def test_every_key_of_the_gate_is_among_the_permissive_ones() -> None:
    assert set(PERMISSIVE) == set(Gate.model_fields)


@given(
    st.fixed_dictionaries({name: st.sampled_from(values) for name, values in PERMISSIVE.items()}),
    st.sampled_from(["refresh", "replace"]),
    st.floats(0.01, 0.5),
    st.floats(0.5001, 1),
    st.floats(0, 1),
    st.booleans(),
)
def test_no_setting_promotes_what_is_worse_by_a_lot_or_loses_to_the_baseline(
    keys: dict[str, Any], rule: str, worth: float, lost: float, below: float, greater: bool
) -> None:
    gate = Gate.model_validate(keys)
    shared = {name: getattr(gate, name) for name in PERMISSIVE.keys() & {f.name for f in dataclasses.fields(Policy)}}
    policy = dataclasses.replace(POLICY, **shared)
    champion = {"champion": 0.5 + (worth if greater else -worth), "baseline": 0.5, "greater_is_better": greater}
    loss = -worth * lost
    lost_it = Estimate(loss, 0.0, loss, loss, 27)
    opponent = rival(figure=champion["champion"], gain=lost_it)
    worse = evaluation(rule=rule, **champion, over_champion=lost_it, opponent=opponent)
    assert decide(worse, policy).decision != "promote", "half of what the champion is worth is lost"
    loses = evaluation(rule=rule, over_baseline=estimate(-below, 0.0))
    assert decide(loses, policy).decision == "reject", "a model without features is as good"
    for flaw in ({"leaked_rows": 1}, {"n_rows": 49}, {"n_blocks": 19}, {"over_baseline": None}, {"candidate": None}):
        assert decide(evaluation(rule=rule, **flaw), policy).decision != "promote"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("margin", 0),
        ("margin", -1),
        ("margin", NAN),
        ("margin", float("inf")),
        ("confidence", 0.79),
        ("confidence", 0),
        ("min_rows", 0),
        ("min_blocks", 1),
        ("holdout", "0d"),
        ("block", "0h"),
        ("block", "6d"),
        ("slices", [{"column": "a", "margin": float("inf")}]),
        ("rule", "none"),
        ("approval_timeout", "0d"),
        ("approval_timeout", "31d"),
        ("enabled", False),
    ],
)
def test_a_value_that_would_turn_it_off_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Gate.model_validate({key: value})
