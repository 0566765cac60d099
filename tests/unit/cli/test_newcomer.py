"""A new user's first evening: what waits, what can never work, and messages that say what to do."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retraining.audit.history import events_of
from retraining.checking import check_spec
from retraining.cli.output import print_table
from retraining.errors import NotEnoughData, RequestError, Unavailable
from retraining.predictions.batch import pin_champion, why_nothing
from retraining.records import PredictionSet, Release, Served, Window
from retraining.rollout.rollback import rollback
from retraining.rollout.waiting import waiting
from retraining.settings import settings
from retraining.workspace import Workspace
from samples.records import champion, evaluation, verdict
from samples.tiny import day, retrain, write_model
from tests.unit.cli.test_cli import call


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    write_model(workspace.settings.models, changes={"mode": "suggest"})
    return workspace


def released(work: Workspace, identity: str = "abc12345") -> None:
    """Let a promotion wait, as `deploy` leaves it."""
    spec_id = work.freeze(work.spec("tiny"))
    first = evaluation(spec_id=spec_id, champion_sequence=None, champion_release_id=None)
    work.ledger.add_verdict(verdict(identity, evaluation=first), [])
    work.ledger.add_release(
        Release("release1", "tiny", identity, "snapshot", day(39), "run", 0.0, 1000, _served(), checklist=())
    )


def _served() -> Any:
    return Served(**{f.name: 1 for f in fields(Served)})


def test_a_promotion_that_waits_is_said_with_how_it_is_answered(workspace: Workspace) -> None:
    released(workspace)
    shown = call("status", "tiny")[1]
    assert "promote abc12345, waiting" in shown
    assert "waits for a person's answer. Answer it in Airflow under Browse > Required Actions" in shown
    assert json.loads(call("status", "tiny", "--json")[1])[0]["waiting"][0]["verdict_id"] == "abc12345"
    assert [e["event"] for e in json.loads(call("history", "tiny", "--json")[1])] == ["verdict", "waiting"]
    assert "waiting for a person's answer" in call("explain", "abc1")[1]
    workspace.ledger.add_approval("tiny", "abc12345", False, "ann", "")
    assert "the answer was no, by ann" in waiting(workspace, "tiny")[0].what
    workspace.ledger.move_champion(champion(verdict_id="other"))
    assert waiting(workspace, "tiny") == ()  # it would be superseded


def test_events_of_one_time_stand_as_they_happened(workspace: Workspace) -> None:
    first = evaluation(champion_sequence=None)
    workspace.ledger.add_verdict(verdict("aaa", evaluation=first), [])
    entry = champion(as_of=first.as_of, verdict_id="aaa", created_at=datetime.now(UTC))
    workspace.ledger.move_champion(entry)
    workspace.ledger.add_verdict(verdict("bbb", evaluation=first, decision="nothing_new"), [])
    assert [e.event for e in events_of(workspace.ledger, "tiny")] == ["verdict", "champion", "verdict"]


def test_a_window_that_its_folds_fill_is_refused_before_a_run_fails(workspace: Workspace) -> None:
    changes = {"training": {"folds": 4}}
    write_model(workspace.settings.models, changes=changes)
    problems = check_spec(workspace.spec("tiny"))
    assert len(problems) == 1
    assert "nothing is left to learn from" in problems[0]
    assert "Use a training.window of at least 29d" in problems[0]
    with pytest.raises(NotEnoughData, match="too short for 4 folds"):
        retrain(workspace, day(40))
    write_model(workspace.settings.models, changes={"training": {"folds": 3}})
    assert check_spec(workspace.spec("tiny")) == []


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (None, "connection shop: is not known. Set RETRAINING_CONN_SHOP"),
        ("sqlite:///{folder}/shop.db", "no such table: orders"),
        ("nosuchdialect://x", "Give it a SQLAlchemy URL whose driver is installed"),
    ],
)
def test_connect_says_what_is_wrong_with_a_connection(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str | None, sentence: str
) -> None:
    folder = workspace.settings.models
    (folder / "shop.sql").write_text("select * from orders where time >= :start and time < :end")
    source = {"files": None, "connection": "shop", "query": "shop.sql"}
    write_model(folder, changes={"data": {"source": source}})
    if url is None:
        code, text, _ = call("check", "tiny")
        assert code == 0 and "note: data.source: connection shop is not known on this command line" in text
    else:
        monkeypatch.setenv("RETRAINING_CONN_SHOP", url.format(folder=tmp_path))
    code, text, _ = call("check", "tiny", "--connect")
    assert code == 1 and sentence in text, text


def test_connect_reads_files_and_looks_for_the_columns(workspace: Workspace) -> None:
    code, text, _ = call("check", "tiny", "--connect")
    assert code == 0 and "data.source answers: 2,400 rows, 7 columns" in text
    write_model(workspace.settings.models, changes={"features": {"numeric": ["x1", "x9"]}})
    code, text, _ = call("check", "tiny", "--connect")
    assert code == 1 and "x9" in text
    (workspace.settings.models / "tiny.csv").unlink()
    code, text, _ = call("check", "tiny", "--connect")
    assert code == 1 and "there is no such file" in text


@pytest.mark.parametrize(("reason", "said"), [("", "needs a reason"), ("x", "the reason 'x' is too short")])
def test_a_rollback_wants_a_reason(workspace: Workspace, reason: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        rollback(workspace, "tiny", None, "ann", reason, day(40))


def test_the_variable_of_an_unwritable_home_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    given = {"RETRAINING_HOME": str(tmp_path / "file")}
    with pytest.raises(Unavailable, match="Check RETRAINING_HOME"):
        _ = Workspace(settings(given)).ledger
    given["RETRAINING_LEDGER"] = f"sqlite:///{tmp_path}/file/x/ledger.db"
    with pytest.raises(Unavailable, match="Check RETRAINING_LEDGER"):
        _ = Workspace(settings(given)).ledger


def test_whole_numbers_are_shown_without_a_fraction(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Rows", ("id", "share"), [(104872.0, 0.25)])
    shown = capsys.readouterr().out
    assert "104872 " in shown and "104872.0" not in shown and "0.25" in shown


def test_new_takes_no_id_for_a_number_and_writes_labels_as_people_do(workspace: Workspace, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    n_rows = 600
    frame = pd.DataFrame(
        {
            "order_id": np.arange(n_rows) + 104872,
            "customer_id": random.integers(10_000, 10_200, n_rows),
            "account": random.permutation(100_000)[:n_rows],
            "amount": np.round(random.normal(size=n_rows), 2),
            "late": random.integers(0, 2, n_rows).astype(float),
        }
    )
    frame.to_csv(tmp_path / "orders.csv", index=False)
    code, text, _ = call("new", "orders", "--data", str(tmp_path / "orders.csv"), "--target", "late")
    assert code == 0
    assert "not a feature: customer_id: its name is an id's" in text
    assert "WARNING: account is a numeric feature" in text
    assert "a promotion waits for a person's answer" in text
    written = (workspace.settings.models / "orders.yaml").read_text()
    assert "numeric: [account, amount]" in written
    assert "Two values, 0 and 1: the probability of 1 is predicted" in written
    assert "1.0" not in written.partition("training:")[2].partition("gate:")[0]


def test_nothing_to_score_says_why(workspace: Workspace) -> None:
    frozen, entry = workspace.spec("tiny"), champion(cutoff=day(40))
    with pytest.raises(RequestError, match="`python -m retraining run tiny --as-of TIME`"):
        pin_champion(workspace, "tiny")
    assert "trained on all rows before its cut-off, 2024-02-10" in why_nothing(workspace, frozen, entry, day(40))
    assert "the source has no rows from 2024-02-10" in why_nothing(workspace, frozen, entry, day(41))
    made = PredictionSet("tiny", Window(day(40), day(41)), "r", 1, "c", day(41), "k", 1, "f")
    workspace.ledger.add_predictions(made)
    assert "every day before 2024-02-11 00:00 was scored before" in why_nothing(workspace, frozen, entry, day(41))
