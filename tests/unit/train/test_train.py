"""Training: what is searched and how long, who is chosen and why, weights, calibration, and code from elsewhere."""

from __future__ import annotations

import itertools
import json
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from retraining.artifacts import stored
from retraining.cli.app import app
from retraining.errors import NotEnoughData, SpecError, TrainingFailed
from retraining.pipeline import retrain as stages
from retraining.pipeline.admission import admit
from retraining.records import Admission, Ingested, Trained, Tried
from retraining.spec.training import Candidate, Training
from retraining.stats.metrics import METRICS
from retraining.train import Job, fit, try_candidate
from retraining.train.choice import Comparison, simplest_of_the_best
from retraining.train.folds import OutOfFold
from retraining.train.requirements import require_candidate
from retraining.train.search import Budget, settings_of
from retraining.workspace import Workspace
from samples.databases import give_mlflow
from samples.tiny import NAME, day, environ, rows, tiny

AS_OF = day(40)
LOGISTIC, BOOSTED = "sklearn.linear_model.LogisticRegression", "sklearn.ensemble.HistGradientBoostingClassifier"
BAYES, FOREIGN = "sklearn.naive_bayes.GaussianNB", "sklego.naive_bayes.GaussianMixtureNB"
SMALL: dict[str, dict[str, Any]] = {BOOSTED: {"max_iter": 10}}


def candidate(estimator: str = LOGISTIC, **more: Any) -> dict[str, Any]:
    return {"estimator": estimator, "params": SMALL.get(estimator, {}), **more}


def training(**keys: Any) -> Training:
    return Training.model_validate({"task": "binary", "candidates": [candidate()], **keys})


def settings(search: dict[str, Any], **keys: Any) -> list[dict[str, Any]]:
    return settings_of(Candidate.model_validate(candidate(search=search)), training(**keys))


def model_in(folder: Path, frame: pd.DataFrame | None = None, **keys: Any) -> tuple[Workspace, Admission, Ingested]:
    """Return an installation with a model whose training keys are changed, ready to be trained."""
    workspace = tiny(folder, rows(range(42)) if frame is None else frame, {"training": keys})
    give_mlflow(workspace.settings)
    spec = workspace.spec(NAME)
    admission = admit(workspace, spec, as_of=AS_OF, fallback=AS_OF, trigger="person", reason="", dry_run=False)
    return workspace, admission, stages.ingest(workspace, admission)


def job_in(folder: Path, **keys: Any) -> Job:
    workspace, admission, ingested = model_in(folder, **keys)
    return Job(workspace, workspace.frozen(admission.spec_id), ingested.train)


# --- search -------------------------------------------------------------------------------------------------------


def test_a_small_grid_is_tried_whole_and_a_huge_one_is_drawn_from_by_the_seed() -> None:
    assert settings({"C": [1, 2], "tol": [0.1]}, trials=8) == [{"C": 1, "tol": 0.1}, {"C": 2, "tol": 0.1}]
    huge = {name: list(range(100)) for name in "abcdefghi"}  # 10^18 settings
    drawn = settings(huge, trials=5)
    assert len({json.dumps(s) for s in drawn}) == 5
    assert drawn == settings(huge, trials=5)
    assert drawn != settings(huge, trials=5, seed=1)


def test_ranges_are_drawn_as_they_say() -> None:
    search = {
        "even": {"low": -1, "high": 1},
        "rate": {"low": 1e-4, "high": 1, "log": True},
        "depth": {"low": 2, "high": 4, "whole": True},
        "kind": ["a", "b"],
    }
    drawn = settings(search, trials=400)
    assert {type(s["depth"]) for s in drawn} == {int} and {s["depth"] for s in drawn} == {2, 3, 4}
    assert {s["kind"] for s in drawn} == {"a", "b"}
    assert all(-1 <= s["even"] <= 1 and 1e-4 <= s["rate"] <= 1 for s in drawn)
    assert np.median([s["rate"] for s in drawn]) == pytest.approx(0.01, rel=0.5)
    assert json.loads(json.dumps(drawn)) == drawn, "numbers of Python's own, that survive being written down"
    assert len(settings({"depth": search["depth"]}, trials=50)) == 3, "nothing is tried twice"


