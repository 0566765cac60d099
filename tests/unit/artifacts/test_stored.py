"""Stored models: nothing that was altered, exchanged or holds foreign code is ever loaded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from retraining.artifacts import stored
from retraining.artifacts.features import FeaturePlan, make_model, matrix
from retraining.artifacts.stored import ALLOWED_TYPES, ModelCard
from retraining.errors import Damaged, SourceError, TrainingFailed
from retraining.records import digest_of
from retraining.store import Store, sha256
from samples.tiny import day, rows_of

PLAN = FeaturePlan(("x1", "x2"), ("kind",))
ROWS = pa.Table.from_pandas(rows_of(1, n_rows=200), preserve_index=False)
FRAME = matrix(ROWS, PLAN, "here")
LABELS = ROWS.column("y").to_numpy().astype(float)


def double(values: pd.DataFrame) -> pd.DataFrame:
    """Stand for any code of a user's own."""
    return values * 2


def card(estimator: str = "sklearn.linear_model.LogisticRegression", task: str = "binary") -> ModelCard:
    return ModelCard(
        model="tiny",
        task=task,
        estimator=estimator,
        params={},
        seed=0,
        recipe_id="recipe",
        spec_id="spec",
        learning_id="learning",
        snapshot_id="snapshot",
        cutoff=day(1),
        environment_id="environment",
        classes=(0, 1) if task == "binary" else (),
        prior=(0.5, 0.5),
        plan=PLAN,
        importance={},
    )


def fitted(estimator: str = "sklearn.linear_model.LogisticRegression") -> Pipeline:
    small = {"Hist": {"max_iter": 5}, "Forest": {"n_estimators": 5}, "MLP": {"tol": 10.0}}
    params = next((value for name, value in small.items() if name in estimator), {})
    return make_model(estimator, params, PLAN, 0).fit(FRAME, LABELS)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return fitted()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path.as_uri())


@pytest.mark.parametrize(
    "estimator",
    [
        "sklearn.linear_model.LogisticRegression",
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.linear_model.Ridge",
        "sklearn.ensemble.HistGradientBoostingRegressor",
        "sklearn.ensemble.RandomForestClassifier",
        "sklearn.neighbors.KNeighborsClassifier",
        "sklearn.neural_network.MLPClassifier",
    ],
)
def test_a_model_comes_back_as_it_was(store: Store, estimator: str) -> None:
    task = "regression" if estimator.endswith(("Ridge", "Regressor")) else "binary"
    made = fitted(estimator)
    identity = stored.save(store, card(estimator, task), made, ROWS.slice(0, 50), ROWS)
    refitted = stored.save(store, card(estimator, task), fitted(estimator), ROWS.slice(0, 50), ROWS)
    assert refitted == identity, "the same recipe on the same rows is the same release"
    files = stored.read_files(store, identity)
    model = stored.from_files(identity, files)
    assert model.card == card(estimator, task)
    assert stored.compare_with_expected(model, files) == 0
    np.testing.assert_array_equal(model.predict(ROWS, "here"), stored.predict(made, task, FRAME))
    assert model.drift_reference().equals(ROWS)


@pytest.mark.parametrize("name", ["model.skops", "meta.json", "smoke.parquet", "expected.json"])
def test_an_altered_file_is_refused(store: Store, tmp_path: Path, pipeline: Pipeline, name: str) -> None:
    identity = stored.save(store, card(), pipeline, ROWS)
    path = tmp_path / "releases" / identity / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Damaged, match=f"{name} was altered or truncated"):
        stored.load(store, identity)


def test_a_file_exchanged_together_with_the_manifest_is_refused(
    store: Store, tmp_path: Path, pipeline: Pipeline
) -> None:
    identity = stored.save(store, card(), pipeline, ROWS)
    folder = tmp_path / "releases" / identity
    (folder / "expected.json").write_bytes(b"[]")
    digests = {**json.loads((folder / "manifest.json").read_text()), "expected.json": sha256(b"[]")}
    (folder / "manifest.json").write_text(json.dumps(digests))
    assert digest_of(digests) != identity
    with pytest.raises(Damaged, match="its manifest was altered.*not loaded.*Restore"):
        stored.load(store, identity)


def test_a_model_that_is_missing_or_unfinished_is_refused(store: Store, tmp_path: Path, pipeline: Pipeline) -> None:
    with pytest.raises(Damaged, match="manifest.json is missing"):
        stored.load(store, "0" * 64)
    identity = stored.save(store, card(), pipeline, ROWS)
    (tmp_path / "releases" / identity / "manifest.json").unlink()
    with pytest.raises(Damaged, match="manifest.json is missing"):
        stored.load(store, identity)
    assert stored.save(store, card(), pipeline, ROWS) == identity
    assert stored.load(store, identity).id == identity


def test_foreign_code_is_neither_stored_nor_loaded(
    store: Store, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = make_pipeline(FunctionTransformer(double), LogisticRegression())
    numbers = matrix(ROWS, FeaturePlan(("x1", "x2"), ()), "here")
    foreign.fit(numbers, LABELS)
    with pytest.raises(TrainingFailed, match="not on the allow-list.*test_stored.double.*Nothing was loaded"):
        stored.save(store, card(), foreign, ROWS)
    assert not store.exists("releases")

    import skops.io

    identity = stored.save(store, card(), pipeline, ROWS)
    files = {**stored.read_files(store, identity), "model.skops": skops.io.dumps(foreign)}
    monkeypatch.setattr(skops.io, "loads", lambda *_, **__: pytest.fail("was read before it was refused"))
    with pytest.raises(TrainingFailed, match="test_stored.double"):
        stored.from_files(identity, files)


def test_the_allow_list_holds_no_way_to_run_code() -> None:
    for name in ALLOWED_TYPES - {"functools.partial"}:
        assert name.startswith(("numpy.dtype", "sklearn.")), name
    for word in ("builtins", "os.", "subprocess", "FunctionTransformer", "eval", "operator"):
        assert not [name for name in ALLOWED_TYPES if word in name]


def test_predictions_that_are_not_finite_are_refused(pipeline: Pipeline) -> None:
    broken = make_pipeline(*[step for _, step in fitted().steps])
    broken[-1].coef_ = np.full_like(broken[-1].coef_, np.nan)
    with pytest.raises(TrainingFailed, match="200 of 200 predictions are not finite"):
        stored.predict(broken, "binary", FRAME)


def test_a_missing_column_is_named(store: Store, pipeline: Pipeline) -> None:
    model = stored.load(store, stored.save(store, card(), pipeline, ROWS))
    with pytest.raises(SourceError, match="here: missing column kind"):
        model.predict(ROWS.drop(["kind"]), "here")
    with pytest.raises(Damaged, match="never released"):
        model.drift_reference()


def test_unknown_categories_and_missing_numbers_are_scored(store: Store, pipeline: Pipeline) -> None:
    model = stored.load(store, stored.save(store, card(), pipeline, ROWS))
    odd = ROWS.set_column(ROWS.column_names.index("kind"), "kind", pa.array(["new"] * 100 + [None] * 100))
    odd = odd.set_column(ROWS.column_names.index("x1"), "x1", pa.nulls(200, pa.float64()))
    assert np.isfinite(model.predict(odd, "here")).all()
