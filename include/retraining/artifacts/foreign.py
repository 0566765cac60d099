"""Models that others logged to MLflow: read without running anything in them that nobody vouched for."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import skops.io
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.types.schema import DataType, Schema
from sklearn.base import BaseEstimator

from retraining.artifacts import modelfile, stored
from retraining.artifacts.environment import core_requirements
from retraining.errors import RequestError, TrainingFailed
from retraining.store import sha256

_NUMBERS = (DataType.double, DataType.float, DataType.long, DataType.integer, DataType.boolean)
_UNPICKLING = (
    pickle.UnpicklingError,
    ImportError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
)
"""What a pickle of another environment raises: a class that moved, an argument that is gone, a cut file."""


@dataclass(frozen=True)
class ForeignModel:
    """A model from outside: its estimator, read under the allow-list, and what its maker said of it.

    `signature` is the kind (`number` or `text`) of each input column in order, empty when the maker gave none.
    """

    uri: str
    estimator: Any
    sha256: str
    signature: dict[str, str]
    sklearn_version: str


def read_foreign(folder: Path, uri: str, *, trust_pickle: bool, expected_sha256: str | None) -> ForeignModel:
    """Read the scikit-learn flavour of a downloaded MLflow model.

    Parameters
    ----------
    trust_pickle
        Whether a person vouches for a pickle. It is unpickled only when its digest is the stated one as well.
    expected_sha256
        The digest of the model file that the person stated; compared for every format when given.

    Raises
    ------
    RequestError
        When it is not a scikit-learn model, its digest is another, or it is a pickle nobody vouched for.
    TrainingFailed
        When it cannot be read, or holds types that are not on the allow-list.
    """
    try:
        described = Model.load(str(folder))
    except MlflowException as error:
        raise RequestError(f"{uri}: is not an MLflow model: {str(error).splitlines()[0][:300]}") from error
    flavour = (described.flavors or {}).get("sklearn")
    if flavour is None:
        there = ", ".join(sorted(described.flavors or {})) or "none"
        raise RequestError(f"{uri}: has no scikit-learn flavour (it has: {there}). Log it with mlflow.sklearn.")
    data = _file_in(folder, str(flavour["pickled_model"]), uri).read_bytes()
    digest = sha256(data)
    if expected_sha256 is not None and expected_sha256.strip().lower() != digest:
        raise RequestError(
            f"{uri}: its model file has the digest {digest[:8]}..., not {expected_sha256.strip()[:8]}... as stated. "
            "It was not loaded. Ask whoever made it which file is right."
        )
    if flavour.get("serialization_format") == "skops":
        estimator = stored.read_pipeline(data, uri)
    else:
        estimator = _unpickled(data, uri, trusted=trust_pickle and expected_sha256 is not None)
    if not isinstance(estimator, BaseEstimator):
        raise RequestError(f"{uri}: holds a {type(estimator).__name__}, not a scikit-learn estimator.")
    inputs = described.signature.inputs if described.signature else None
    return ForeignModel(uri, estimator, digest, _kinds(inputs, uri), str(flavour.get("sklearn_version", "")))


def other_version(model: ForeignModel) -> str:
    """Say when a model was made with another scikit-learn than this one; empty when it was not."""
    here = next((r.partition("==")[2] for r in core_requirements() if r.startswith("scikit-learn==")), "")
    if model.sklearn_version == here:
        return ""
    return f"made with scikit-learn {model.sklearn_version or 'unknown'}, read with {here}"


def _file_in(folder: Path, name: str, uri: str) -> Path:
    """Return a file of the model; MLmodel comes from outside, so its path may lead anywhere."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise RequestError(f"{uri}: there is no model file {name} in it. Nothing was loaded.")
    return path


def _unpickled(data: bytes, uri: str, *, trusted: bool) -> Any:
    """Unpickle, and read the result back through the allow-list: only what skops can hold goes any further."""
    if not trusted:
        raise RequestError(
            f"{uri}: is a pickle, and reading a pickle runs whatever code is in it. Nothing was loaded. Log it again "
            "with serialization_format='skops'; or, if you trust its maker, add --trust-pickle and --sha256 with the "
            "digest of the model file that the maker gave you."
        )
    try:
        estimator = pickle.loads(data)  # noqa: S301 - a person vouched for it, and the digest is the one they stated
    except _UNPICKLING as error:
        text = (str(error).splitlines() or [""])[0][:300]
        raise TrainingFailed(
            f"{uri}: cannot be unpickled here: {type(error).__name__}: {text}. Nothing was adopted. "
            "Install what it needs, or log it again as skops."
        ) from error
    try:
        return stored.read_pipeline(modelfile.dumps(estimator), uri)
    except skops.io.exceptions.UnsupportedTypeException as error:
        raise TrainingFailed(
            f"{uri}: holds what skops cannot store: {str(error).splitlines()[0][:300]}. Nothing was adopted."
        ) from error


def _kinds(inputs: Schema | None, uri: str) -> dict[str, str]:
    if inputs is None or inputs.is_tensor_spec() or not inputs.has_input_names():
        return {}
    kinds: dict[str, str] = {}
    for column in inputs.inputs:
        if column.type in _NUMBERS:
            kinds[str(column.name)] = "number"
        elif column.type == DataType.string:
            kinds[str(column.name)] = "text"
        else:
            raise RequestError(f"{uri}: its input {column.name} is {column.type}; inputs are numbers or text.")
    return kinds
