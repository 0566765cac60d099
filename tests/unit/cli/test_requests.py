"""Requests on the command line: which are open, and closing one with a name and a reason."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from retraining.cli.app import app
from retraining.errors import RequestError
from retraining.pipeline import monitor
from retraining.workspace import Workspace
from samples.records import request, verdict
from samples.tiny import NAME


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    for identity, number in (("r1", 50), ("r2", 51)):
        workspace.ledger.add_request(request(identity, number))
    workspace.ledger.add_verdict(verdict("v1"), ["r1"])
    return workspace


def call(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["requests", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_person_closes_a_request_with_a_reason(workspace: Workspace) -> None:
    assert monitor.must_wake(workspace, workspace.spec(NAME))
    for name in ("Ann", "Bob"):
        said = call("close", NAME, "r2", "--by", name, "--reason", "the feed was broken")
        assert "request r2 is closed by Ann" in said and ": the feed was broken" in said, "the first one stays"
    assert not monitor.must_wake(workspace, workspace.spec(NAME))
    shown = call("show", NAME)
    assert "served by v1" in shown and "closed by Ann" in shown
    found = json.loads(call("show", NAME, "--json"))
    assert [(r["id"], r["served_by"], bool(r["closed"])) for r in found] == [("r1", "v1", False), ("r2", None, True)]
    told = CliRunner().invoke(app, ["history", NAME]).stdout
    assert "closed by Ann" in told and "the feed was broken" in told


@pytest.mark.parametrize(
    ("identity", "by", "reason", "why"),
    [
        ("r2", " ", "the feed was broken", "needs the name of who answers for it"),
        ("r2", "Ann", "no", "the reason 'no' is too short"),
        ("r9", "Ann", "because", "there is no request r9. `requests show tiny` lists the ids"),
        ("r", "Ann", "because", "2 requests begin with r"),
        ("r1", "Ann", "because", "was served by verdict v1: there is nothing to close"),
    ],
)
def test_what_cannot_be_closed_says_why(workspace: Workspace, identity: str, by: str, reason: str, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        call("close", NAME, identity, "--by", by, "--reason", reason)
    assert [r.id for r in workspace.ledger.open_requests(NAME)] == ["r2"]
