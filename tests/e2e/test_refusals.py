"""What must not be promoted is refused, what was changed by hand is reported, and nothing is lost or half done."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from retraining.artifacts.stored import StoredModel
from retraining.care.reconcile import reconcile
from retraining.errors import (
    Damaged,
    DeployRefused,
    NotEnoughData,
    RequestError,
    RetrainingError,
    SourceError,
    Unavailable,
    ValidationFailed,
)
from retraining.gate import verdict_id
from retraining.pipeline import retrain as stages
from retraining.pipeline import score, whole
from retraining.pipeline.admission import admit
from retraining.records import Champion, Release, Request, Verdict
from retraining.rollout.alias import restore_alias
from retraining.rollout.champion import deploy
from retraining.rollout.proven import Proof, load_same
from retraining.rollout.rollback import adopt_alias, rollback
from retraining.store import sha256
from retraining.workspace import Workspace
from samples.tiny import N_DAYS, NAME, day, environ, retrain, rows, tiny, write_csv
from tests.e2e.conftest import FIRST, SECOND, Released, edit, misled
from tests.support.parse import ROOT

BY = "person"
NOBODY = "http://127.0.0.1:9"
"""An address at which nobody listens."""


def live(workspace: Workspace) -> tuple[list[int], int | None]:
    """Return the sequences of the champion history, and the version MLflow's alias names."""
    return [c.sequence for c in workspace.ledger.champions(NAME)], workspace.registry.alias(NAME)


def versions(workspace: Workspace) -> list[int]:
    """Return the model versions in MLflow."""
    client = MlflowClient(workspace.settings.mlflow, workspace.settings.mlflow)
    return sorted(int(v.version) for v in client.search_model_versions(f"name = '{NAME}'"))


def promoted(workspace: Workspace, as_of: datetime = SECOND) -> Champion:
    """Retrain, and return the new champion."""
    result = retrain(workspace, as_of)
    assert result.deployment is not None and result.deployment.outcome == "deployed", result.text
    found = workspace.ledger.champion(NAME)
    assert found is not None
    return found


def source_of(workspace: Workspace) -> Path:
    return workspace.settings.models / f"{NAME}.csv"


# --- the gate -----------------------------------------------------------------------------------------------------


def test_a_worse_candidate_is_rejected_and_the_champion_stays(champion: Workspace) -> None:
    result = retrain(misled(champion), SECOND)
    assert result.verdict is not None and result.verdict.decision == "reject"
    assert result.deployment is None
    assert "not better than a model without features" in result.text
    assert result.verdict.would_change
    assert live(champion) == ([1], 1) and versions(champion) == [1]


def test_a_holdout_with_keys_the_champion_was_trained_on_is_rejected(champion: Workspace) -> None:
    frame = rows(range(N_DAYS))
    again = frame["time"].between(day(40), day(47))
    # of days that the champion was trained on and that are before the window whose keys validation compares
    frame.loc[again, "id"] = frame.loc[frame["time"].between(day(11), day(18)), "id"].to_numpy()
    write_csv(source_of(champion), frame)
    result = retrain(champion, SECOND)
    assert result.verdict is not None and result.verdict.decision == "reject"
    assert "holdout rows were in the training data of the candidate or the champion" in result.text
    assert result.verdict.evaluation.leaked_rows >= 280
    assert live(champion) == ([1], 1)


def test_an_as_of_before_the_champions_is_superseded(champion: Workspace) -> None:
    result = retrain(champion, day(39))
    assert result.verdict is not None and result.verdict.decision == "superseded"
    assert result.deployment is None
    assert "as of 2024-02-09 00:00, the champion as of 2024-02-10 00:00" in result.text
    assert live(champion) == ([1], 1)


