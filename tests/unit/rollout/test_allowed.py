"""Who may: named persons, approvers and a second pair of eyes, by tables of cases; nothing is trained."""

from __future__ import annotations

import os
import pwd
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from typer.testing import CliRunner

from retraining.cli.app import app
from retraining.cli.common import person
from retraining.errors import RequestError
from retraining.pipeline.admission import admit
from retraining.records import Release, Served, Verdict
from retraining.records.judging import Decision
from retraining.rollout.allowed import approvers_left, require_allowed, triggered
from retraining.rollout.approval import question, record_answer
from retraining.rollout.override import override
from retraining.rollout.rollback import rollback
from retraining.workspace import Workspace
from retraining_airflow import boundary
from samples.records import champion, evaluation, verdict
from samples.tiny import NAME, day, environ, tiny

AS_OF = day(40)
FOUR_EYES = {"four_eyes": True}


def judged(
    folder: Path, gate: dict[str, Any], *runs: tuple[str, str | None], decision: Decision = "reject"
) -> tuple[Workspace, Verdict]:
    """Return an installation with a verdict, from runs that were started so and by these accounts."""
    work = tiny(folder, changes={"gate": gate})
    frozen = work.spec(NAME)
    for trigger, by in runs:
        admit(work, frozen, as_of=AS_OF, fallback=AS_OF, trigger=trigger, reason="", dry_run=False, by=by)
    made = verdict("f" * 64, decision=decision, evaluation=evaluation(spec_id=work.freeze(frozen), as_of=AS_OF))
    work.ledger.add_verdict(made, ())
    return work, made


SCHEDULE, ANN, NOBODY = ("schedule", None), ("person", "ann"), ("person", None)


@pytest.mark.parametrize(
    ("gate", "runs", "account", "refusal"),
    [
        ({}, [ANN], "eve", None),
        ({}, [ANN], " ", "an override needs a named person, and nobody knows who this is. Use a login"),
        ({"approvers": ["ann", "bob"]}, [ANN], "ann", None),
        ({"approvers": ["ann", "bob"]}, [ANN], "eve", "eve is not among gate.approvers (ann, bob) of verdict ffffffff"),
        ({"approvers": ["ann"]}, [ANN], "Ann", "Ann is not among gate.approvers (ann)"),
        (FOUR_EYES, [SCHEDULE], "ann", None),
        (FOUR_EYES, [ANN], "bob", None),
        (FOUR_EYES, [ANN], "ann", "ann triggered the run of verdict ffffffff, and gate.four_eyes asks for a second"),
        (FOUR_EYES, [SCHEDULE, ANN], "ann", "ann triggered the run"),
        (FOUR_EYES, [("schedule", "ann")], "ann", "ann triggered the run"),  # a backfill
        (FOUR_EYES, [NOBODY], "bob", "who triggered the run of verdict ffffffff is not recorded, and gate.four_eyes"),
        (FOUR_EYES, [ANN, NOBODY], "bob", "Retrain as of a later time, by the schedule or after a login."),
        (FOUR_EYES, [], "bob", "is not recorded"),
        ({**FOUR_EYES, "approvers": ["ann"]}, [("person", "bob")], "bob", "bob is not among gate.approvers (ann)"),
    ],
)
def test_who_may_override(
    tmp_path: Path, gate: dict[str, Any], runs: list[tuple[str, str | None]], account: str, refusal: str | None
) -> None:
    work, made = judged(tmp_path, gate, *runs)
    if refusal is None:
        require_allowed(work, made, account, "an override")
        return
    with pytest.raises(RequestError) as caught:
        override(work, made.id, by="Ann Owner", account=account, reason="the fair is on")
    assert refusal in str(caught.value)
    assert work.ledger.champions(NAME) == [] and work.ledger.overrides(NAME) == {}


def test_a_run_of_another_time_or_a_dry_run_is_not_the_one_that_was_judged(tmp_path: Path) -> None:
    work, made = judged(tmp_path, FOUR_EYES, SCHEDULE)
    for as_of, dry_run in ((day(41), False), (AS_OF, True)):
        admit(work, work.spec(NAME), as_of=as_of, fallback=as_of, trigger="person", reason="", dry_run=dry_run, by="b")
    assert triggered(work, made).accounts == () and not triggered(work, made).unknown


