"""When the monitor asks, and what holds it back: a table of cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from retraining.monitor.triggers import Policy, Situation, decide, drifted_columns, make_request
from retraining.records import Measurement
from samples.records import change, drift, measurement
from samples.tiny import day

POLICY = Policy(
    mode="auto",
    on_performance=True,
    on_drift="unless_performance_holds",
    k=2,
    n=3,
    history=90,
    min_importance=0.02,
    cooldown=timedelta(days=8),
    min_new_labels=500,
)
OUT: dict[str, Any] = {"drift": (drift(), drift("x2", drifted=False))}
NO_LABELS: dict[str, Any] = {"performance": (), "performance_note": "there are no labels", "n_new_labels": 0}
PARTLY: dict[str, Any] = {"unknown": ("minutes is inf",), "performance_note": "not all of it is known"}
FELL: dict[str, Any] = {"performance": (change(worse=True),)}


def days(*changes: dict[str, Any]) -> tuple[Measurement, ...]:
    """Return measurements, newest first."""
    return tuple(measurement(50 - back, **one) for back, one in enumerate(changes))


def again(*changes: dict[str, Any]) -> tuple[Measurement, ...]:
    """Return measurements of one day, an hour apart, newest first."""
    return tuple(
        replace(measurement(50, **one), as_of=day(50) + timedelta(hours=9 - back)) for back, one in enumerate(changes)
    )


@pytest.mark.parametrize(
    ("recent", "policy", "situation", "outcome", "why"),
    [
        (days({}), {}, {}, "quiet", "no drift in 2 columns"),
        (days(NO_LABELS), {}, {}, "quiet", "there are no labels"),
        (days(OUT), {}, {}, "quiet", "out today only: x1"),
        (days(OUT, {}, {}), {}, {}, "quiet", "out today only: x1"),
        (days({"health": ("x1: 50% missing",)}), {}, {}, "watch", "x1: 50% missing"),
        # performance
        (days(FELL), {}, {}, "ask", "roc_auc 0.6 in the last 14 days"),
        (days(FELL), {"mode": "suggest"}, {}, "suggest", "fell"),
        (days(FELL), {"mode": "observe"}, {}, "held", "mode is observe"),
        (days(FELL), {"on_performance": False}, {}, "watch", "retrain.on_performance is off"),
        (days({**FELL, "n_new_labels": 499}), {}, {}, "held", "499 new labels, fewer than retrain.min_new_labels"),
        # cooldown, measured between as-of times
        (days(FELL), {}, {"last_verdict_as_of": day(43)}, "held", "cooldown of 8d after the verdict as of 2024-02-13"),
        (days(FELL), {}, {"last_verdict_as_of": day(42)}, "ask", "fell"),
        (days(FELL), {}, {"taken_back_as_of": day(43)}, "held", "cooldown of 8d after the return as of 2024-02-13"),
        (days(FELL), {}, {"last_verdict_as_of": day(41), "taken_back_as_of": day(44)}, "held", "the return as of"),
        (days(FELL), {}, {"last_verdict_as_of": day(44), "taken_back_as_of": day(41)}, "held", "the verdict as of"),
        (days(FELL), {}, {"last_verdict_as_of": day(43), "open_request": True}, "ask", "fell"),
        # drift
        (days({**OUT, **NO_LABELS}, OUT), {}, {}, "ask", "drift on 2 of 3 days in x1"),
        (days({**OUT, **NO_LABELS}, {}, OUT), {}, {}, "ask", "drift on 2 of 3 days in x1"),
        (days({**OUT, **NO_LABELS}, {}, {}, OUT), {}, {}, "quiet", "out today only"),
        (days(OUT, OUT), {}, {}, "watch", "drift, but performance holds"),
        (days(OUT, OUT), {"on_drift": "always"}, {}, "ask", "drift on 2 of 3 days"),
        (days({**OUT, **NO_LABELS}, OUT), {"on_drift": "never"}, {}, "watch", "retrain.on_drift is never"),
        (days({**OUT, **FELL}, OUT), {"on_drift": "never"}, {}, "ask", "fell"),
        (days({**OUT, **NO_LABELS}, OUT), {}, {"last_verdict_as_of": day(49)}, "held", "cooldown"),
        (days({**OUT, **NO_LABELS}, OUT), {"mode": "observe"}, {}, "held", "mode is observe"),
        (days({**OUT, **NO_LABELS}, OUT), {"min_new_labels": 10**9}, {}, "ask", "drift on"),
        (days({**OUT, **NO_LABELS}, {**OUT, "release_id": "the champion before"}), {}, {}, "quiet", "out today only"),
        (again({**OUT, **NO_LABELS}, OUT, OUT), {}, {}, "quiet", "out today only: x1"),
        # a mode in which nothing is asked for ends what was asked before it
        (days(FELL), {"mode": "observe"}, {"open_request": True}, "held", "mode is observe"),
        # what cannot be computed neither holds nor falls
        (days({"unknown": ("x1: its distance is nan",)}), {}, {}, "watch", "x1: its distance is nan"),
        (days({**OUT, **PARTLY}, OUT), {}, {}, "ask", "roc_auc 0.7 in the last 14 days"),
        (days(PARTLY), {}, {}, "watch", "minutes is inf"),
    ],
)
def test_decisions(
    recent: tuple[Measurement, ...], policy: dict[str, Any], situation: dict[str, Any], outcome: str, why: str
) -> None:
    known = Situation(recent=recent, last_verdict_as_of=None, open_request=False)
    made = decide(replace(known, **situation), replace(POLICY, **policy))
    assert made.outcome == outcome
    assert why in "; ".join(made.reasons)
    assert bool(made.reason) == (outcome in ("held", "suggest", "ask"))
    assert made.would_change or outcome in ("suggest", "ask"), "it says what would have to change"


def test_no_rate_of_false_alarms_is_stated() -> None:
    """The one that was held only for days that do not resemble each other; no other is known yet."""
    known = Situation(recent=days({**OUT, **NO_LABELS}, OUT), last_verdict_as_of=None, open_request=False)
    assert "drift on 2 of 3 days in x1" in decide(known, POLICY).reasons


def test_columns_without_importance_are_not_a_reason() -> None:
    little = days(*[{"drift": (drift(importance=0.01), drift("prediction", importance=1.0))}] * 2)
    assert drifted_columns(little, POLICY) == ("prediction",)


def test_a_held_request_says_when_it_may_ask() -> None:
    made = decide(Situation(days(FELL), day(45), open_request=False), POLICY)
    assert made.would_change == ("asks from 2024-02-23 00:00 UTC on, if the reason is still there",)


def test_the_same_decision_is_the_same_request() -> None:
    made = decide(Situation(days(FELL), None, open_request=False), POLICY)
    assert make_request(made) == make_request(made)
    later = decide(Situation((measurement(51, **FELL),), None, open_request=False), POLICY)
    assert make_request(later).id != make_request(made).id
    assert make_request(made).as_of == day(50)
