"""Reproduction: the same bits in a new process, and a plain no when anything it was made of has changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from retraining.artifacts import environment, stored
from retraining.artifacts.stored import StoredModel
from retraining.audit.reproduce import describe, reproduce, succeeded
from retraining.cli.app import app
from retraining.errors import Damaged, RequestError
from retraining.pipeline import retrain as stages
from retraining.pipeline.admission import admit
from retraining.records import Trained
from retraining.spec.training import Training
from retraining.train import recipe_id
from retraining.workspace import Workspace
from samples.records import champion
from samples.tiny import day, environ, retrain, rows, settings_in, tiny, write_model
from tests.support.preflight import in_this_process

pytestmark = pytest.mark.slow

AS_OF = day(40)
_DATA = {
    "binary": {},
    "multiclass": {"target": "level", "outcomes": ["y", "cost"]},
    "regression": {"target": "cost", "outcomes": ["y"]},
}


def families() -> dict[str, dict[str, Any]]:
    """Return a model per default candidate, by task and metric: what its YAML changes."""
    found = {}
    for task, metric in (("binary", ""), ("multiclass", ""), ("regression", "mae"), ("regression", "rmse")):
        for candidate in Training.model_validate({"task": task, "metric": metric}).candidates:
            training = {"task": task, "metric": metric, "seed": 7, "candidates": [candidate.model_dump()]}
            name = f"{metric or task}_{candidate.estimator.rpartition('.')[2]}"
            found[name] = {"data": _DATA[task], "training": training}
            if task != "regression":
                kind = "isotonic" if task == "binary" else "sigmoid"
                mended = {**training, "class_weight": "balanced", "calibration": kind}
                found[f"{name}_{kind}"] = {"data": _DATA[task], "training": mended}
    return found


def train_only(workspace: Workspace, name: str) -> Trained:
    admission = admit(
        workspace, workspace.spec(name), as_of=AS_OF, fallback=AS_OF, trigger="person", reason="", dry_run=False
    )
    return stages.train(workspace, admission, stages.ingest(workspace, admission))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Train a candidate of every family; the source is gone afterwards."""
    workspace = Workspace(settings_in(tmp_path_factory.mktemp("families")))
    frame = rows(range(42))
    frame["level"] = frame["y"].astype(str).where(frame["cost"] < 20, "high")
    for name, changes in families().items():
        csv = write_model(workspace.settings.models, name, frame, changes).with_suffix(".csv")
        train_only(workspace, name)
        csv.unlink()
    return workspace


@pytest.fixture(scope="module")
def elsewhere(trained: Workspace) -> dict[str, Any]:
    """Reproduce every family by the command line, in one new process."""
    code = f"""
from retraining.cli.app import app
for name in {sorted(families())}:
    app(["reproduce", name, "--json"], standalone_mode=False)
    print("===")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environ(trained.settings)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = [json.loads(part) for part in done.stdout.split("===")[:-1]]
    return {record["model"]: record for record in found}


@pytest.mark.parametrize("name", families())
def test_every_default_candidate_has_the_same_bits_in_a_new_process(elsewhere: dict[str, Any], name: str) -> None:
    found = elsewhere[name]
    assert found["same_environment"], found["environment_changes"]
    assert found["identical"]
    assert found["file_identical"]
    assert found["largest_difference"] == 0
    assert found["n_rows"] == 28 * 40 + stored.N_SMOKE_ROWS


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A champion, refitted and deployed, whose source is gone."""
    workspace = tiny(tmp_path_factory.mktemp("live"))
    with in_this_process():
        assert retrain(workspace, AS_OF).deployment
    (workspace.settings.models / "tiny.csv").unlink()
    return workspace


def test_a_champion_is_reproduced_by_its_version(live: Workspace) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "retraining", "reproduce", "tiny", "--version", "1"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environ(live.settings)},
    )
    assert done.returncode == 0, done.stderr
    assert "version 1" in done.stdout
    assert "reproduced bit for bit on 1,170 rows; model file: the same" in done.stdout
    assert reproduce(live, "tiny").release_id == live.ledger.champions("tiny")[-1].release_id
    with pytest.raises(RequestError, match="no version 9 was made here. Versions of champions: 1"):
        reproduce(live, "tiny", 9)
    with pytest.raises(RequestError, match="there is no model nobody"):
        reproduce(live, "nobody")


def doctored(workspace: Workspace, **changes: Any) -> StoredModel:
    """Store the newest candidate with another card, as if that were what it had been made of, and deploy it."""
    newest = workspace.ledger.newest(Trained, "mae_SGDRegressor", "train")
    assert newest is not None
    model = stored.load(workspace.store, newest.artifact_id)
    card = replace(model.card, **changes)
    card = replace(card, recipe_id=recipe_id(card.spec_id, card.estimator, card.params, card.seed))
    card = replace(card, **{k: v for k, v in changes.items() if k == "recipe_id"})
    identity = stored.save(workspace.store, card, model.pipeline, model.smoke)
    sequence = len(workspace.ledger.champions(card.model)) + 1
    workspace.ledger.move_champion(
        champion(sequence, model=card.model, release_id=identity, verdict_id=None, version=sequence)
    )
    return replace(model, id=identity, card=card)