def test_the_one_who_triggered_the_run_is_not_asked(tmp_path: Path) -> None:
    work, made = judged(tmp_path, {**FOUR_EYES, "approvers": ["ann", "bob"]}, ANN)
    assert approvers_left(work, made) == ("bob",)
    work, made = judged(tmp_path / "alone", {**FOUR_EYES, "approvers": ["ann"]}, ANN)
    with pytest.raises(RequestError, match=r"every one of gate.approvers \(ann\) triggered .* Add one"):
        approvers_left(work, made)


def test_an_answer_by_nobody_or_by_the_one_who_triggered_the_run_is_not_recorded(tmp_path: Path) -> None:
    work, made = judged(tmp_path, {**FOUR_EYES, "approval": "required"}, ANN, decision="promote")
    served = Served(0.1, 5.0, 300.0, 0.1, 0.0)
    work.ledger.add_release(Release("r" * 64, NAME, made.id, "s", day(39), "run", 0.0, 10, served, ()))
    asked = question(work, made.id, day(41))
    assert asked.approvers == () and "anybody who may run this DAG, but not ann, who triggered the run" in asked.body
    for account, refusal in (
        ("", "an answer needs a named person"),
        ("ann", "ann triggered the run of verdict ffffffff"),
    ):
        with pytest.raises(RequestError, match=refusal):
            record_answer(work, made.id, approved=True, by="Ann", user_id=account, reason="")
        assert work.ledger.approval(made.id) is None
    assert record_answer(work, made.id, approved=True, by="Bob", user_id="bob", reason="").approved


def test_a_rollback_needs_a_named_person_and_no_approver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retraining.rollout.rollback.preflight", lambda *_: None)
    monkeypatch.setattr("retraining.rollout.rollback.sync_alias", lambda *_: None)
    work, _ = judged(tmp_path, {**FOUR_EYES, "approvers": ["ann"]}, ANN)
    for number in (1, 2):
        assert work.ledger.move_champion(replace(champion(number), release_id=f"r{number}"))
    with pytest.raises(RequestError, match="a rollback needs a named person"):
        rollback(work, NAME, None, "", "it predicts nonsense", day(48))
    assert rollback(work, NAME, None, "eve", "it predicts nonsense", day(48)).by == "eve"


# --- the account on the command line ------------------------------------------------------------------------------


def test_the_account_is_the_operating_systems_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "ann")
    assert person() == pwd.getpwuid(os.getuid()).pw_name != "ann"


def test_an_id_without_a_name_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("os.getuid", lambda: 1_000_650_000)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert person() == "uid 1000650000"


def test_a_forged_account_overrides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work, made = judged(tmp_path, {"approvers": ["ann"]}, SCHEDULE)
    for name, value in {**environ(work.settings), "LOGNAME": "ann", "USER": "ann"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name="eve"))
    done = CliRunner().invoke(app, ["override", made.id, "--by", "ann", "--reason", "the fair is on"])
    assert isinstance(done.exception, RequestError) and "eve is not among gate.approvers (ann)" in str(done.exception)


def test_a_run_from_the_command_line_is_by_its_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tiny(tmp_path)
    for name, value in {**environ(work.settings), "LOGNAME": "ann"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("retraining.pipeline.whole.run", lambda _, admission, __: pytest.fail(str(admission.by)))
    with pytest.raises(pytest.fail.Exception, match=person()):
        CliRunner().invoke(app, ["run", NAME, "--as-of", "2024-02-10"])


# --- the account in Airflow ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "known"), [("ann", "ann"), (None, None), ("", None), ("Anonymous", None)])
def test_whom_airflow_knows(name: str | None, known: str | None) -> None:
    context = {"dag_run": SimpleNamespace(triggering_user_name=name)}
    assert boundary.triggering_user(context) == known
    if known is None:
        with pytest.raises(AirflowFailException, match="Airflow does not know .*retraining rollback`"):
            boundary.named_user(context, "rollback")


def test_an_answer_without_a_login_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "another.Manager")
    assert boundary.login_of({"id": "Anonymous", "name": "Anonymous"}) == ""
