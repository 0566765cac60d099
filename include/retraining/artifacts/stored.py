"""Deployable models: a folder of files under the digest of all of them, loaded only after the digest was checked."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from retraining.artifacts import modelfile
from retraining.artifacts.environment import keep_environment
from retraining.artifacts.features import FeaturePlan, matrix
from retraining.artifacts.trust import is_trusted
from retraining.data import parquet
from retraining.errors import Damaged, TrainingFailed, shown
from retraining.records import WHOLE, Reach, digest_of, from_dict, short, to_dict
from retraining.store import Store, sha256

ALLOWED_TYPES = frozenset(
    {
        "numpy.dtype",
        "functools.partial",
        "sklearn.utils.validation.check_array",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss._loss.CyHalfMultinomialLoss",
        "sklearn._loss._loss.CyHalfSquaredError",
        "sklearn._loss._loss.CyAbsoluteError",
        "sklearn._loss._loss.CyPinballLoss",
        "sklearn._loss._loss.CyHalfPoissonLoss",
        "sklearn._loss._loss.CyHalfGammaLoss",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.LogLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn._loss.loss.AbsoluteError",
        "sklearn._loss.loss.PinballLoss",
        "sklearn._loss.loss.HalfPoissonLoss",
        "sklearn._loss.loss.HalfGammaLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.tree._tree.Tree",
    }
)
"""Types beyond skops' own list that a model file may hold. They are scikit-learn's parts of a fitted model: arrays and
compiled loss functions, none of which runs code when it is read (skops builds a partial only around a function that
is itself on the list: here check_array, inside histogram gradient boosting). A file with any other type is refused
unread."""

UNKNOWN = "unknown"
"""What stands in a card for an id that nobody knows; it equals no id, so that nothing is taken for a refresh of it."""
UNKNOWN_SEED = -1

N_SMOKE_ROWS = 50
"""Rows whose outputs are stored with a release and compared before each deployment: enough to meet every branch of
preprocessing (missing values, rare categories), few enough to take milliseconds."""


@dataclass(frozen=True)
class ModelCard:
    """What a stored model says of itself (`meta.json`).

    An adopted model was made elsewhere: `provenance` is its address there, `recipe_id` the digest of its file,
    `snapshot_id` the rows it is watched against, and what nobody knows is `UNKNOWN`.
    """

    model: str
    task: str
    estimator: str
    params: dict[str, Any]
    seed: int
    recipe_id: str
    spec_id: str
    learning_id: str
    snapshot_id: str
    cutoff: datetime
    environment_id: str
    classes: tuple[Any, ...]
    prior: tuple[float, ...]
    plan: FeaturePlan
    importance: dict[str, float]
    provenance: str | None = None
    reach: Reach = WHOLE
    """Which rows of the snapshot it learnt."""


@dataclass(frozen=True)
class StoredModel:
    """A model that was read back: its id, what it says of itself, its pipeline and its stored tables."""

    id: str
    card: ModelCard
    pipeline: Pipeline
    smoke: pa.Table
    reference: pa.Table | None

    def drift_reference(self) -> pa.Table:
        """Return the training rows that drift is measured against.

        Raises
        ------
        Damaged
            When it has none: it is a candidate, and only releases are deployed.
        """
        if self.reference is None:
            raise Damaged(f"release {short(self.id)}: has no reference rows, so it was never released. Retrain.")
        return self.reference

    def predict(self, table: pa.Table, where: str) -> NDArray[np.float64]:
        """Return predictions for rows: a probability, a column per class, or a value."""
        return predict(self.pipeline, self.card.task, matrix(table, self.card.plan, where))


def predict(pipeline: Pipeline, task: str, rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return a fitted pipeline's predictions for a feature matrix.

    Raises
    ------
    TrainingFailed
        When a prediction is not a finite number.
    """
    if task == "regression":
        found = np.asarray(pipeline.predict(rows), dtype=np.float64)
    else:
        found = np.asarray(pipeline.predict_proba(rows), dtype=np.float64)
        found = found[:, 1] if task == "binary" else found
    if not np.isfinite(found).all():
        bad = int((~np.isfinite(found)).sum())
        name = (pipeline[-1] if isinstance(pipeline, Pipeline) else pipeline).__class__.__name__
        raise TrainingFailed(f"{name}: {bad} of {len(rows)} predictions are not finite.")
    return found


def save(store: Store, card: ModelCard, pipeline: Pipeline, smoke: pa.Table, reference: pa.Table | None = None) -> str:
    """Store a fitted model with its smoke rows and their outputs; return the digest it is stored under."""
    data = modelfile.dumps(pipeline)
    _refuse_foreign_types(data, f"{card.estimator} of {card.model}")
    outputs = predict(pipeline, card.task, matrix(smoke, card.plan, card.model))
    files = {
        "model.skops": data,
        "meta.json": json.dumps(to_dict(card), sort_keys=True, indent=1).encode(),
        "smoke.parquet": parquet.to_bytes(smoke),
        "expected.json": json.dumps(outputs.tolist()).encode(),
    }
    if reference is not None:
        files["reference.parquet"] = parquet.to_bytes(reference)
    keep_environment(store)
    digests = {name: sha256(content) for name, content in files.items()}
    identity = digest_of(digests)
    for name, content in files.items():
        store.write_once(_key(identity, name), content)
    store.write_json_once(_key(identity, "manifest.json"), digests)  # last: a folder without it is not a model
    return identity


