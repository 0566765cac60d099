"""Adoption: a model made elsewhere is champion, scored and watched at once, and nothing unsafe is read on the way."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from typer.testing import CliRunner

from retraining.artifacts import stored
from retraining.artifacts.stored import ALLOWED_TYPES
from retraining.audit.history import versions_of
from retraining.audit.reproduce import reproduce
from retraining.audit.status import status
from retraining.cli.app import app
from retraining.errors import RequestError, TrainingFailed
from retraining.pipeline import monitor, score
from retraining.rollout.adopt import adopt
from retraining.workspace import Workspace
from samples.databases import give_mlflow
from samples.tiny import NAME, day, environ, retrain, rows, tiny, write_model
from tests.support.preflight import in_this_process

AS_OF = day(40)
COLUMNS = ["x2", "kind", "x1"]
"""Neither in the source's order nor with the numbers first."""


def double(values: pd.DataFrame) -> pd.DataFrame:
    """Stand for any code of a user's own."""
    return values * 2


class Bomb:
    """What a hostile pickle holds: reading it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def theirs(columns: list[str] = COLUMNS) -> tuple[Pipeline, pd.DataFrame]:
    """Return a team's own pipeline, fitted on rows we never see, and an example of its input."""
    frame = rows(range(200, 240)).astype({"kind": object})
    x = frame[columns]
    numbers = [c for c in columns if c != "kind"]
    encode = ColumnTransformer(
        [("one", OneHotEncoder(handle_unknown="ignore"), ["kind"]), ("two", StandardScaler(), numbers)]
    )
    return make_pipeline(encode, LogisticRegression()).fit(x, frame["y"]), x.head(5)


def register(workspace: Workspace, model: Any, example: pd.DataFrame, name: str = "churn", **how: Any) -> str:
    """Log and register a model the way a team does that knows nothing of this project."""
    give_mlflow(workspace.settings)
    mlflow.set_tracking_uri(workspace.settings.mlflow)
    known = mlflow.get_experiment_by_name("team")
    experiment = known.experiment_id if known else mlflow.create_experiment("team", workspace.settings.mlflow_artifacts)
    options = {
        "serialization_format": "skops",
        "skops_trusted_types": sorted(ALLOWED_TYPES),
        "signature": infer_signature(example, model.predict(example)),
        "pip_requirements": ["scikit-learn"],
        **how,
    }
    with mlflow.start_run(experiment_id=experiment):
        info = mlflow.sklearn.log_model(model, name="model", registered_model_name=name, **options)
    return f"models:/{name}/{info.registered_model_version}"


def file_of(uri: str) -> Path:
    folder = Path(mlflow.artifacts.download_artifacts(uri))
    return next(p for p in folder.iterdir() if p.name.startswith("model."))


pytestmark = pytest.mark.usefixtures("quick_pictures")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = tiny(tmp_path)
    give_mlflow(made.settings)
    return made


@pytest.mark.slow
def test_an_adopted_model_is_scored_watched_and_challenged(workspace: Workspace) -> None:
    model, example = theirs()
    uri = register(workspace, model, example)
    champion = adopt(workspace, NAME, uri, as_of=AS_OF, by="me", reason="it runs since 2019")
    assert (champion.kind, champion.sequence, champion.version, champion.verdict_id) == ("adoption", 1, 1, None)
    assert champion.reason == f"provenance unknown: {uri}; it runs since 2019"
    assert champion.estimator == "sklearn.linear_model.LogisticRegression"
    assert champion.cutoff == day(39), "the end of the newest mature window"
    assert champion.recipe_id == hashlib.sha256(file_of(uri).read_bytes()).hexdigest()
    assert workspace.registry.alias(NAME) == champion.version
    assert workspace.ledger.alerts(NAME) == []
    assert adopt(workspace, NAME, uri, as_of=day(45), by="me") == champion, "twice has no second effect"
    assert status(workspace, workspace.spec(NAME), day(41)).stale is None

    model = stored.load(workspace.store, champion.release_id)
    assert model.card.plan.columns == COLUMNS
    assert sum(model.card.importance.values()) == pytest.approx(1)

    frozen = workspace.spec(NAME)
    scored = score.run(workspace, frozen, day(41))
    assert [p.window.start for p in scored] == [day(39), day(40)]
    decision = monitor.run(workspace, frozen, day(41))
    measured = workspace.ledger.measurement(NAME, day(41))
    assert measured is not None
    assert {d.column for d in measured.drift} == {*COLUMNS, "prediction"}
    assert (decision.outcome, measured.health) == ("quiet", ())

    with in_this_process():
        verdict = retrain(workspace, day(47)).verdict
    assert verdict is not None
    assert (verdict.evaluation.rule, verdict.evaluation.leaked_rows) == ("replace", 0)
    assert verdict.evaluation.champion_sequence == 1
    assert verdict.evaluation.over_champion is not None

    with pytest.raises(RequestError, match=f"provenance unknown: it was adopted from {uri}"):
        reproduce(workspace, NAME, champion.version)
    assert versions_of(workspace.ledger, workspace.store, NAME)[0].provenance == uri