def test_too_few_rows_for_a_holdout_name_the_earliest_time_that_can_decide(champion: Workspace) -> None:
    workspace = edit(champion, {"gate": {"min_rows": 300}})  # a week has 280
    result = retrain(workspace, day(42))
    assert result.verdict is not None and result.verdict.decision == "inconclusive"
    assert "the holdout has 280 rows in 28 blocks; it takes 300 rows and 20 blocks" in result.text
    assert any("a run as of 2024-02-19 00:00 UTC or later" in change for change in result.verdict.would_change)
    assert live(workspace) == ([1], 1)


def test_a_request_three_days_after_a_promotion_can_be_decided(champion: Workspace) -> None:
    result = retrain(champion, day(43))
    assert result.verdict is not None and result.verdict.decision == "promote"
    e = result.verdict.evaluation
    assert (e.n_rows, e.n_days, e.n_champion_rows) == (280, 7, 120), "the champion counts on what it has not learnt"
    assert e.over_champion is None, "three days have no error that can be stated"
    assert any("nothing older could be compared" in reason for reason in result.verdict.reasons)
    assert live(champion) == ([1, 2], 2)


def test_nothing_new_is_a_green_verdict(champion: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("a candidate was tried, and there is nothing to judge it by")

    monkeypatch.setattr("retraining.train.try_candidate", never)
    monkeypatch.setattr("retraining.train.choose", never)
    champion.ledger.add_request(Request("r" * 64, NAME, day(40), "drift", "monitor"))
    result = retrain(champion, day(40))
    assert result.verdict is not None and result.verdict.decision == "nothing_new"
    assert "no mature row is newer than the champion's" in result.text
    assert champion.ledger.open_requests(NAME) == []
    assert result.verdict == retrain(champion, day(40)).verdict, "the same run is the same verdict"
    assert live(champion) == ([1], 1)


# --- deploy: what has no verdict is not deployed ------------------------------------------------------------------


def refuses(r: Released, verdict: Verdict, release_id: str, words: str) -> None:
    """Deploy, and see it refused: champion history, alias and model versions are what they were."""
    with pytest.raises(DeployRefused, match=words):
        deploy(r.workspace, verdict, release_id, wait_for_approval=False, by=BY)
    assert live(r.workspace) == ([1], 1) and versions(r.workspace) == [1]
    assert r.workspace.ledger.outcome(verdict.id) is None


def test_deploy_refuses_a_verdict_that_is_not_in_the_ledger(released: Released) -> None:
    missing = replace(released.verdict, id="0" * 64)
    refuses(released, missing, released.release.id, "there is no verdict 00000000 in the ledger. The champion stays")


def test_deploy_refuses_a_verdict_that_was_altered_on_the_way(released: Released) -> None:
    better = replace(released.verdict, evaluation=replace(released.verdict.evaluation, candidate=0.999))
    refuses(released, better, released.release.id, "is not what the gate recorded")


def alter(workspace: Workspace, table: str, verdict_id: str, changes: dict[str, Any]) -> None:
    """Change a record's JSON in the ledger by hand; `evaluation.x` is a field of the verdict's evaluation."""
    column = "id" if table == "verdicts" else "verdict_id"
    with sqlite3.connect(ledger_file(workspace)) as connection:
        (body,) = connection.execute(f"select body from {table} where {column} = ?", (verdict_id,)).fetchone()
        forged = json.loads(body)
        for path, value in changes.items():
            outer, _, name = path.rpartition(".")
            (forged[outer] if outer else forged)[name] = value
        connection.execute(f"update {table} set body = ? where {column} = ?", (json.dumps(forged), verdict_id))


@pytest.mark.parametrize(
    ("path", "value", "name"),
    [
        ("decision", "inconclusive", "decision"),
        ("dry_run", True, "dry_run"),
        ("evaluation.spec_id", "0" * 64, "spec_id"),
        ("evaluation.recipe_id", "0" * 64, "recipe_id"),
        ("evaluation.candidate_id", "0" * 64, "candidate_id"),
        ("evaluation.champion_release_id", "0" * 64, "champion_release_id"),
        ("evaluation.champion_sequence", None, "champion_sequence"),
        ("evaluation.holdout_id", "0" * 64, "holdout_id"),
        ("evaluation.refit_id", "0" * 64, "refit_id"),
        ("evaluation.as_of", day(50).isoformat(), "as_of"),
        ("evaluation.candidate", 0.999, "candidate"),
        ("evaluation.n_rows", 100_000, "n_rows"),
        ("evaluation.leaked_rows", 1, "leaked_rows"),
        (
            "evaluation.over_champion",
            {"value": 0.1, "standard_error": 0.01, "lower": 0.09, "upper": 0.11, "degrees": 27},
            "over_champion",
        ),
        ("evaluation.rule", "replace", "rule"),
        ("checklist", [], "checklist"),
    ],
)
def test_deploy_refuses_a_verdict_that_was_altered_in_the_ledger(
    released: Released, path: str, value: Any, name: str
) -> None:
    alter(released.workspace, "verdicts", released.verdict.id, {path: value})
    found = stages.verdict_of(released.workspace, released.verdict.id)
    words = f"is not what the gate recorded: {name}. The champion stays. Was the ledger changed by hand"
    refuses(released, found, released.release.id, words)


def test_deploy_refuses_a_decision_that_the_gate_would_not_make_again(champion: Workspace) -> None:
    rejected = retrain(misled(champion), SECOND).verdict
    assert rejected is not None and rejected.decision == "reject"
    forged = replace(
        rejected, id=verdict_id(rejected.evaluation, "promote", dry_run=False), decision="promote", reasons=("better",)
    )
    champion.ledger.add_verdict(forged, ())
    words = "is not what the gate recorded: decision: promote is recorded, and the gate decides reject: "
    with pytest.raises(DeployRefused, match=words):
        deploy(champion, forged, first_of(champion).release_id, wait_for_approval=False, by=BY)
    assert live(champion) == ([1], 1)


def test_deploy_refuses_a_verdict_whose_evaluation_is_not_recorded(released: Released) -> None:
    with sqlite3.connect(ledger_file(released.workspace)) as connection:
        connection.execute("delete from work where stage = 'evaluate'")
    refuses(released, released.verdict, released.release.id, "the evaluation it was made from is not in the ledger")


@pytest.mark.parametrize(
    ("path", "value", "name"),
    [
        ("verdict_id", "0" * 64, "verdict differs"),
        ("model", "other", "model differs"),
        ("snapshot_id", "0" * 64, "snapshot differs"),
        ("cutoff", day(60).isoformat(), "cut-off differs"),
        ("checklist", [], "checklist differs"),
        ("flip_share", 0.9, "checklist differs"),
    ],
)
def test_deploy_refuses_a_release_whose_binding_was_altered_in_the_ledger(
    released: Released, path: str, value: Any, name: str
) -> None:
    alter(released.workspace, "releases", released.verdict.id, {path: value})
    refuses(
        released, released.verdict, released.release.id, f"is not what verdict .* is bound to: {name}. The champion"
    )


def test_deploy_refuses_a_release_that_was_exchanged_in_the_ledger(released: Released) -> None:
    first = first_of(released.workspace)
    alter(released.workspace, "releases", released.verdict.id, {"id": first.release_id})
    refuses(released, released.verdict, first.release_id, "is bound to: snapshot, cut-off differ. The champion stays")


def test_deploy_refuses_another_release_than_the_verdicts_own(released: Released) -> None:
    first = first_of(released.workspace)
    words = f"release {first.release_id[:8]} is not the one verdict {released.verdict.id[:8]} is bound to"
    refuses(released, released.verdict, first.release_id, words)


def test_deploy_refuses_a_verdict_that_has_no_release(champion: Workspace) -> None:
    verdict = champion.ledger.verdicts(NAME)[0]
    with sqlite3.connect(ledger_file(champion)) as connection:
        connection.execute("delete from releases")
    with pytest.raises(DeployRefused, match=r"is bound to \(none\)"):
        deploy(champion, verdict, first_of(champion).release_id, wait_for_approval=False, by=BY)


def test_a_dry_run_makes_no_release_and_deploy_refuses_its_verdict(champion: Workspace) -> None:
    result = retrain(champion, SECOND, dry_run=True)
    assert result.verdict is not None and (result.verdict.decision, result.deployment) == ("promote", None)
    assert champion.ledger.release_of(result.verdict.id) is None
    with pytest.raises(DeployRefused, match="is a dry run, not a promotion. The champion stays"):
        deploy(champion, result.verdict, first_of(champion).release_id, wait_for_approval=False, by=BY)
    assert live(champion) == ([1], 1) and versions(champion) == [1]


# --- a release that was tampered with -----------------------------------------------------------------------------


def first_of(workspace: Workspace) -> Champion:
    return workspace.ledger.champions(NAME)[0]


def ledger_file(workspace: Workspace) -> str:
    return workspace.settings.ledger.removeprefix("sqlite:///")


def release_folder(workspace: Workspace, release_id: str) -> Path:
    return workspace.settings.home / "store" / "releases" / release_id


def test_a_changed_file_in_a_release_is_refused_by_a_fresh_process(released: Released) -> None:
    file = release_folder(released.workspace, released.release.id) / "model.skops"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    words = "preflight failed: .*model.skops was altered or truncated.* The champion stays"
    refuses(released, released.verdict, released.release.id, words)


@pytest.mark.parametrize("other", ["nothing", "host", "environment", "release", "time"])
def test_a_deployment_takes_only_a_preflight_of_these_bytes_here_and_lately(
    released: Released, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    monkeypatch.setattr("retraining.rollout.champion.preflight", lambda _, release_id: started.append(release_id))
    workspace, proof = released.workspace, released.workspace.ledger.newest(Proof, NAME, "preflight")
    assert proof is not None and proof.release_id == released.release.id
    at = proof.at - timedelta(minutes=16) if other == "time" else datetime.now(UTC)
    changes = {"host": {"host": "another"}, "environment": {"environment_id": "e"}, "release": {"release_id": "r"}}
    workspace.ledger.finish(NAME, "preflight", other, replace(proof, at=at, **changes.get(other, {})))
    deploy(workspace, released.verdict, released.release.id, wait_for_approval=False, by=BY)
    assert started == ([] if other == "nothing" else [released.release.id])
    assert live(workspace) == ([1, 2], 2)


def test_a_file_exchanged_together_with_the_manifest_is_refused(released: Released, quick_preflight: None) -> None:
    workspace = released.workspace
    folder = release_folder(workspace, released.release.id)
    foreign = (release_folder(workspace, first_of(workspace).release_id) / "model.skops").read_bytes()
    (folder / "model.skops").write_bytes(foreign)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "model.skops": sha256(foreign)}))
    with pytest.raises(Damaged, match="its manifest was altered"):
        deploy(workspace, released.verdict, released.release.id, wait_for_approval=False, by=BY)
    assert live(workspace) == ([1], 1) and versions(workspace) == [1]