def is_stored(store: Store, identity: str) -> bool:
    """Tell whether a model's files are in the store: the manifest is written last and freed first."""
    return store.exists(_key(identity, "manifest.json"))


def read_files(store: Store, identity: str, names: Collection[str] = ()) -> dict[str, bytes]:
    """Return the files of a stored model, or those named, after comparing each with the digest it is stored under.

    Raises
    ------
    Damaged
        When a file is missing, was altered, or was exchanged together with the manifest.
    """
    digests = _read_digests(store, identity)
    wanted = {name: digest for name, digest in digests.items() if name in names or not names}
    return {name: store.read(_key(identity, name), digest) for name, digest in wanted.items()}


def read_card(store: Store, identity: str) -> ModelCard:
    """Return what a stored model says of itself; its other files are not read.

    Raises
    ------
    Damaged
        When the card is missing or is not what was stored.
    """
    digests = _read_digests(store, identity)
    return from_dict(ModelCard, json.loads(store.read(_key(identity, "meta.json"), digests["meta.json"])))


def load(store: Store, identity: str) -> StoredModel:
    """Return a stored model; nothing is unpickled before the digest and the types in it were checked.

    Raises
    ------
    Damaged
        When it is not what was stored.
    TrainingFailed
        When it holds a type that is not on the allow-list.
    """
    return from_files(identity, read_files(store, identity))


def card_of(files: Mapping[str, bytes]) -> ModelCard:
    """Return what a stored model says of itself."""
    return from_dict(ModelCard, json.loads(files["meta.json"]))


def from_files(identity: str, files: dict[str, bytes]) -> StoredModel:
    """Build a model from files whose digests were checked."""
    card = card_of(files)
    pipeline = read_pipeline(files["model.skops"], f"release {short(identity)}")
    reference = parquet.from_bytes(files["reference.parquet"]) if "reference.parquet" in files else None
    return StoredModel(identity, card, pipeline, parquet.from_bytes(files["smoke.parquet"]), reference)


def read_pipeline(data: bytes, what: str) -> Any:
    """Build an estimator from a skops file whose digest was checked, or that comes from outside.

    Raises
    ------
    TrainingFailed
        When it holds a type that is not on the allow-list.
    """
    import skops.io  # as below

    return skops.io.loads(data, trusted=sorted(_refuse_foreign_types(data, what)))


def types_to_trust(pipeline: Any) -> set[str]:
    """Return the types beyond skops' own list in a fitted estimator, for others who write it with skops.

    Raises
    ------
    TrainingFailed
        When one of them is not on the allow-list.
    """
    return _refuse_foreign_types(modelfile.dumps(pipeline), type(pipeline).__name__)


def compare_with_expected(model: StoredModel, files: dict[str, bytes]) -> float:
    """Return the largest difference between the smoke rows' outputs now and when the model was made.

    Outputs beyond 1 differ by their own measure: the last bit of a large number is large.
    """
    found, expected = model.predict(model.smoke, "smoke rows"), expected_outputs(files)
    return float(np.max(np.abs(found - expected) / np.maximum(1.0, np.abs(expected)), initial=0.0))


def expected_outputs(files: dict[str, bytes]) -> NDArray[np.float64]:
    """Return the smoke rows' outputs when the model was made."""
    return np.asarray(json.loads(files["expected.json"]), dtype=np.float64)


def _read_digests(store: Store, identity: str) -> dict[str, str]:
    digests: dict[str, str] = json.loads(store.read(_key(identity, "manifest.json")))
    if digest_of(digests) != identity:
        raise Damaged(
            f"release {short(identity)}: its manifest was altered: the digests in it do not make up its id. "
            "It was not loaded. Restore releases/ from a backup, or roll back to another version."
        )
    return digests


def _refuse_foreign_types(data: bytes, what: str) -> set[str]:
    import skops.io  # imports all of SciPy, seconds that `check` spares: it reads no model file

    reported = set(skops.io.get_untrusted_types(data=data))
    foreign = {name for name in reported - ALLOWED_TYPES if not is_trusted(name)}
    if foreign:
        raise TrainingFailed(
            f"{what}: holds types that are not on the allow-list for loading: {shown(foreign)}. Nothing was loaded. "
            "If they are right, name them in RETRAINING_TRUSTED after reading what they do."
        )
    return reported


def _key(identity: str, name: str) -> str:
    return f"releases/{identity}/{name}"