def test_seconds_stop_the_search_after_a_whole_setting_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(step=25)  # seconds between two looks
    monkeypatch.setattr("retraining.train.search.time.monotonic", lambda: next(clock))
    search = {"C": [0.01, 0.1, 1.0, 10.0]}
    workspace, admission, ingested = model_in(tmp_path, candidates=[candidate(search=search)], seconds=60)
    said: list[tuple[str, str]] = []
    trained = stages.train(workspace, admission, ingested, lambda *line: said.append(line))
    cut = "training.seconds stopped the search of LogisticRegression after 3 of 4 settings"
    assert trained.why.endswith(cut)
    assert [stage for stage, _ in said] == ["train", "choose"]
    assert "best of 3 settings" in said[0][1] and said[1][1] == trained.why
    evaluation = stages.evaluate(workspace, admission, ingested, trained)
    verdict = stages.gate(workspace, admission, evaluation)
    for name, value in environ(workspace.settings).items():
        monkeypatch.setenv(name, value)
    text = CliRunner().invoke(app, ["explain", verdict.id]).stdout
    assert cut in " ".join(text.split())


def test_a_spent_budget_still_completes_one_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "is_spent", True)
    tried = try_candidate(job_in(tmp_path, candidates=[candidate(search={"C": [0.1, 1.0]})], seconds=1), 0)
    assert (tried.n_tried, tried.n_settings, tried.score.params) == (1, 2, {"C": 0.1})


# --- choice -------------------------------------------------------------------------------------------------------


def test_the_simplest_within_one_standard_error_wins_and_another_does_not() -> None:
    random = np.random.default_rng(0)
    n_rows = 4000
    y = (random.random(n_rows) < 0.5).astype(float)
    times = np.datetime64("2024-01-01") + np.arange(n_rows).astype("timedelta64[h]") / 8
    compare = Comparison(METRICS["brier"], y, times.astype("datetime64[us]"), timedelta(hours=12))

    def out(noise: float) -> OutOfFold:
        p = np.clip(y * 0.6 + 0.2 + random.normal(0, noise, n_rows), 0, 1)
        return OutOfFold({}, (float(np.mean((p - y) ** 2)),) * 2, np.arange(n_rows), p)

    poor, fair, same = out(0.5), out(0.1), out(0.1)
    names = ["poor", "fair", "same"]
    ordered = sorted([fair, same], key=lambda o: -o.mean)  # the better one last, by a hair
    assert simplest_of_the_best(names, [poor, *ordered], compare)[0] == 1
    why = simplest_of_the_best(names, [poor, *ordered], compare)[1]
    assert why.startswith("fair: brier") and "within one standard error" in why and "simpler" in why
    assert simplest_of_the_best(["fair", "poor"], [fair, poor], compare)[1].startswith("fair: best brier")
    assert simplest_of_the_best(["poor", "fair"], [poor, fair], compare)[0] == 1


