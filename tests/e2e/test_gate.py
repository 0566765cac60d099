"""The gate on real installations: each item blocks a run, the run stays green, and the champion stays.

Every case changes one thing about a challenger that would be promoted otherwise.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from retraining.errors import SpecError, TrainingFailed
from retraining.pipeline.whole import RunResult
from retraining.records import Served, Validation, Verdict
from retraining.settings import Settings
from retraining.workspace import Workspace
from samples.tiny import N_DAYS, NAME, day, retrain, rows, rows_of, tiny, write_csv
from tests.e2e.conftest import FIRST, SECOND, edit, forget_readings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_preflight")]


def verdict_of(workspace: Workspace, result: RunResult) -> Verdict:
    """Return the verdict of a run that did not move the champion."""
    assert result.verdict is not None
    assert [c.sequence for c in workspace.ledger.champions(NAME)] == [1], result.text
    return result.verdict


def blocking(verdict: Verdict) -> list[str]:
    """Return the names of the items that block."""
    return [item.name for item in verdict.checklist if item.outcome == "block"]


CASE = "- {kind: direction, name: x1 helps, set: {x1: 9.0}, expect: %s}\n"


def test_a_challenger_that_meets_everything_is_promoted(champion: Workspace) -> None:
    gate = {"slices": [{"column": "kind", "min_rows": 50}], "cases": "tiny.cases.yaml"}
    result = retrain(edit(champion, {"gate": gate}, CASE % "increase"), SECOND)
    assert result.verdict is not None and result.deployment is not None
    assert result.deployment.outcome == "deployed", result.text
    assert [i.name for i in result.verdict.checklist] == [
        "validation",
        "environment",
        "baseline",
        "footing",
        "slice: kind = a",
        "slice: kind = b",
        "slice: kind = c",
        "calibration",
        "case: x1 helps",
        "anchor",
        "champion",
        "opponent",
    ]
    assert result.verdict.evaluation.rule == "refresh", "cases and slices do not make it another recipe"
    release = champion.ledger.release_of(result.verdict.id)
    assert release is not None
    assert [i.name for i in release.checklist] == ["flips", "latency", "memory", "size", "case: x1 helps"]


@pytest.mark.parametrize(
    ("item", "gate", "why"),
    [
        ("case: x1 helps", {"cases": "tiny.cases.yaml"}, "direction case broken: x1 helps: "),
        ("slice: gender", {"slices": [{"column": "gender"}]}, "the data has no column gender; there is cost, id, kind"),
        ("slice: id", {"slices": [{"column": "id"}]}, "column id has 280 values, at most 50 are slices"),
        ("slice: odd", {"slices": [{"name": "odd", "where": "nosuch = 1"}]}, "nosuch"),
        ("calibration", {"calibration": {"limit": 0.001}}, "predictions do not mean what they say: error 0.0"),
    ],
)
def test_an_item_alone_blocks_and_the_champion_stays(
    champion: Workspace, item: str, gate: dict[str, Any], why: str
) -> None:
    workspace = edit(champion, {"gate": gate}, CASE % "decrease")
    found = verdict_of(workspace, retrain(workspace, SECOND))
    assert found.decision == "reject" and blocking(found) == [item]
    assert why in found.reasons[0] and found.would_change


def test_an_environment_that_is_not_the_locked_one_blocks(champion: Workspace, tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("# a lock\nnumpy==0.9.0\n    # via pandas\nnot-for-us==1.0 ; python_version < '3'\n")
    workspace = Workspace(_with(champion, lock=lock))
    found = verdict_of(workspace, retrain(workspace, SECOND))
    assert blocking(found) == ["environment"]
    assert f"1 packages are not as lock.txt says: numpy {np.__version__} instead of 0.9.0" in found.reasons[0]
    lenient = Workspace(_with(edit(champion, {"gate": {"environment": "recorded"}}), lock=lock))
    result = retrain(lenient, SECOND)
    assert result.deployment is not None and result.deployment.outcome == "deployed"


@pytest.mark.parametrize(
    ("lock", "why"), [("", "locks no package"), ("not a requirement!\n", "is no lock file"), (None, "is no lock file")]
)
def test_a_lock_file_that_cannot_be_read_stops_the_run(
    champion: Workspace, tmp_path: Path, lock: str | None, why: str
) -> None:
    path = tmp_path / "lock.txt"
    if lock is not None:
        path.write_text(lock)
    with pytest.raises(SpecError, match=f"{why}.* Set RETRAINING_LOCK"):
        retrain(Workspace(_with(champion, lock=path)), SECOND)


def test_without_a_lock_file_the_environment_is_not_known(champion: Workspace) -> None:
    workspace = Workspace(_with(champion, lock=None))
    found = verdict_of(workspace, retrain(workspace, SECOND))
    assert blocking(found) == ["environment"] and "environment is not known" in found.reasons[0]


def test_rows_that_were_not_validated_block(champion: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "retraining.pipeline.retrain.validate",
        lambda _w, _a, ingested: _Unchecked(ingested),
    )
    found = verdict_of(champion, retrain(champion, SECOND))
    assert blocking(found) == ["validation"] and "did not pass validation" in found.reasons[0]


class _Unchecked:
    """A stage that forgot to check."""

    def __init__(self, ingested: Any) -> None:
        self.ingested = ingested
        self.validation = Validation("", "", 0, 0, 0, "", (), "")


@pytest.mark.parametrize(
    ("item", "served", "changes"),
    [
        ("latency", {"latency_ms": 500.0}, {}),
        ("memory", {"memory_mb": 9e9}, {}),
        ("size", {}, {"gate": {"budgets": {"size_mb": 1e-6}}}),
    ],
)
def test_a_release_over_its_budget_is_refused_and_the_run_is_green(
    champion: Workspace, monkeypatch: pytest.MonkeyPatch, item: str, served: dict[str, float], changes: dict[str, Any]
) -> None:
    measured = {"load_s": 0.1, "latency_ms": 5.0, "memory_mb": 300.0, "size_mb": 0.1, "difference": 0.0, **served}
    monkeypatch.setattr("retraining.rollout.proven.Preflight.answer", lambda _: Served(**measured))
    workspace = edit(champion, changes)
    result = retrain(workspace, SECOND)
    found = verdict_of(workspace, result)
    assert found.decision == "promote" and result.deployment is not None
    assert result.deployment.outcome == "refused"
    assert f"{item} is over its budget" in result.deployment.detail and "The champion stays" in result.text
    assert workspace.ledger.outcome(found.id) == result.deployment
    assert retrain(workspace, SECOND).deployment == result.deployment, "asked again, it is the same answer"


def test_a_refit_that_flips_too_much_is_refused(champion: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retraining.rollout.release.flip_share", lambda *_: 1.0)
    result = retrain(champion, SECOND)
    verdict_of(champion, result)
    assert result.deployment is not None and "refitting flips 100.0%" in result.deployment.detail


# --- a champion that cannot be compared -----------------------------------------------------------------------------


def test_a_champion_that_is_missing_or_altered_is_not_replaced_by_accident(champion: Workspace) -> None:
    live = champion.ledger.champion(NAME)
    assert live is not None
    folder = Path(champion.settings.home) / "store" / "releases" / live.release_id
    kept = folder.with_suffix(".kept")
    shutil.copytree(folder, kept)
    (folder / "model.skops").unlink()
    found = verdict_of(champion, retrain(champion, SECOND))
    assert found.decision == "reject" and blocking(found) == ["champion"]
    assert "cannot score these rows" in found.reasons[0] and "model.skops is missing" in found.reasons[0]
    assert "override" in found.would_change[0]
    shutil.copy(kept / "model.skops", folder)
    result = retrain(champion, SECOND)
    assert result.deployment is not None and result.deployment.outcome == "deployed", "restored, it is compared"


def test_a_champion_of_another_schema_is_not_replaced_by_accident(champion: Workspace) -> None:
    workspace = edit(champion, {"features": {"numeric": ["x1"], "categorical": ["kind"]}})
    source = workspace.settings.models / f"{NAME}.csv"
    write_csv(source, pd.read_csv(source).drop(columns="x2"))
    forget_readings(workspace)
    found = verdict_of(Workspace(workspace.settings), retrain(Workspace(workspace.settings), SECOND))
    assert found.evaluation.rule == "replace" and blocking(found) == ["champion"]
    assert "x2" in found.reasons[0]


# --- candidates and holdouts that are no use ------------------------------------------------------------------------


def test_a_constant_candidate_does_not_beat_the_baseline(tmp_path: Path) -> None:
    constant = [{"estimator": "sklearn.dummy.DummyClassifier", "params": {"strategy": "prior"}}]
    workspace = tiny(tmp_path, changes={"training": {"candidates": constant}})
    result = retrain(workspace, FIRST)
    assert result.verdict is not None and result.verdict.decision == "reject"
    assert "not better than a model without features: roc_auc 0.5000 against 0.5000" in result.verdict.reasons[0]


def test_predictions_that_are_no_numbers_stop_the_run(champion: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogisticRegression, "predict_proba", lambda _self, x: np.full((x.shape[0], 2), np.nan))
    with pytest.raises(TrainingFailed, match="predictions are not finite"):
        retrain(champion, SECOND)
    assert len(champion.ledger.champions(NAME)) == 1


def test_a_holdout_of_one_class_is_inconclusive(tmp_path: Path) -> None:
    frame = rows(range(N_DAYS))
    frame.loc[frame["time"] >= day(32), "y"] = 0
    result = retrain(tiny(tmp_path, frame), FIRST)
    assert result.verdict is not None and result.verdict.decision == "inconclusive"
    assert result.verdict.reasons == ("the holdout has rows of one class only",)


def test_a_holdout_shorter_than_a_block_is_inconclusive(tmp_path: Path) -> None:
    def one_hour(number: int) -> pd.DataFrame:
        frame = rows_of(number, n_rows=60)
        if number < 32:
            return frame
        return frame.iloc[: 0 if number > 32 else None].assign(time=day(number) + pd.Timedelta(hours=12))

    wide = {"gate": {"min_rows": 50}}
    result = retrain(tiny(tmp_path, rows(range(N_DAYS), one_hour), wide), FIRST)
    assert result.verdict is not None and result.verdict.decision == "inconclusive"
    assert "in 1 blocks; it takes 50 rows and 20 blocks" in result.verdict.reasons[0]
    with pytest.raises(SpecError, match="holdout holds 1 blocks of gate.block, and min_blocks is 20"):
        retrain(tiny(tmp_path / "block", changes={"gate": {"block": "7d"}}), FIRST)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- {kind: direction, name: a, set: {x1: 1}}", "expect: missing"),
        ("- {kind: sideways, name: a}", "sideways"),
        ("- {kind: minimum, name: a, row: {x1: 1}, expect: {}}", "say class, above or below"),
        ("[", "cannot be read as YAML"),
        ("", "holds no behavioural case"),
    ],
)
def test_a_behavioural_case_that_does_not_parse_is_an_error_of_the_yaml(
    champion: Workspace, text: str, why: str
) -> None:
    workspace = edit(champion, {"gate": {"cases": "tiny.cases.yaml"}}, text)
    with pytest.raises(SpecError, match="tiny.cases.yaml") as caught:
        retrain(workspace, SECOND)
    assert why in str(caught.value)


def test_the_checklist_is_in_the_ledger_with_its_figures(champion: Workspace) -> None:
    result = retrain(champion, SECOND)
    assert result.verdict is not None
    stored = champion.ledger.verdict(result.verdict.id)
    assert stored == result.verdict
    assert json.dumps([i.figure for i in stored.checklist if i.name == "champion"]).count("gain")


def _with(workspace: Workspace, **changes: Any) -> Settings:
    return replace(workspace.settings, **changes)
