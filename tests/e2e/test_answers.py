"""Answers to a promotion that waits, without Airflow: who may answer, what is asked, and what stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retraining.audit.history import events_of
from retraining.errors import RequestError
from retraining.records import Item
from retraining.rollout.approval import (
    TIMEOUT,
    act_on_answer,
    question,
    record_answer,
)
from retraining.rollout.override import override
from retraining.rollout.waiting import has_warning, needs_approval
from retraining.spec import Spec
from retraining.workspace import Workspace
from retraining_airflow.graphs.approve import AskPerson
from samples.records import verdict as a_verdict
from samples.tiny import NAME, SPEC, day, environ, merged, retrain, tiny
from tests.e2e.conftest import FIRST, SECOND, Released
from tests.support.lived import copy_of
from tests.support.pictures import undrawn
from tests.support.preflight import in_this_process

ANN: dict[str, Any] = {"approved": True, "by": "Ann", "user_id": "ann", "reason": "fine"}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, str]:
    """An installation whose first champion waits for ann or bob; nobody changes it."""
    changes = {"gate": {"approval": "required", "approvers": ["ann", "bob"], "approval_timeout": "2d"}}
    workspace = tiny(tmp_path_factory.mktemp("asked"), changes=changes)
    with in_this_process(), undrawn():
        result = retrain(workspace, FIRST)
    assert result.verdict is not None and result.deployment is not None and result.deployment.outcome == "waiting"
    workspace.ledger.close()
    return workspace, result.verdict.id


@pytest.fixture
def waiting(asked: tuple[Workspace, str], tmp_path: Path, quick_preflight: None) -> tuple[Workspace, str]:
    """A copy of it that a test may change."""
    return copy_of(asked[0], tmp_path), asked[1]


def test_who_may_answer_is_checked_again_and_the_first_answer_stays(waiting: tuple[Workspace, str]) -> None:
    workspace, verdict_id = waiting
    with pytest.raises(RequestError, match="eve is not among gate.approvers .ann, bob. of verdict"):
        record_answer(workspace, verdict_id, **{**ANN, "by": "ann", "user_id": "eve"})
    assert workspace.ledger.approval(verdict_id) is None
    assert act_on_answer(workspace, verdict_id).outcome == "waiting"

    for _ in range(2):
        assert record_answer(workspace, verdict_id, **ANN).approved
    with pytest.raises(RequestError, match="was answered yes by Ann on .*; the first answer stays"):
        record_answer(workspace, verdict_id, **{**ANN, "approved": False, "by": "Bob", "user_id": "bob"})
    with pytest.raises(RequestError, match="was answered yes by Ann on .*; there is nothing left to ask"):
        question(workspace, verdict_id, day(41))
    for _ in range(2):
        assert act_on_answer(workspace, verdict_id).outcome == "deployed"
    assert [(c.by, c.sequence) for c in workspace.ledger.champions(NAME)] == [("Ann", 1)]
    assert "approved by Ann" in "\n".join(e.text for e in events_of(workspace.ledger, NAME))


def test_a_task_that_is_tried_again_after_its_answer_does_not_ask_again(
    waiting: tuple[Workspace, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, verdict_id = waiting
    for name, value in environ(workspace.settings).items():
        monkeypatch.setenv(name, value)
    record_answer(workspace, verdict_id, **ANN)
    task = AskPerson(task_id="ask", question={"verdict_id": verdict_id, "asked_at": day(41).isoformat()})
    assert task.execute({}) == {"verdict": verdict_id, "approved": True}


def test_an_override_points_to_the_answer_that_it_waits_for(waiting: tuple[Workspace, str]) -> None:
    workspace, verdict_id = waiting
    with pytest.raises(RequestError, match="needs no override. It waits for a person's answer. Answer it in Airflow"):
        override(workspace, verdict_id, by="Ann", account="ann", reason="it is better")


def test_no_answer_is_a_no_whatever_is_said(waiting: tuple[Workspace, str]) -> None:
    workspace, verdict_id = waiting
    stands = record_answer(workspace, verdict_id, **{**ANN, "user_id": None})
    assert (stands.approved, stands.by) == (False, TIMEOUT)
    for _ in range(2):
        ended = act_on_answer(workspace, verdict_id)
        assert (ended.outcome, ended.detail) == ("refused", "the answer was no, by timeout; the champion stays")
    assert workspace.ledger.champions(NAME) == []


def test_the_question_says_what_it_is_about_and_until_when(waiting: tuple[Workspace, str]) -> None:
    workspace, verdict_id = waiting
    asked = question(workspace, verdict_id[:10], day(41))
    assert (asked.approvers, asked.deadline, asked.verdict_id) == (("ann", "bob"), day(43), verdict_id)
    assert asked.subject == "tiny: promote the challenger of 2024-02-10?"
    for text in (
        "| challenger | 0.",
        "| pass | baseline |",
        "| pass | flips |",
        "until 2024-02-13 00:00 UTC",
        verdict_id,
    ):
        assert text in asked.body
    with pytest.raises(RequestError, match="there is no verdict ffffffff"):
        question(workspace, "ffffffff", day(41))


def test_a_yes_after_the_champion_was_replaced_is_superseded(released: Released, quick_preflight: None) -> None:
    workspace, verdict = released.workspace, released.verdict
    first = workspace.ledger.champions(NAME)[0]
    assert workspace.ledger.move_champion(replace(first, sequence=2))
    assert "**The champion was replaced since: a yes changes nothing.**" in question(workspace, verdict.id, SECOND).body
    record_answer(workspace, verdict.id, **ANN)
    assert act_on_answer(workspace, verdict.id).outcome == "superseded"
    assert [c.sequence for c in workspace.ledger.champions(NAME)] == [1, 2]


@given(
    st.sampled_from(["observe", "suggest", "auto"]), st.sampled_from(["none", "on_warning", "required"]), st.booleans()
)
def test_what_waits(mode: str, approval: str, warned: bool) -> None:
    spec = Spec.model_validate(merged(SPEC, {"mode": mode, "gate": {"approval": approval}}))
    expected = mode == "suggest" or approval == "required" or (approval == "on_warning" and warned)
    assert needs_approval(spec, warned=warned) == expected


def test_a_warning_is_an_item_that_warns() -> None:
    items = {kind: Item("x", kind, "", "", "") for kind in ("pass", "warn")}  # type: ignore[arg-type]  # plain values
    assert has_warning(a_verdict(checklist=(items["pass"], items["warn"])))
    assert not has_warning(a_verdict(checklist=(items["pass"],)))