def test_choosing_takes_what_was_tried_and_makes_up_for_what_is_missing(tmp_path: Path) -> None:
    workspace, admission, ingested = model_in(tmp_path, candidates=[candidate(), candidate(BOOSTED)])
    second = stages.try_candidate(workspace, admission, ingested, 1)
    assert second is not None and second.estimator == BOOSTED
    assert stages.try_candidate(workspace, admission, ingested, 2) is None
    strange = Tried(**{**vars(second), "index": 0, "snapshot_id": "0" * 64})
    trained = stages.choose(workspace, admission, ingested, [second, strange])
    assert [s.name for s in trained.scores] == [LOGISTIC.rpartition(".")[2], BOOSTED.rpartition(".")[2]]
    assert trained.scores[1] == second.score
    assert "of 2 candidates" in trained.why or "simpler" in trained.why
    assert stages.train(workspace, admission, ingested) == trained
    client = MlflowClient(workspace.settings.mlflow, workspace.settings.mlflow)
    experiments = [e.experiment_id for e in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.stage = 'train'")
    assert sorted(r.info.run_name for r in runs) == [f"candidate {s.name}" for s in reversed(trained.scores)]


def test_predictions_that_were_freed_are_made_again(tmp_path: Path) -> None:
    workspace, admission, ingested = model_in(tmp_path, candidates=[candidate(), candidate(BAYES)])
    tried = [stages.try_candidate(workspace, admission, ingested, index) for index in (0, 1)]
    assert tried[0] and tried[1] and workspace.store.delete(tried[0].predictions_key)
    trained = stages.choose(workspace, admission, ingested, [t for t in tried if t])
    assert trained.scores[0] == tried[0].score
    assert workspace.store.exists(tried[0].predictions_key), "the same predictions have the same name"


def test_a_candidate_that_cannot_be_fitted_stops_the_run_by_name(tmp_path: Path) -> None:
    workspace, admission, ingested = model_in(tmp_path, candidates=[candidate(), candidate(params={"C": -1.0})])
    with pytest.raises(TrainingFailed, match=r"tiny: sklearn\S+Regression with {'C': -1.0} cannot be") as caught:
        stages.train(workspace, admission, ingested)
    assert "InvalidParameterError" not in str(caught.value) and "The 'C' parameter" in str(caught.value)
    assert "Nothing was promoted" in str(caught.value) and "training.candidates" in str(caught.value)
    assert workspace.ledger.newest(Trained, NAME, "train") is None


# --- weights and calibration --------------------------------------------------------------------------------------


def rare(numbers: range) -> pd.DataFrame:
    """Rows with a rare outcome that depends on `x1`."""
    frame = rows(numbers)
    random = np.random.default_rng(5)
    return frame.assign(y=(frame["x1"] + random.logistic(0, 0.7, len(frame)) > 2).astype(int))


def probabilities(folder: Path, estimator: str, **keys: Any) -> tuple[float, float, Any]:
    """Return the mean probability of the rare class, its share, and the fitted model."""
    workspace, admission, ingested = model_in(folder, rare(range(42)), candidates=[candidate(estimator)], **keys)
    job = Job(workspace, workspace.frozen(admission.spec_id), ingested.train)
    model = fit(job.frozen, estimator, SMALL.get(estimator, {}), job.plan, job.data)
    return float(stored.predict(model, "binary", job.data.x).mean()), float(job.data.y.mean()), model


@pytest.mark.parametrize("estimator", [LOGISTIC, BOOSTED, BAYES])
def test_weights_raise_the_probabilities_and_calibration_mends_them(tmp_path: Path, estimator: str) -> None:
    plain, share, _ = probabilities(tmp_path / "a", estimator)
    weighted, _, _ = probabilities(tmp_path / "b", estimator, class_weight="balanced")
    by_label, _, _ = probabilities(tmp_path / "c", estimator, class_weight={1: (1 - share) / share})
    mended, _, model = probabilities(tmp_path / "d", estimator, class_weight="balanced", calibration="sigmoid")
    assert weighted > plain + 0.1
    assert by_label == pytest.approx(weighted, abs=0.03), "balanced is this weight, up to a common factor"
    assert mended == pytest.approx(share, abs=0.03)
    assert isinstance(model[-1], CalibratedClassifierCV) and model[-1].cv is None


def test_the_calibrator_learns_from_the_newest_rows_by_a_model_of_the_older_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, Any]] = []
    original = CalibratedClassifierCV.fit

    def watched(self: Any, x: Any, y: Any, sample_weight: Any = None) -> Any:
        seen.append(self.cv[0])
        return original(self, x, y, sample_weight)

    monkeypatch.setattr(CalibratedClassifierCV, "fit", watched)
    job = job_in(tmp_path, calibration="isotonic")
    model = fit(job.frozen, LOGISTIC, {}, job.plan, job.data)
    older, newest = seen[0]
    assert job.data.times[older].max() < job.data.times[newest].min()
    assert sorted([*older, *newest]) == list(range(len(job.data.y)))
    assert len(newest) == pytest.approx(0.2 * len(job.data.y), rel=0.01)
    whole = LogisticRegression(random_state=0).fit(model[0].transform(job.data.x), job.data.y)
    np.testing.assert_array_equal(model[-1].calibrated_classifiers_[0].estimator.coef_, whole.coef_)


def test_a_class_that_calibration_would_not_see_is_named(tmp_path: Path) -> None:
    frame = rows(range(42)).assign(y=lambda f: np.where(f["time"] < day(30), f["y"], 0))
    workspace, admission, ingested = model_in(tmp_path, frame, calibration="sigmoid", window="28d")
    job = Job(workspace, workspace.frozen(admission.spec_id), ingested.train)
    late = np.asarray(job.data.times >= np.datetime64("2024-01-25"))
    with pytest.raises(NotEnoughData, match="newest fifth .* has no row of class 1. Use a longer training.window"):
        fit(job.frozen, LOGISTIC, {}, job.plan, job.data, late)


def test_a_class_that_comes_late_is_named(tmp_path: Path) -> None:
    frame = rows(range(42)).assign(y=lambda f: np.where(f["time"] > day(25), f["y"], 0))
    workspace, admission, ingested = model_in(tmp_path, frame)
    with pytest.raises(NotEnoughData, match="no row before 2024-01-18 has class 1, so.*fewer training.folds"):
        stages.train(workspace, admission, ingested)