def test_scoring_refuses_a_champion_that_was_tampered_with(champion: Workspace) -> None:
    first = champion.ledger.champion(NAME)
    assert first is not None
    file = release_folder(champion, first.release_id) / "meta.json"
    file.write_text(file.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(Damaged, match=r"meta.json was altered or truncated .* Restore it from a backup"):
        score.run(champion, champion.spec(NAME), day(42))


# --- the registry -------------------------------------------------------------------------------------------------


def client_of(workspace: Workspace) -> MlflowClient:
    return MlflowClient(workspace.settings.mlflow, workspace.settings.mlflow)


def test_an_alias_moved_by_hand_is_reported_and_left_alone(two_champions: Workspace) -> None:
    client_of(two_champions).set_registered_model_alias(NAME, "champion", "1")
    text = reconcile(two_champions, NAME, SECOND)
    assert "the alias champion in MLflow names version 1, the ledger says version 2. Nothing was changed." in text
    assert f"registry restore {NAME}" in text and f"registry adopt {NAME}" in text
    assert live(two_champions) == ([1, 2], 1)
    assert [a.message for a in two_champions.ledger.alerts(NAME)] == [text]


def test_the_next_retraining_reports_an_alias_moved_by_hand(two_champions: Workspace) -> None:
    client_of(two_champions).set_registered_model_alias(NAME, "champion", "1")
    assert retrain(two_champions, SECOND).verdict is not None
    assert [a.kind for a in two_champions.ledger.alerts(NAME)] == ["alias moved"]
    assert live(two_champions) == ([1, 2], 1)


def test_restore_puts_the_ledgers_version_back(two_champions: Workspace) -> None:
    client_of(two_champions).set_registered_model_alias(NAME, "champion", "1")
    assert restore_alias(two_champions, NAME).sequence == 2
    assert live(two_champions) == ([1, 2], 2)
    assert "agree on version 2" in reconcile(two_champions, NAME, SECOND)


def test_adopt_makes_the_version_that_the_alias_names_the_champion(
    two_champions: Workspace, quick_preflight: None
) -> None:
    client_of(two_champions).set_registered_model_alias(NAME, "champion", "1")
    entry = adopt_alias(two_champions, NAME, BY, SECOND)
    assert (entry.sequence, entry.version, entry.by) == (3, 1, BY)
    assert live(two_champions) == ([1, 2, 3], 1)
    assert adopt_alias(two_champions, NAME, BY, SECOND).sequence == 3  # doing it twice has no second effect
    assert live(two_champions) == ([1, 2, 3], 1)


def test_adopt_refuses_a_version_that_no_verdict_stands_behind(two_champions: Workspace) -> None:
    client = client_of(two_champions)
    one = client.get_model_version(NAME, "1")
    client.create_model_version(NAME, one.source, one.run_id)
    client.set_registered_model_alias(NAME, "champion", "3")
    with pytest.raises(RequestError, match="version 3 was never a champion here, so no verdict stands behind it"):
        adopt_alias(two_champions, NAME, BY, SECOND)
    assert [c.sequence for c in two_champions.ledger.champions(NAME)] == [1, 2]


def test_a_version_deleted_in_mlflow_does_no_harm(two_champions: Workspace, quick_preflight: None) -> None:
    for version in ("1", "2"):
        client_of(two_champions).delete_model_version(NAME, version)
    assert [s.n_rows for s in score.run(two_champions, two_champions.spec(NAME), day(50))] == [40, 40, 40]
    text = reconcile(two_champions, NAME, SECOND)
    assert "version 2, the ledger's champion, was deleted in MLflow" in text
    assert "the next promotion sets the alias again" in text
    with pytest.raises(RequestError, match="version 2 was deleted in MLflow"):
        restore_alias(two_champions, NAME)
    entry = rollback(two_champions, NAME, None, BY, "too late", day(50))
    assert (entry.sequence, entry.version) == (3, 1)
    assert live(two_champions) == ([1, 2, 3], None)
    assert promoted(two_champions, day(58)).sequence == 4
    assert live(two_champions) == ([1, 2, 3, 4], 3)


def test_rollback_and_a_rollback_of_it(two_champions: Workspace, quick_preflight: None) -> None:
    first, second = two_champions.ledger.champions(NAME)
    back = rollback(two_champions, NAME, None, BY, "it predicts nonsense", day(49))
    assert (back.sequence, back.release_id, back.version, back.kind) == (3, first.release_id, 1, "rollback")
    assert "it predicts nonsense" in back.reason
    assert live(two_champions) == ([1, 2, 3], 1)
    forth = rollback(two_champions, NAME, None, BY, "it did not", day(49))
    assert (forth.sequence, forth.release_id, forth.version) == (4, second.release_id, 2)
    assert live(two_champions) == ([1, 2, 3, 4], 2)
    assert rollback(two_champions, NAME, 2, BY, "again", day(49)).sequence == 4  # it is the champion already


def test_rollback_to_a_damaged_release_is_refused(two_champions: Workspace, quick_preflight: None) -> None:
    first = two_champions.ledger.champions(NAME)[0]
    (release_folder(two_champions, first.release_id) / "model.skops").unlink()
    with pytest.raises(Damaged, match="model.skops is missing"):
        rollback(two_champions, NAME, None, BY, "it predicts nonsense", day(49))
    assert live(two_champions) == ([1, 2], 2)


def test_rollback_without_an_earlier_champion_is_a_wrong_request(champion: Workspace) -> None:
    with pytest.raises(RequestError, match="the champion is the first one; there is nothing to go back to"):
        rollback(champion, NAME, None, BY, "why not", day(49))
    with pytest.raises(RequestError, match="there is no entry 7; it has 1 to 1"):
        rollback(champion, NAME, 7, BY, "why not", day(49))


# --- two at once, and a YAML edited meanwhile ---------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_of_two_retrainings_at_once_one_version_goes_live(champion: Workspace, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "retraining", "run", NAME, "--json", "--as-of"]
    env = {**os.environ, **environ(champion.settings), "PYTHONWARNINGS": "ignore"}
    times = [SECOND, day(49)]
    running = [
        subprocess.Popen(
            [*command, when.isoformat()], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for when in times
    ]
    answers = [process.communicate(timeout=500) for process in running]
    assert [process.returncode for process in running] == [0, 0], answers
    ends = [json.loads(out) for out, _ in answers]
    outcomes = sorted(e["deployment"]["outcome"] if e["deployment"] else e["verdict"]["decision"] for e in ends)
    history, alias = live(Workspace(champion.settings))
    assert outcomes in (["deployed", "superseded"], ["deployed", "nothing_new"], ["deployed", "inconclusive"]), ends
    assert history == [1, 2]
    assert alias == champion.ledger.champions(NAME)[-1].version


def another(released: Released) -> tuple[Verdict, Release]:
    """Judge and release the same challenger as of a day later, against the same champion."""
    evaluation = replace(released.verdict.evaluation, as_of=day(49))
    identity = verdict_id(evaluation, "promote", dry_run=False)
    released.workspace.ledger.finish(NAME, "evaluate", identity, evaluation)
    verdict = released.workspace.ledger.add_verdict(replace(released.verdict, id=identity, evaluation=evaluation), ())
    return verdict, released.workspace.ledger.add_release(replace(released.release, verdict_id=verdict.id))


def test_of_two_runs_judged_against_the_same_champion_the_second_is_superseded(
    released: Released, quick_preflight: None
) -> None:
    workspace, (verdict, release) = released.workspace, another(released)
    assert deploy(workspace, released.verdict, released.release.id, wait_for_approval=False, by=BY).sequence == 2
    for _ in range(2):
        lost = deploy(workspace, verdict, release.id, wait_for_approval=False, by=BY)
        assert lost.outcome == "superseded" and "another run replaced the champion" in lost.detail
    assert live(workspace) == ([1, 2], 2) and versions(workspace) == [1, 2]


def test_the_insert_decides_when_both_runs_saw_the_same_champion(released: Released, monkeypatch: Any) -> None:
    workspace, (verdict, release) = released.workspace, another(released)

    def overtaken(own: Workspace, release_id: str) -> StoredModel:
        monkeypatch.setattr("retraining.rollout.champion.load_same", load_same)
        deploy(Workspace(workspace.settings), verdict, release.id, wait_for_approval=False, by=BY)
        return load_same(own, release_id)

    monkeypatch.setattr("retraining.rollout.champion.load_same", overtaken)
    lost = deploy(workspace, released.verdict, released.release.id, wait_for_approval=False, by=BY)
    assert lost.outcome == "superseded"
    assert live(workspace) == ([1, 2], workspace.ledger.champions(NAME)[-1].version)
    assert workspace.ledger.champions(NAME)[-1].verdict_id == verdict.id


def test_a_yaml_edited_under_way_does_not_change_the_run(champion: Workspace) -> None:
    frozen = champion.spec(NAME)
    admission = admit(champion, frozen, as_of=SECOND, fallback=SECOND, trigger="person", reason="edited", dry_run=True)
    path = champion.settings.models / f"{NAME}.yaml"
    path.write_text(path.read_text().replace("holdout: 7d", "holdout: 1d").replace("min_rows: 200", "min_rows: 5000"))
    result = whole.run(Workspace(champion.settings), admission)
    assert result.verdict is not None and result.verdict.decision == "promote"
    assert result.verdict.evaluation.n_rows == 280
    assert result.verdict.evaluation.spec_id == frozen.id
    path.write_text("nonsense: [")
    assert whole.run(Workspace(champion.settings), admission).verdict == result.verdict


# --- services that do not answer ----------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let MLflow's client give up at once, instead of after some seconds."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.usefixtures("impatient")
def test_mlflow_that_does_not_answer_is_unavailable(champion: Workspace) -> None:
    workspace = Workspace(replace(champion.settings, mlflow=NOBODY))
    with pytest.raises(Unavailable, match="MLflow at http://127.0.0.1:9: does not answer") as caught:
        retrain(workspace, SECOND)
    assert "Nothing was promoted. Check MLFLOW_TRACKING_URI" in str(caught.value)
    assert live(champion) == ([1], 1)
    assert [v.decision for v in champion.ledger.verdicts(NAME)] == ["promote"]


@pytest.mark.usefixtures("impatient")
def test_mlflow_going_away_before_deploy_promotes_nothing(released: Released, quick_preflight: None) -> None:
    workspace, verdict, release = released.workspace, released.verdict, released.release
    gone = Workspace(replace(workspace.settings, mlflow=NOBODY))
    with pytest.raises(Unavailable, match="MLflow at"):
        deploy(gone, verdict, release.id, wait_for_approval=False, by=BY)
    assert live(workspace) == ([1], 1)
    assert deploy(workspace, verdict, release.id, wait_for_approval=False, by=BY).outcome == "deployed"
    assert live(workspace) == ([1, 2], 2)


@pytest.mark.parametrize(
    "url",
    ["sqlite:////proc/no/such/folder/ledger.db", "postgresql+psycopg2://nobody:secret@127.0.0.1:9/ledger"],
    ids=["sqlite", "postgresql"],
)
def test_a_ledger_that_does_not_answer_is_unavailable(champion: Workspace, url: str) -> None:
    workspace = Workspace(replace(champion.settings, ledger=url))
    with pytest.raises(Unavailable, match=r"ledger .*cannot be opened.*Check RETRAINING_LEDGER") as caught:
        retrain(workspace, SECOND)
    assert "secret" not in str(caught.value)
    assert live(champion) == ([1], 1)


def test_a_ledger_that_goes_away_is_unavailable(released: Released) -> None:
    workspace = released.workspace
    assert workspace.ledger.champion(NAME) is not None
    workspace.ledger.close()
    path = Path(ledger_file(workspace))
    for file in path.parent.glob("ledger.db*"):
        file.unlink()
    path.mkdir()
    with pytest.raises(Unavailable, match="ledger sqlite:.*Nothing was recorded"):
        deploy(workspace, released.verdict, released.release.id, wait_for_approval=False, by=BY)
    assert workspace.registry.alias(NAME) == 1 and versions(workspace) == [1]


# --- data that cannot be learnt from, and sources that cannot be read ---------------------------------------------


def refused(workspace: Workspace, error: type[RetrainingError], as_of: datetime = FIRST) -> str:
    """Retrain, and return the error's text: nothing may have been promoted or judged, nothing half written."""
    with pytest.raises(error) as caught:
        retrain(workspace, as_of)
    assert workspace.ledger.champions(NAME) == [] and workspace.ledger.verdicts(NAME) == []
    assert list(workspace.settings.home.rglob("*.tmp")) == []
    return str(caught.value)


def test_a_missing_source(tmp_path: Path) -> None:
    workspace = tiny(tmp_path)
    source_of(workspace).unlink()
    text = refused(workspace, SourceError)
    assert "tiny.csv: there is no such file. Check data.source.files." in text


def test_a_source_without_rows_in_the_window(tmp_path: Path) -> None:
    text = refused(tiny(tmp_path, rows(range(100, 110))), NotEnoughData)
    assert "tiny: the source has no rows in 2024-01-05 to 2024-02-02 UTC. Check the source and the as-of time." in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"id,time,x1,x2,kind,cost,y\n", "tiny"),
        (bytes(range(256)) * 50, "tiny.csv"),
        (b"id,time,x1\n1,2024-01-08T00:00:00Z,0.5\n", "y"),
    ],
    ids=["empty", "header only", "corrupt", "columns missing"],
)
def test_a_source_that_cannot_be_used(tmp_path: Path, content: bytes, words: str) -> None:
    workspace = tiny(tmp_path)
    source_of(workspace).write_bytes(content)
    text = refused(workspace, RetrainingError)
    assert words in text and len(text) < 1000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.assign(id="same"), "keys appear more than once"),
        (lambda f: f.assign(x1="text"), "schema of x1: failed: holds string, not numbers"),
        (lambda f: f.drop(columns="x2"), "missing column x2"),
        (lambda f: f.drop(columns="cost"), "cost"),
        (lambda f: f.assign(x1=-99.0), "x1: expect_column_values_to_be_between(min_value=-50"),
        (lambda f: f.assign(time=None), "time"),
        (lambda f: f.assign(y=1), "the target has one class only (1.0); nothing can be learnt."),
        (lambda f: f.assign(y=None), "of the mature rows have no label, more than data.max_unlabelled"),
        (lambda f: f[f["time"] > day(30)], "labelled rows; at least 200 are needed"),
    ],
    ids=[
        "doubled key",
        "text in a number column",
        "feature missing",
        "outcome missing",
        "failed check",
        "no times",
        "one class",
        "no label",
        "too few rows",
    ],
)
def test_data_that_cannot_be_learnt_from(tmp_path: Path, change: Any, words: str) -> None:
    text = refused(tiny(tmp_path, change(rows(range(N_DAYS)))), RetrainingError)
    assert words in text and len(text) < 1000