@pytest.mark.parametrize("change", [{"seed": 8}, {"params": {"loss": "epsilon_insensitive", "epsilon": 0.1}}])
def test_another_seed_or_parameter_is_found_out(
    trained: Workspace, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    model = doctored(trained, **change)
    found = reproduce(trained, model.card.model)
    assert found.same_environment
    assert not found.identical
    assert found.largest_difference > 1e-6
    assert "NOT reproduced, differs by up to" in describe(found)

    for key, text in environ(trained.settings).items():
        monkeypatch.setenv(key, text)
    assert CliRunner().invoke(app, ["reproduce", model.card.model]).exit_code == 1


def test_a_card_that_does_not_make_up_its_recipe_is_damaged(trained: Workspace) -> None:
    model = doctored(trained, recipe_id="0" * 64)
    with pytest.raises(Damaged, match="do not make up its recipe 00000000"):
        reproduce(trained, model.card.model)


def test_another_environment_is_named_and_refused_unless_wanted(trained: Workspace) -> None:
    document = {**environment.describe_environment(), "python": "3.10.1"}
    document["versions"] = {**document["versions"], "scikit-learn": "1.9.0", "old-tool": "1"}
    identity = environment.digest_of(document)
    trained.store.write_json_once(f"environments/{identity}.json", document)
    model = doctored(trained, environment_id=identity)
    with pytest.raises(RequestError, match=r"python 3.10.1 -> 3\..*scikit-learn 1.9.0 -> .*old-tool 1 -> absent"):
        reproduce(trained, model.card.model)
    found = reproduce(trained, model.card.model, anyway=True)
    assert (found.same_environment, found.identical) == (False, True)
    assert succeeded(replace(found, identical=False, largest_difference=1e-6))
    assert not succeeded(replace(found, identical=False, largest_difference=2e-6))
    assert not succeeded(replace(found, identical=False, same_environment=True))

    model = doctored(trained, environment_id="1" * 64)
    with pytest.raises(RequestError, match="environments/11111111 is missing from the store"):
        reproduce(trained, model.card.model)


def test_threads_are_set_as_they_were(trained: Workspace) -> None:
    document = environment.describe_environment()
    two = {**document, "threads": dict.fromkeys(document["threads"], 2)}
    with environment.threads_of(two):
        assert environment.environment_changes(two, environment.digest_of(two)) == ()
    assert environment.environment_id() == environment.digest_of(document)


def _altered(path: Path, write: Any) -> Any:
    before = path.read_bytes()
    path.write_bytes(write(before))
    return before


def test_altered_rows_manifests_and_specs_are_named(live: Workspace) -> None:
    store = live.settings.home / "store"
    card = stored.read_card(live.store, live.ledger.champions("tiny")[-1].release_id)
    manifest = store / "snapshots" / f"{card.snapshot_id}.json"
    snapshot = json.loads(manifest.read_text())
    chunk, other = snapshot["labels"][3], snapshot["labels"][4]
    path, stranger = (store / "chunks" / c["id"][:2] / f"{c['id']}.parquet" for c in (chunk, other))

    before = _altered(path, lambda data: data[:-1] + b" ")
    with pytest.raises(Damaged, match=f"chunks/{chunk['id'][:2]}/{chunk['id']}.parquet was altered"):
        reproduce(live, "tiny")
    path.unlink()
    with pytest.raises(Damaged, match=f"{chunk['id']}.parquet is missing"):
        reproduce(live, "tiny")

    path.write_bytes(stranger.read_bytes())  # other rows, with the manifest made to fit
    whole = _altered(manifest, lambda data: data.replace(chunk["file_sha256"].encode(), other["file_sha256"].encode()))
    with pytest.raises(Damaged, match=f"{chunk['id']}.parquet holds other rows than its id says"):
        reproduce(live, "tiny")
    path.write_bytes(before)
    manifest.write_bytes(whole.replace(chunk["id"].encode(), other["id"].encode()))
    with pytest.raises(Damaged, match=f"snapshots/{card.snapshot_id}.json was altered"):
        reproduce(live, "tiny")
    manifest.write_bytes(whole)

    spec = store / "specs" / f"{card.spec_id}.json"
    text = _altered(spec, lambda data: data.replace(b'"seed": 0', b'"seed": 1'))
    with pytest.raises(Damaged, match=f"specs/{card.spec_id}.json was altered"):
        reproduce(live, "tiny")
    spec.write_bytes(text)
    found = reproduce(live, "tiny")
    assert succeeded(found)
    assert live.ledger.newest(type(found), "tiny", "reproduce") == found


def test_a_version_says_what_stood_behind_it(live: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, judged = live.ledger.champions("tiny")[-1], live.ledger.verdicts("tiny")
    live = Workspace(replace(live.settings, ledger=f"sqlite:///{tmp_path / 'ledger.db'}"))
    live.ledger.add_verdict(judged[-1], [])
    live.ledger.move_champion(now)
    live.ledger.move_champion(
        replace(now, sequence=2, kind="rollback", release_id="0" * 64, version=2, by="me", as_of=day(41))
    )
    for key, text in environ(live.settings).items():
        monkeypatch.setenv(key, text)
    done = CliRunner().invoke(app, ["history", "tiny", "--versions", "--json"])
    first, second = json.loads(done.stdout)
    card = stored.read_card(live.store, now.release_id)
    assert (first["snapshot_id"], first["environment_id"]) == (card.snapshot_id, card.environment_id)
    assert (first["n_rows"], first["window"]["end"]) == (28 * 40, "2024-02-09T00:00:00Z")
    assert (first["spec_id"], first["recipe_id"]) == (now.spec_id, now.recipe_id)
    assert (first["decision"], first["verdict_id"], first["kind"]) == ("promote", now.verdict_id, "promotion")
    assert (first["as_of"], first["until"]) == ("2024-02-10T00:00:00Z", "2024-02-11T00:00:00Z")
    assert (second["until"], second["replaced_at"], second["snapshot_id"]) == (None, None, None)
    assert "manifest.json is missing" in second["problem"]

    text = CliRunner().invoke(app, ["history", "tiny", "--versions"]).stdout
    assert f"promote {now.verdict_id[:8]}" in text
    assert "to now, rollback by me" in text
