"""The command line: exit codes, one JSON value for machines, and messages a person can act on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from retraining.cli.app import app
from retraining.cli.app import main as run_main
from retraining.workspace import Workspace
from samples.records import champion, decision, request, verdict
from samples.tiny import write_model


def call(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, arguments)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["retraining", *arguments])
    with pytest.raises(SystemExit) as caught:
        run_main()
    shown = capsys.readouterr()
    return int(caught.value.code or 0), shown.out, shown.err


def value(text: str) -> Any:
    return json.loads(text)


def test_check_names_file_key_problem_and_remedy_and_leaves_the_others_alone(workspace: Workspace) -> None:
    folder = workspace.settings.models
    write_model(folder, "good")
    write_model(folder, "broken", changes={"gate": {"marign": 0.1}})
    write_model(folder, "lost", changes={"training": {"candidates": [{"estimator": "sklearn.trees.Oak"}]}})
    write_model(folder, "unsure", changes={"checks": {"rows": [{"type": "expect_nothing"}]}})
    code, text, _ = call("check")
    assert code == 1
    assert "ok      good" in text
    assert "ok      tiny" in text
    assert "broken  broken" in text
    assert "broken.yaml: 1 problem" in text
    assert "gate.marign: unknown key. Did you mean margin?" in text
    assert "lost.yaml: training.candidates: there is no estimator sklearn.trees.Oak. Give its full import path" in text
    assert "unsure.yaml: checks: there is no expectation expect_nothing" in text

    code, text, _ = call("check", "--json")
    assert code == 1
    assert {name: found["ok"] for name, found in value(text).items()} == {
        "broken": False,
        "good": True,
        "lost": False,
        "tiny": True,
        "unsure": False,
    }
    assert call("check", "good")[0] == 0
    assert call("check", "broken")[0] == 1


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"training": {"metric": "mae"}}, "training.metric: mae does not fit the task binary"),
        ({"score": {"schedule": "every day"}}, "schedule 'every day' is not a cron expression"),
        ({"retrain": {"schedule": "0 * * * *"}}, "every run would be inconclusive"),
        (
            {"training": {"candidates": [{"estimator": "sklearn.linear_model.Ridge", "params": {"alhpa": 1}}]}},
            "sklearn.linear_model.Ridge has no parameter alhpa. It has: alpha",
        ),
        ({"checks": {"rows": [{"type": "expect_column_values_to_not_be_null"}]}}, "checks: expect_column_values"),
    ],
)
def test_check_sees_what_keys_alone_do_not_show(workspace: Workspace, changes: dict[str, Any], problem: str) -> None:
    write_model(workspace.settings.models, changes=changes)
    code, text, _ = call("check", "tiny", "--json")
    assert code == 1
    assert any(problem in found for found in value(text)["tiny"]["problems"]), text


def test_a_wrong_request_is_2_and_failed_work_is_1(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = main(monkeypatch, capsys, "run", "tinny", "--as-of", "2024-02-10")
    assert (code, out) == (2, "")
    assert "RequestError: there is no model tinny in" in err
    assert "There is: tiny." in err
    assert main(monkeypatch, capsys, "run", "tiny", "--as-of", "soon")[0] == 2
    assert main(monkeypatch, capsys, "run", "tiny")[0] == 2
    assert main(monkeypatch, capsys, "unknown")[0] == 2
    assert main(monkeypatch, capsys, "explain", "nothing")[0] == 2
    assert main(monkeypatch, capsys, "rollback", "tiny", "--reason", "x")[0] == 2
    write_model(workspace.settings.models, "bad", changes={"gate": {"marign": 1}})
    assert main(monkeypatch, capsys, "score", "bad", "--as-of", "2024-02-10")[0] == 2
    (workspace.settings.models / "tiny.csv").unlink()
    code, _, err = main(monkeypatch, capsys, "run", "tiny", "--as-of", "2024-02-10")
    assert code == 1
    assert "SourceError: source" in err
    assert "there is no such file" in err
    code, _, err = main(monkeypatch, capsys, "monitor", "tiny", "--as-of", "2024-02-10")
    assert code == 1
    assert "MonitorFailed: tiny: has no champion" in err
    assert workspace.ledger.alerts("tiny")[0].kind == "monitor failed"


def test_a_service_that_is_away_is_failed_work(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("RETRAINING_LEDGER", f"sqlite:///{tmp_path}")
    code, _, err = main(monkeypatch, capsys, "status", "tiny")
    assert code == 1
    assert "Unavailable: ledger sqlite:///" in err
    assert "Traceback" not in err


def test_status_history_and_explain(workspace: Workspace) -> None:
    ledger = workspace.ledger
    ledger.add_decision(decision(outcome="held", would_change=("asks from 2024-02-23 on",)))
    ledger.add_request(request())
    ledger.add_verdict(verdict("abc123"), ["r1"])
    ledger.move_champion(champion(verdict_id="abc123"))

    code, text, _ = call("status", "--as-of", "2024-02-12", "--json")
    found = value(text)[0]
    assert (code, found["model"], found["stale"]) == (0, "tiny", None)
    assert found["champion"]["sequence"] == 1
    assert call("status", "--as-of", "2024-02-12", "--fail-if-stale")[0] == 0
    assert call("status", "--as-of", "2024-06-12", "--fail-if-stale")[0] == 1
    assert "1 (version 1)" in call("status", "--as-of", "2024-02-12")[1]

    events = value(call("history", "tiny", "--json")[1])
    assert [e["event"] for e in events] == ["verdict", "champion", "decision", "request"]
    assert "served by abc123" in events[-1]["text"]
    assert "asks from" in events[2]["text"]
    assert "champion 1: version 1" in call("history", "tiny")[1]

    assert value(call("explain", "abc", "--json")[1])["id"] == "abc123"
    text = call("explain", "tiny")[1]
    assert "tiny, verdict abc123, as of 2024-02-10 00:00 UTC: promote" in text
    assert "because:\n  - better" in text
    assert "how sure:\n  - at most about 5% wrong promotions" in text
    assert "it would change with:\n  - asks from" in call("explain", "d50")[1]


@pytest.mark.parametrize(
    "command", ["new", "check", "run", "score", "monitor", "status", "history", "explain", "rollback", "registry"]
)
def test_every_command_of_the_loop_is_there_and_speaks_json(command: str) -> None:
    subcommand = ["show"] if command == "registry" else []
    code, text, _ = call(command, *subcommand, "--help")
    assert code == 0
    assert "--json" in text


def test_the_module_runs(workspace: Workspace) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "retraining", "history", "nobody"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "RequestError: there is no model nobody" in done.stderr
    assert "Traceback" not in done.stderr
