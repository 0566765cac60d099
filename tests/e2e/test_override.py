"""Overrides: against the gate only, by name and with a reason, of what the gate really said; and they show for ever."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner

from retraining.audit.history import events_of, versions_of
from retraining.cli.app import app
from retraining.errors import DeployRefused, RequestError
from retraining.pages.verdicts import card, page
from retraining.pipeline import retrain as stages
from retraining.records import Deployment, Verdict
from retraining.rollout.override import override
from retraining.rollout.rollback import rollback
from retraining.workspace import Workspace
from samples.tiny import NAME, day, environ, retrain
from tests.e2e.conftest import SECOND, Released, edit, misled

pytestmark = pytest.mark.slow

WHO: dict[str, Any] = {"by": "Ann Owner", "account": "ann", "reason": "the holdout was a strike"}


@pytest.fixture
def rejected(champion: Workspace) -> tuple[Workspace, Verdict]:
    """An installation whose challenger the gate rejected."""
    workspace = misled(champion)
    verdict = retrain(workspace, SECOND).verdict
    assert verdict is not None and verdict.decision == "reject"
    return workspace, verdict


def live(workspace: Workspace) -> list[int]:
    return [c.sequence for c in workspace.ledger.champions(NAME)]


def test_an_override_promotes_and_shows_for_ever(rejected: tuple[Workspace, Verdict]) -> None:
    workspace, verdict = rejected
    made = override(workspace, verdict.id[:10], **WHO)  # with a real preflight
    assert (made.sequence, made.kind, made.by, made.reason) == (2, "override", WHO["by"], WHO["reason"])
    assert workspace.registry.alias(NAME) == made.version == 2
    assert override(workspace, verdict.id, **WHO) == made and live(workspace) == [1, 2]

    record = workspace.ledger.overrides(NAME)[verdict.id]
    assert (record.by, record.account, record.decision, record.sequence) == ("Ann Owner", "ann", "reject", 2)
    release = workspace.ledger.release_of(verdict.id)
    assert release is not None and release.snapshot_id == verdict.evaluation.refit_id
    events = "\n".join(e.text for e in events_of(workspace.ledger, NAME))
    assert "reject [overridden by Ann Owner]" in events and "override by Ann Owner" in events
    assert (versions_of(workspace.ledger, workspace.store, NAME)[-1].kind, verdict.decision) == ("override", "reject")
    tags = MlflowClient(workspace.settings.mlflow, workspace.settings.mlflow).get_model_version(NAME, "2").tags
    assert (tags["override_by"], tags["override_reason"]) == (WHO["by"], WHO["reason"])

    shown = page.live(workspace, verdict)
    assert "against the gate" in shown and "by Ann Owner (account ann)" in shown
    assert workspace.registry.has_file(release.run_id, "card.html"), "an override has a model card, too"
    assert "override by Ann Owner" in card.as_markdown(card.card_of(workspace, NAME, 2))

    rollback(workspace, NAME, None, "person", "it was no strike", day(49))
    assert [c.kind for c in workspace.ledger.champions(NAME)] == ["promotion", "override", "rollback"]
    assert workspace.ledger.overrides(NAME)[verdict.id] == record
    assert override(workspace, verdict.id, **WHO) == made and live(workspace) == [1, 2, 3], "it does not come back"


def test_the_command_line_asks_for_a_name_and_shows_what_was_done(
    rejected: tuple[Workspace, Verdict], quick_preflight: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, verdict = rejected
    for variable, value in environ(workspace.settings).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name="ann1"))

    def call(*arguments: str) -> str:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        return " ".join(done.stdout.split())

    nameless = CliRunner().invoke(app, ["override", verdict.id, "--reason", "because"])
    assert nameless.exit_code == 2 and live(workspace) == [1]
    absent = CliRunner().invoke(app, ["approve", verdict.id, "--reason", "because"])
    assert absent.exit_code == 2, "no command line knows who is authenticated"
    text = call("override", verdict.id, "--by", "Ann Owner", "--reason", "the holdout was a strike")
    assert text == "tiny: version 2 is champion 2 (override)"
    assert "reject overridden by Ann Owner (login ann1) on " in call("explain", verdict.id)
    assert json.loads(call("explain", verdict.id, "--json"))["override"]["account"] == "ann1"
    assert json.loads(call("status", NAME, "--json"))[0]["champion"]["kind"] == "override"


@pytest.mark.parametrize("missing", [{"by": " "}, {"reason": ""}, {"reason": " x "}])
def test_an_override_needs_a_name_and_a_reason(rejected: tuple[Workspace, Verdict], missing: dict[str, str]) -> None:
    workspace, verdict = rejected
    with pytest.raises(RequestError, match="needs (a reason|the name)|too short"):
        override(workspace, verdict.id, **{**WHO, **missing})
    assert live(workspace) == [1]


def test_an_override_does_not_skip_the_preflight(
    rejected: tuple[Workspace, Verdict], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, verdict = rejected

    def fails(*_: object) -> float:
        raise DeployRefused("its outputs differ")

    monkeypatch.setattr("retraining.rollout.champion.preflight", fails)
    with pytest.raises(DeployRefused, match="its outputs differ"):
        override(workspace, verdict.id, **WHO)
    assert live(workspace) == [1] and workspace.ledger.overrides(NAME) == {}


def test_an_override_of_an_altered_verdict_is_refused(rejected: tuple[Workspace, Verdict]) -> None:
    workspace, verdict = rejected
    with sqlite3.connect(workspace.settings.ledger.removeprefix("sqlite:///")) as connection:
        forged = json.dumps({**json.loads(_body(connection, verdict)), "decision": "inconclusive"})
        connection.execute("update verdicts set body = ? where id = ?", (forged, verdict.id))
    with pytest.raises(DeployRefused, match="is not what the gate recorded: decision"):
        override(workspace, verdict.id, **WHO)
    assert live(workspace) == [1]


def _body(connection: sqlite3.Connection, verdict: Verdict) -> str:
    return str(connection.execute("select body from verdicts where id = ?", (verdict.id,)).fetchone()[0])


def test_a_champion_that_cannot_be_read_is_replaced_by_an_override(champion: Workspace, quick_preflight: None) -> None:
    first = champion.ledger.champions(NAME)[0]
    (champion.settings.home / "store" / "releases" / first.release_id / "model.skops").unlink()
    verdict = retrain(champion, SECOND).verdict
    assert verdict is not None and verdict.evaluation.incomparable is not None
    assert override(champion, verdict.id, **WHO).sequence == 2


def test_only_what_the_gate_stopped_can_be_overridden(released: Released, quick_preflight: None) -> None:
    workspace, verdict = released.workspace, released.verdict
    with pytest.raises(RequestError, match="there is no verdict ffffffff"):
        override(workspace, "ffffffff", **WHO)
    with pytest.raises(RequestError, match="is a promotion: it needs no override"):
        override(workspace, verdict.id, **WHO)
    dry = retrain(workspace, day(49), dry_run=True).verdict
    nothing = retrain(workspace, day(40)).verdict
    assert dry is not None and nothing is not None and nothing.decision == "nothing_new"
    with pytest.raises(RequestError, match="is a dry run"):
        override(workspace, dry.id, **WHO)
    with pytest.raises(RequestError, match="is nothing_new: there is nothing to override"):
        override(workspace, nothing.id, **WHO)
    assert live(workspace) == [1]


def test_a_release_that_was_refused_can_be_overridden_and_a_persons_no_cannot(
    released: Released, quick_preflight: None
) -> None:
    workspace, verdict = released.workspace, released.verdict
    workspace.ledger.add_outcome(verdict.id, Deployment(NAME, "refused", None, None, "12 % of predictions flip"))
    assert stages.deploy(workspace, verdict, released.release.id, by="gate").outcome == "refused"
    made = override(workspace, verdict.id, **WHO)
    assert (made.kind, live(workspace)) == ("override", [1, 2])


def test_a_persons_no_cannot_be_overridden(released: Released, quick_preflight: None) -> None:
    workspace, verdict = released.workspace, released.verdict
    workspace.ledger.add_approval(NAME, verdict.id, False, "bob", "no")
    workspace.ledger.add_outcome(verdict.id, Deployment(NAME, "refused", None, None, "the answer was no"))
    with pytest.raises(RequestError, match="was answered no, by bob: an override is against the gate"):
        override(workspace, verdict.id, **WHO)
    assert live(workspace) == [1]


def test_a_verdict_about_an_earlier_champion_cannot_be_overridden(
    two_champions: Workspace, quick_preflight: None
) -> None:
    early = retrain(edit(two_champions, {"gate": {"min_rows": 300}}), day(50)).verdict  # a week has 280
    assert early is not None and early.decision == "inconclusive"
    rollback(two_champions, NAME, None, "person", "worse", day(51))
    with pytest.raises(RequestError, match="was judged against an earlier champion: retrain"):
        override(two_champions, early.id, **WHO)
    assert live(two_champions) == [1, 2, 3]


def test_of_an_override_and_another_run_one_wins(
    rejected: tuple[Workspace, Verdict], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, verdict = rejected
    first = workspace.ledger.champions(NAME)[0]

    def overtaken(*_: object) -> float:
        Workspace(workspace.settings).ledger.move_champion(replace(first, sequence=2))
        return 0.0

    monkeypatch.setattr("retraining.rollout.champion.preflight", overtaken)
    with pytest.raises(DeployRefused, match="another run moved the champion meanwhile"):
        override(workspace, verdict.id, **WHO)
    assert workspace.ledger.overrides(NAME) == {} and live(workspace) == [1, 2]