# --- what may be named --------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "not trusted": (candidate(FOREIGN), {}, "not on the allow-list.*Nothing was imported.*RETRAINING_TRUSTED=sklego"),
    "no estimator": (candidate("sklearn.base.clone"), {}, "is not a scikit-learn estimator"),
    "regressor": (candidate("sklearn.linear_model.Ridge"), {}, "is not a classifier, and training.task is binary"),
    "no probabilities": (candidate("sklearn.svm.LinearSVC"), {}, "no predict_proba.*training.calibration: sigmoid"),
    "no weights": (
        candidate("sklearn.neighbors.KNeighborsClassifier"),
        {"class_weight": "balanced"},
        "KNeighborsClassifier takes neither class_weight nor sample_weight",
    ),
    "unknown parameter": (candidate(params={"depth": 3}), {}, "has no parameter depth. It has: "),
    "unknown parameter to search": (candidate(search={"depth": {"low": 1, "high": 2}}), {}, "has no parameter depth"),
    "endless": (
        candidate(search={name: [*range(50)] for name in LogisticRegression().get_params()}),
        {},
        r"search has about 10\^\d\d settings, more than can be numbered.*\{low, high\}",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_fitted_is_refused_before(name: str) -> None:
    given, keys, message = REFUSED[name]
    with pytest.raises(SpecError, match=message):
        require_candidate(training(**keys), Candidate.model_validate(given))


def test_a_scorer_without_probabilities_may_be_calibrated() -> None:
    require_candidate(training(calibration="sigmoid"), Candidate.model_validate(candidate("sklearn.svm.LinearSVC")))


def test_nothing_is_fitted_when_a_later_candidate_is_not_allowed(tmp_path: Path) -> None:
    workspace, admission, ingested = model_in(tmp_path, candidates=[candidate(), candidate(FOREIGN)])
    with pytest.raises(SpecError, match="GaussianMixtureNB is not on the allow-list"):
        stages.try_candidate(workspace, admission, ingested, 0)
    assert workspace.ledger.newest(Tried, NAME, "candidate") is None


@pytest.mark.parametrize("trusted", ["sklego", "other.thing, sklego.naive_bayes.GaussianMixtureNB"])
def test_an_estimator_of_another_package_is_trained_stored_logged_and_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: str
) -> None:
    monkeypatch.setenv("RETRAINING_TRUSTED", trusted)
    workspace, admission, ingested = model_in(
        tmp_path, candidates=[candidate(FOREIGN, search={"n_components": [1, 2]})], calibration="sigmoid"
    )
    trained = stages.train(workspace, admission, ingested)
    assert trained.estimator == FOREIGN and trained.scores[0].mean > 0.8
    model = stored.load(workspace.store, trained.artifact_id)
    example = Job(workspace, workspace.frozen(admission.spec_id), ingested.train).data.x.head()
    outputs = stored.predict(model.pipeline, "binary", example)
    uri = workspace.registry.log_model(trained.run_id, model.pipeline, example, outputs)
    assert uri.startswith("models:/")
    logged = next(workspace.settings.home.joinpath("mlartifacts").rglob("requirements.txt"))
    assert "scikit-lego==" in logged.read_text()
    monkeypatch.setenv("RETRAINING_TRUSTED", "skleg, sklego.naive")
    with pytest.raises(TrainingFailed, match="not on the allow-list for loading: sklego.naive_bayes.GaussianMixtureNB"):
        stored.load(workspace.store, trained.artifact_id)


def test_categories_and_missing_values_reach_boosting_as_they_are(tmp_path: Path) -> None:
    frame = rows(range(42))
    frame.loc[::3, "x1"] = math.nan
    frame.loc[::4, "kind"] = None
    workspace, admission, ingested = model_in(tmp_path, frame, candidates=[candidate(BOOSTED)], calibration="isotonic")
    job = Job(workspace, workspace.frozen(admission.spec_id), ingested.train)
    model = fit(job.frozen, BOOSTED, {}, job.plan, job.data)
    z = model[0].transform(job.data.x)
    assert np.isnan(z).any(axis=0).tolist() == [True, True, False]
    inner = model[-1].calibrated_classifiers_[0].estimator
    assert inner.is_categorical_.tolist() == [True, False, False]