def test_labels_that_are_not_final_yet_are_not_there(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, changes={"data": {"label_delay": "45d"}})
    assert "the source has no rows in" in refused(workspace, NotEnoughData)


def test_a_holdout_without_labels(champion: Workspace) -> None:
    frame = rows(range(N_DAYS))
    write_csv(source_of(champion), frame.assign(y=frame["y"].where(frame["time"] < day(40))))
    with pytest.raises(NotEnoughData, match=r"100.0% of the mature rows have no label, more than data.max_unlabelled"):
        retrain(champion, SECOND)
    assert live(champion) == ([1], 1) and len(champion.ledger.verdicts(NAME)) == 1


def test_a_mended_source_is_read_again_by_the_same_run(champion: Workspace) -> None:
    good = source_of(champion).read_bytes()
    source_of(champion).write_bytes(bytes(range(256)) * 50)
    with pytest.raises(SourceError):
        retrain(champion, SECOND)
    source_of(champion).write_bytes(good)
    result = retrain(champion, SECOND, dry_run=True)
    assert result.verdict is not None and result.verdict.decision == "promote"


def test_a_day_that_failed_a_check_is_read_again_by_the_next_days_run(champion: Workspace) -> None:
    good = rows(range(N_DAYS))
    write_csv(source_of(champion), good.assign(x1=good["x1"].where(good["time"] < day(46), -99.0)))
    with pytest.raises(ValidationFailed, match=r"x1: expect_column_values_to_be_between\(min_value=-50"):
        retrain(champion, SECOND)
    write_csv(source_of(champion), good)
    later = retrain(champion, day(49), dry_run=True)  # its look-back reaches the mended day
    assert later.verdict is not None and later.verdict.decision == "promote"