@pytest.mark.usefixtures("quick_preflight")
def test_a_version_under_the_models_own_name_stays_that_version(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, text in environ(workspace.settings).items():
        monkeypatch.setenv(key, text)
    model, example = theirs()
    register(workspace, model, example, NAME)
    uri = register(workspace, model, example, NAME)
    done = CliRunner().invoke(app, ["adopt", NAME, uri, "--as-of", "2024-02-10"])
    assert done.exit_code == 0, done.exception
    assert "tiny: version 2 is champion 1 (adoption); provenance unknown: models:/tiny/2" in done.stdout
    assert "challengers are judged on rows from 2024-02-09 00:00 UTC on" in done.stdout
    assert workspace.registry.alias(NAME) == 2
    assert workspace.registry.version_of(NAME, workspace.ledger.champions(NAME)[0].release_id) == 2
    with pytest.raises(RequestError, match="has a champion.*only a model without a history.*`registry adopt tiny`"):
        adopt(workspace, NAME, "models:/tiny/1", as_of=AS_OF, by="me")


@pytest.mark.usefixtures("quick_preflight")
def test_a_pickle_is_read_only_with_trust_and_the_right_digest(workspace: Workspace, tmp_path: Path) -> None:
    model, example = theirs()
    trace = tmp_path / "the code has run"
    uri = register(workspace, model, example, serialization_format="cloudpickle", skops_trusted_types=None)
    file, version = file_of(uri), {"as_of": AS_OF, "by": "me"}  # of a local server, the file itself
    original = file.read_bytes()
    good = hashlib.sha256(original).hexdigest()
    file.write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(RequestError, match="is a pickle.*Nothing was loaded.*--trust-pickle and --sha256"):
        adopt(workspace, NAME, uri, **version)
    with pytest.raises(RequestError, match="is a pickle"):
        adopt(workspace, NAME, uri, trust_pickle=True, **version)
    bomb = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(RequestError, match="is a pickle"):
        adopt(workspace, NAME, uri, expected_sha256=bomb, **version)
    with pytest.raises(RequestError, match=f"the digest {bomb[:8]}..., not {good[:8]}... as stated"):
        adopt(workspace, NAME, uri, trust_pickle=True, expected_sha256=good, **version)
    assert not trace.exists()

    file.write_bytes(original)
    champion = adopt(workspace, NAME, uri, trust_pickle=True, expected_sha256=good, **version)
    assert champion.recipe_id == good
    files = stored.read_files(workspace.store, champion.release_id)
    assert stored.compare_with_expected(stored.from_files(champion.release_id, files), files) == 0


@pytest.mark.usefixtures("quick_preflight")
def test_foreign_code_is_refused_also_from_a_trusted_pickle(workspace: Workspace) -> None:
    frame = rows(range(200, 210))
    model = make_pipeline(FunctionTransformer(double), LogisticRegression()).fit(frame[["x1", "x2"]], frame["y"])
    uri = register(workspace, model, frame[["x1", "x2"]], serialization_format="cloudpickle", skops_trusted_types=None)
    good = hashlib.sha256(file_of(uri).read_bytes()).hexdigest()
    with pytest.raises(TrainingFailed, match="not on the allow-list.*test_adopt.double"):
        adopt(workspace, NAME, uri, as_of=AS_OF, by="me", trust_pickle=True, expected_sha256=good)
    assert workspace.ledger.champion(NAME) is None


@pytest.mark.usefixtures("quick_preflight")
def test_what_does_not_fit_the_yaml_is_refused_with_the_reason(workspace: Workspace) -> None:
    def refusal(uri: str, error: type[Exception] = RequestError, name: str = NAME) -> str:
        with pytest.raises(error) as caught:
            adopt(workspace, name, uri, as_of=AS_OF, by="me")
        assert workspace.ledger.champion(name) is None
        return str(caught.value)

    assert "Give models:/NAME/VERSION" in refusal("models:/churn@champion")
    assert "there is no version 7 of churn in MLflow" in refusal("models:/churn/7")

    frame = rows(range(200, 210))
    numbers = frame[["x1", "x2"]]
    ridge = register(workspace, Ridge().fit(numbers, frame["y"]), numbers)
    assert "gives no probabilities (predict_proba), which training.task binary needs" in refusal(ridge)
    leaky = frame[["x1", "cost"]]
    uri = register(workspace, LogisticRegression().fit(leaky, frame["y"]), leaky)
    assert "cost is known only later" in refusal(uri)
    renamed = numbers.rename(columns={"x2": "age"})
    uri = register(workspace, LogisticRegression().fit(renamed, frame["y"]), renamed)
    assert "the source does not have age" in refusal(uri)
    uri = register(workspace, LogisticRegression().fit(numbers, frame["kind"]), numbers)
    assert "has 3 classes (a, b, c), but training.task is binary" in refusal(uri)
    uri = register(workspace, LogisticRegression().fit(numbers.to_numpy(), frame["y"]), numbers.to_numpy())
    assert "does not say which columns it takes" in refusal(uri)
    texts = numbers.assign(x2="a")
    encoder = ColumnTransformer([("one", OneHotEncoder(handle_unknown="ignore"), ["x2"])])
    uri = register(workspace, make_pipeline(encoder, LogisticRegression()).fit(texts, frame["y"]), texts)
    assert "takes x2 as text, the source gives number. Cast it" in refusal(uri)
    model, example = theirs()
    uri = register(workspace, model, example)
    write_model(workspace.settings.models, "gaps", rows(range(60)).assign(x1=float("nan")))
    assert "models:/churn/7: cannot predict the source's rows" in refusal(uri, TrainingFailed, "gaps")


@pytest.mark.usefixtures("quick_preflight")
def test_a_model_of_several_classes_is_watched_by_their_names(tmp_path: Path) -> None:
    changes = {"data": {"target": "level", "outcomes": ["y", "cost"]}, "training": {"task": "multiclass"}}
    past, present = rows(range(200, 220)), rows(range(60))
    for frame in (past, present):
        frame["level"] = frame["y"].map({0: "low", 1: "mid"}).where(frame["cost"] < 20, "high")
    workspace = tiny(tmp_path, present, changes)
    numbers = past[["x1", "x2"]]
    uri = register(workspace, LogisticRegression().fit(numbers, past["level"]), numbers)
    champion = adopt(workspace, NAME, uri, as_of=AS_OF, by="me")
    model = stored.load(workspace.store, champion.release_id)
    assert model.card.classes == ("high", "low", "mid")
    assert set(model.drift_reference().column("prediction").to_pylist()) <= {"high", "low", "mid"}
    score.run(workspace, workspace.spec(NAME), day(41))
    monitor.run(workspace, workspace.spec(NAME), day(41))
    measured = workspace.ledger.measurement(NAME, day(41))
    assert measured is not None
    found = next(d for d in measured.drift if d.column == "prediction")
    assert 0 < found.threshold < 1, "names are compared with names"


@pytest.mark.usefixtures("quick_preflight")
def test_a_regression_of_another_scikit_learn_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"data": {"target": "cost", "outcomes": ["y"]}, "training": {"task": "regression", "candidates": None}}
    workspace = tiny(tmp_path, changes=changes)
    frame = rows(range(200, 210))
    numbers = frame[["x1", "x2"]]
    monkeypatch.setattr("sklearn.__version__", "1.2.3")
    uri = register(workspace, Ridge().fit(numbers, frame["cost"]), numbers)
    monkeypatch.undo()
    champion = adopt(workspace, NAME, uri, as_of=AS_OF, by="me")
    assert "made with scikit-learn 1.2.3, read with 1." in champion.reason
    assert champion.estimator == "sklearn.linear_model.Ridge"
    card = stored.read_card(workspace.store, champion.release_id)
    assert (card.classes, card.plan.numeric) == ((), ("x1", "x2"))
