"""From rows to the matrix a model sees, and from an estimator's name to a pipeline that can take it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.utils import get_tags

from retraining.artifacts.trust import is_trusted
from retraining.data.chunks import logical_type, require
from retraining.errors import SourceError, SpecError
from retraining.records import Column
from retraining.spec import Spec

_MAX_CATEGORIES = 250
"""Histogram gradient boosting takes at most 255 categories; rarer ones count as missing."""
_NO_CATEGORY = "(none is frequent)"
_MIN_FREQUENCY = 20
"""A category needs some rows to be learnt from; rarer ones count as missing."""


@dataclass(frozen=True)
class FeaturePlan:
    """Which columns a model sees: numbers first, then categories, unless an adopted model has an `order` of its own."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    order: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """All feature columns in the order of the matrix."""
        return list(self.order) or [*self.numeric, *self.categorical]


def plan_features(spec: Spec, columns: tuple[Column, ...]) -> FeaturePlan:
    """Take the YAML's features, or all columns that are not key, time, target or outcome."""
    if spec.features.numeric or spec.features.categorical:
        return FeaturePlan(spec.features.numeric, spec.features.categorical)
    data = spec.data
    other = {*data.keys, data.time, data.target, *data.outcomes}
    usable = [c for c in columns if c.name not in other and c.type not in ("timestamp", "null")]
    if not usable:
        raise SpecError("there is no column left to learn from. Name some under features.")
    numeric = tuple(c.name for c in usable if c.type in ("number", "integer", "boolean"))
    return FeaturePlan(numeric, tuple(c.name for c in usable if c.name not in numeric))


def matrix(table: pa.Table, plan: FeaturePlan, where: str) -> pd.DataFrame:
    """Return the feature matrix: float64 for numbers, text with None for missing categories.

    Raises
    ------
    SourceError
        When a column is missing, or a number column holds text.
    """
    require(table, plan.columns, where)
    series = {name: _numbers(table, name, where) for name in plan.numeric}
    series |= {name: _texts(table.column(name)) for name in plan.categorical}
    return pd.DataFrame(series, columns=plan.columns)


def _numbers(table: pa.Table, name: str, where: str) -> np.ndarray:
    column = table.column(name)
    if logical_type(column.type) in ("string", "timestamp"):
        example = next((v for v in column.to_pylist() if v is not None), None)
        raise SourceError(
            f"{where}: column {name} holds {logical_type(column.type)} values (e.g. {example!r}) but is listed under "
            "features.numeric. Mend the source, cast it in the query, or move it to features.categorical."
        )
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _texts(column: pa.ChunkedArray) -> np.ndarray:
    texts = column if pa.types.is_string(column.type) else pc.cast(column, pa.string())
    return np.asarray(texts.to_numpy(zero_copy_only=False), dtype=object)


def find_estimator(path: str) -> type[BaseEstimator]:
    """Import an estimator's class.

    Raises
    ------
    SpecError
        When the path does not lead to an estimator with scikit-learn's interface, or leads to code nobody trusted.
    """
    if not (path.startswith("sklearn.") or is_trusted(path)):  # before the import, which already runs the code
        raise SpecError(
            f"training.candidates: {path} is not on the allow-list: it is neither scikit-learn's nor named by "
            "RETRAINING_TRUSTED. Nothing was imported. If its code may run here, set "
            f"RETRAINING_TRUSTED={path.partition('.')[0]} where Airflow and the command line run."
        )
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SpecError(
            f"training.candidates: there is no estimator {path}. Give its full import path, "
            "for example sklearn.ensemble.HistGradientBoostingClassifier."
        ) from error
    if not (isinstance(found, type) and issubclass(found, BaseEstimator)):
        raise SpecError(f"training.candidates: {path} is not a scikit-learn estimator.")
    return found


def frequent_categories(rows: pd.DataFrame, plan: FeaturePlan) -> list[list[str]]:
    """Return the categories that training rows have often enough to learn from, per categorical column, sorted.

    Counting here takes a tenth of the time that the encoders take to count objects one by one.
    """
    found = []
    for name in plan.categorical:
        counts = rows[name].value_counts()
        often = sorted(counts.index[counts >= _MIN_FREQUENCY], key=lambda c: (-counts[c], c))[:_MAX_CATEGORIES]
        found.append(sorted(often) or [_NO_CATEGORY])
    return found


def make_model(
    path: str,
    params: Mapping[str, Any],
    plan: FeaturePlan,
    seed: int,
    categories: list[list[str]] | None = None,
) -> Pipeline:
    """Return an unfitted pipeline of preprocessing and estimator.

    Parameters
    ----------
    categories
        What `frequent_categories` found; any other value counts as missing. Without it, every value is a category.

    Estimators that take missing values natively get numbers as they are and categories as codes; all others get
    imputed and scaled numbers and one-hot categories. The seed is set where the estimator has one.

    Raises
    ------
    SpecError
        When the estimator or one of its parameters does not exist.
    """
    cls = find_estimator(path)
    known = cls._get_param_names()
    unknown = sorted(set(params) - set(known))
    if unknown:
        raise SpecError(
            f"training.candidates: {path} has no parameter {', '.join(unknown)}. It has: {', '.join(known)}."
        )
    values = dict(params)
    if "random_state" in known:
        values.setdefault("random_state", seed)
    try:
        estimator = cls(**values)
    except (TypeError, ValueError) as error:
        raise SpecError(f"training.candidates: {path} with {values} cannot be built: {error}.") from error
    native = get_tags(estimator).input_tags.allow_nan
    if native and "categorical_features" in known and "categorical_features" not in params:
        estimator.set_params(categorical_features=list(range(len(plan.categorical))))
    seen: Any = "auto" if categories is None else categories
    encode = _native_encoding(plan, seen) if native else _linear_encoding(plan, seen)
    return make_pipeline(encode, estimator)


def _native_encoding(plan: FeaturePlan, categories: Any) -> ColumnTransformer:
    codes = OrdinalEncoder(
        categories=categories,
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
    )
    # Scaling changes nothing for a tree; it keeps the numbers' missing values, and, unlike "passthrough", is stored
    # without a reference to a Python function.
    parts = [("categorical", codes, list(plan.categorical)), ("numeric", StandardScaler(), list(plan.numeric))]
    return ColumnTransformer([part for part in parts if part[2]])


def _linear_encoding(plan: FeaturePlan, categories: Any) -> ColumnTransformer:
    # A column that is empty in the whole training window is kept as zeros, so that the matrix keeps its shape.
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    classes = OneHotEncoder(categories=categories, handle_unknown="ignore")
    parts = [("categorical", classes, list(plan.categorical)), ("numeric", numbers, list(plan.numeric))]
    return ColumnTransformer([part for part in parts if part[2]])
