"""What is kept of a verdict for people: made once, found damaged, freed and erased like everything else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from retraining.care import needs, retention
from retraining.care.erase import erase
from retraining.care.verify import verify
from retraining.cli.app import app
from retraining.data import parquet
from retraining.errors import Damaged
from retraining.evaluation import describe, evaluate, finalist
from retraining.pages.verdicts import card
from retraining.pages.verdicts.page import live, page_key
from retraining.pipeline import retrain as stages
from retraining.records import Verdict
from retraining.workspace import Workspace
from samples.tiny import NAME, day, environ
from tests.contract.conftest import Loop
from tests.support.lived import AS_OF, age, path_of


def newest(workspace: Workspace) -> Verdict:
    return workspace.ledger.verdicts(NAME)[-1]


def with_flips(workspace: Workspace) -> tuple[Verdict, list[str]]:
    """Return a verdict with two flipped rows, whose keys are those of persons that scoring knows too."""
    verdict, people = newest(workspace), ["00046-003", "00046-004"]
    path = path_of(workspace, finalist.flips_key(verdict.evaluation))
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = {name: pa.array(["1", "0"]) for name in ("__before__", "__after__", "__truth__")}
    path.write_bytes(parquet.to_bytes(pa.table({"id": pa.array(people), **texts})))
    return verdict, people


def files_in(workspace: Workspace, run_id: str) -> dict[str, str]:
    mlflow.set_tracking_uri(workspace.settings.mlflow)
    found = mlflow.artifacts.list_artifacts(run_id=run_id)
    return {f.path: mlflow.artifacts.load_text(f"runs:/{run_id}/{f.path}") for f in found if not f.is_dir}


def test_the_page_is_kept_with_the_verdict_and_the_card_with_the_release(loop: Loop) -> None:
    workspace, verdict, release = loop.workspace, loop.results["gate"], loop.results["release"]
    page = workspace.store.read(page_key(verdict.id)).decode()
    trained = files_in(workspace, loop.results["train"].run_id)
    assert trained[f"verdict-{verdict.id[:8]}.html"] == page
    assert "Nothing yet, when this page was made" in page and release.id not in page
    now = live(workspace, verdict)
    assert release.id in now and "version 1 is champion 1" in now
    logged = files_in(workspace, release.run_id)
    assert logged["card.html"] == card.as_html(card.card_of(workspace, NAME))
    assert "promotion by gate" in logged["card.md"]


def test_a_gate_that_was_killed_before_its_page_makes_it_without_naming_rows(home: Workspace) -> None:
    from retraining.pipeline.admission import admit

    verdict, people = with_flips(home)
    path = path_of(home, page_key(verdict.id))
    before = path.read_bytes()
    path.unlink()
    as_of = verdict.evaluation.as_of
    admission = admit(home, home.spec(NAME), as_of=as_of, fallback=as_of, trigger="person", reason="", dry_run=False)
    assert stages.gate(home, admission, verdict.evaluation) == verdict
    assert len(path.read_bytes()) >= len(before), "the same page, with what became of it since"
    assert not [person for person in people if person in path.read_text()]


def test_figures_are_computed_once_and_a_failure_stops_the_stage(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    r, e = loop.results, loop.results["evaluate"]
    made = finalist.read(loop.workspace.store, e)
    assert made.key == finalist.evaluation_key(e) and {d.name for d in made.drawings} >= {"roc", "confusion"}
    assert made.importance[0][0] == "x1" and made.dependence is not None

    def broken(*_: object) -> None:
        raise ValueError("no picture")

    monkeypatch.setattr(evaluate, "describe", broken)
    assert stages.evaluate(loop.workspace, r["admit"], r["validate"].ingested, r["train"]) == e
    monkeypatch.setattr(finalist, "work_key", lambda *_: "another")
    with pytest.raises(ValueError, match="no picture"):
        stages.evaluate(loop.workspace, r["admit"], r["validate"].ingested, r["train"])


def test_damaged_figures_are_found_and_missed_aloud(home: Workspace) -> None:
    verdict = newest(home)
    key = finalist.document_key(verdict.evaluation)
    path = path_of(home, key)
    path.write_bytes(path.read_bytes().replace(b"ROC curves", b"RUC curves"))
    assert [(p.kind, p.key) for p in verify(home).damage] == [("report", key)]
    with pytest.raises(Damaged, match="was altered or truncated"):
        finalist.read(home.store, verdict.evaluation)
    assert "cannot be shown" in live(home, verdict)
    path.unlink()
    assert [(p.key, p.problem) for p in verify(home).damage] == [(key, "missing")]
    assert f"verdict {verdict.id[:8]} of tiny" in verify(home).damage[0].needed_by


def test_an_erased_person_is_in_no_page(home: Workspace) -> None:
    verdict, people = with_flips(home)
    assert all(person in live(home, verdict) for person in people)
    done = erase(home, NAME, {"id": people[0]}, reason="asked", by="me", erased_at=datetime(2024, 3, 1, tzinfo=UTC))
    assert ("reports", finalist.flips_key(verdict.evaluation), 1) in [(o.what, o.key, o.n_rows) for o in done.objects]
    page = live(home, verdict)
    assert people[0] not in page and people[1] in page
    reports = (home.settings.home / "store" / "reports").rglob("*")
    assert not [p for p in reports if p.is_file() and people[0].encode() in p.read_bytes()]
    erase(home, NAME, {"id": people[1]}, reason="asked", by="me", erased_at=datetime(2024, 3, 2, tzinfo=UTC))
    assert people[1] not in live(home, verdict)


def test_reports_go_with_their_verdict_and_not_before(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    _, people = with_flips(home)
    erase(home, NAME, {"id": people[0]}, reason="asked", by="me", erased_at=datetime(2024, 3, 1, tzinfo=UTC))
    age(home)
    folders = ("reports/verdicts/", "reports/finalists/", "reports/flips/")
    there = {e.key for folder in folders for e in home.store.listing(folder)}
    assert len(there) == 3 + 3 + len([k for k in there if k.startswith(folders[2])])
    assert not [c for c in retention.plan(home, AS_OF).free if c.key.startswith(folders)]
    monkeypatch.setattr(needs, "ANCHOR_REFRESHES", 0)  # else the next refresh may still meet the first champion
    later = retention.plan(home, day(60 + 400))
    freed = {c.key for c in later.free if c.key.startswith(folders)}
    first = home.ledger.verdicts(NAME)[0]
    assert page_key(first.id) in freed and finalist.document_key(first.evaluation) in freed
    kept = there - freed
    assert finalist.document_key(newest(home).evaluation) in kept, "the live champion's"
    assert any(key.startswith(folders[2]) for key in kept), "what an erasure left of them, too"
    retention.sweep(home, later)
    assert verify(home).damage == ()


def test_pages_and_cards_on_the_command_line(lived: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in environ(lived.settings).items():
        monkeypatch.setenv(name, value)

    def call(*arguments: object) -> str:
        done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    verdict = newest(lived)
    call("explain", verdict.id[:10], "--html", tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == live(lived, verdict)
    assert call("card", NAME).startswith("# Model card: tiny, version 3\n")
    assert "entry 1: 2024-02-10 to 2024-02-17, promotion by gate" in call("card", NAME, "--version", 1)
    assert json.loads(call("card", NAME, "--json"))["version"] == 3
    call("card", NAME, "--html", "--output", tmp_path / "card.html")
    assert (tmp_path / "card.html").read_text().startswith("<!doctype html>")
    wrong = CliRunner().invoke(app, ["card", NAME, "--version", "9"])
    assert "version 9 has no card: it never was a champion. It has 1, 2, 3." in str(wrong.exception)


def test_a_million_rows_are_shown_like_twenty_thousand(loop: Loop) -> None:
    """The figures of the holdout's rows, repeated: as many are drawn, and the share of flips is exact."""
    import dataclasses
    import time

    from retraining.artifacts import stored
    from retraining.train import labelled_rows

    workspace, r = loop.workspace, loop.results
    frozen = workspace.frozen(r["admit"].spec_id)
    model = stored.load(workspace.store, r["train"].artifact_id)
    few = labelled_rows(workspace, frozen, r["validate"].ingested.holdout, model.card.plan, model.card.classes)
    index = np.resize(np.arange(len(few.y)), 1_000_000)
    many = dataclasses.replace(
        few, rows=few.rows.take(index), x=few.x.iloc[index], y=few.y[index], times=few.times[index]
    )
    p = model.predict(few.rows, "test")[index]
    started = time.process_time()
    made, rows, _ = describe.describe(frozen, r["evaluate"], model, many, p, 1 - p)
    assert time.process_time() - started < 3
    assert (made.n_rows, made.n_drawn) == (1_000_000, describe.N_DRAWN)
    assert made.flip_share == pytest.approx(1, abs=0.01), "all but what lies at the threshold itself"
    assert rows is not None and rows.num_rows == describe.N_FLIPS
