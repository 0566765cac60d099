"""Fit one pipeline: class weights, and probabilities that are mended on rows the model had not seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter

from retraining.artifacts.features import FeaturePlan, find_estimator, frequent_categories, make_model
from retraining.errors import NotEnoughData, SpecError, TrainingFailed, shown
from retraining.spec import FrozenSpec
from retraining.spec.training import Training, label_text
from retraining.train.rows import Labelled

CALIBRATION_SHARE = 0.2
"""Share of the rows, the newest, that calibrate: as much as in the fivefold cross-validation that is scikit-learn's
default for it."""

Weights = dict[int, float] | Literal["balanced"] | None
"""By class index; None where all rows count alike."""


def fit(
    frozen: FrozenSpec,
    estimator: str,
    params: dict[str, Any],
    plan: FeaturePlan,
    data: Labelled,
    among: NDArray[np.bool_] | None = None,
) -> Pipeline:
    """Fit one pipeline, with the spec's class weights and calibration.

    Parameters
    ----------
    among
        Which of the rows to learn from; all without it.

    Raises
    ------
    TrainingFailed
        With the estimator, its parameters and what it said.
    NotEnoughData
        When a class is missing among the rows that calibrate, or among those before them.
    """
    training = frozen.spec.training
    weights = class_weights(training, data.classes)
    rows = np.ones(len(data.y), dtype=bool) if among is None else among
    x, y = data.x[rows], data.y[rows]
    values = {**_weight_parameter(estimator, weights), **params}
    model = make_model(estimator, values, plan, training.seed, frequent_categories(x, plan))
    row_weights = None if takes_class_weight(estimator) or weights is None else compute_sample_weight(weights, y)
    newest = None if training.calibration == "none" else _newest(frozen.model, data, rows)
    with blamed(frozen.model, estimator, params):
        if newest is not None:
            return _calibrated(model, training.calibration, x, y, row_weights, newest)
        extra = {} if row_weights is None else {f"{model.steps[-1][0]}__sample_weight": row_weights}
        return model.fit(x, y, **extra)


@contextmanager
def blamed(model: str, estimator: str, params: dict[str, Any]) -> Iterator[None]:
    """Turn whatever an estimator raises into an error that names it, its parameters and the cause.

    Raises
    ------
    TrainingFailed
        Also for a single one of several candidates: a search without it would not be the one that was asked for.
    """
    try:
        yield
    except Exception as error:  # an estimator may come from any package, and raises what it likes
        text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise TrainingFailed(
            f"{model}: {estimator} with {params} cannot be fitted: {text.rstrip('.')}. Nothing was promoted. Correct "
            "its parameters, or take it out of training.candidates."
        ) from error


def class_weights(training: Training, classes: tuple[Any, ...]) -> Weights:
    """Return the weights of the classes by their index.

    Raises
    ------
    SpecError
        When a label has a weight and is not among the classes.
    """
    given = training.class_weight
    if given == "none":
        return None
    if given == "balanced":
        return "balanced"
    labels = [label_text(label) for label in classes]
    unknown = set(given) - set(labels)
    if unknown:
        raise SpecError(
            f"training.class_weight: the target has no label {shown(unknown)}. It has: {shown(labels, limit=20)}."
        )
    return {index: given.get(label, 1.0) for index, label in enumerate(labels)}


def takes_class_weight(estimator: str) -> bool:
    """Tell whether an estimator weighs classes itself."""
    return "class_weight" in find_estimator(estimator)._get_param_names()


def takes_weights(estimator: str) -> bool:
    """Tell whether an estimator can weigh classes or rows."""
    return takes_class_weight(estimator) or has_fit_parameter(find_estimator(estimator), "sample_weight")


def _weight_parameter(estimator: str, weights: Weights) -> dict[str, Any]:
    return {} if weights is None or not takes_class_weight(estimator) else {"class_weight": weights}


def _newest(model: str, data: Labelled, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which of the chosen rows calibrate: those of the newest fifth, whole moments together."""
    times, y = data.times[rows], data.y[rows]
    start = np.sort(times)[int(len(times) * (1 - CALIBRATION_SHARE))]
    newest = np.asarray(times >= start)
    for part, name in ((newest, "newest fifth"), (~newest, "older four fifths")):
        missing = [label_text(label) for index, label in enumerate(data.classes) if not (y[part] == index).any()]
        if missing:
            raise NotEnoughData(
                f"{model}: training.calibration: the {name} of the rows up to {np.max(times).astype('datetime64[D]')} "
                f"has no row of class {shown(missing)}. Use a longer training.window, fewer training.folds, or "
                "calibration: none."
            )
    return newest


def _calibrated(
    model: Pipeline,
    method: str,
    x: Any,
    y: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
    newest: NDArray[np.bool_],
) -> Pipeline:
    """Fit the calibrator on the newest rows, predicted by a model of the older ones; then the model on all rows.

    This is scikit-learn's `ensemble=False` (the calibrator learns from unseen rows, the model from all), with the
    unseen rows newer than the seen ones; its own cross-validation for it would predict the past from the future. The
    newest rows count alike: class weights would spoil what the calibrator is to mend.
    Source: scikit-learn user guide, section 1.16.3; Platt 1999 (sigmoid), Zadrozny and Elkan 2002 (isotonic).
    """
    encode, estimator = model[0], model[-1]
    z = encode.fit_transform(x)
    split = [(np.flatnonzero(~newest), np.flatnonzero(newest))]
    calibrated = CalibratedClassifierCV(estimator, method=method, cv=split, ensemble=True)
    extra = {} if weights is None else {"sample_weight": np.where(newest, 1.0, weights)}
    calibrated.fit(z, y, **extra)
    whole = {} if weights is None else {"sample_weight": weights}
    calibrated.calibrated_classifiers_[0].estimator = clone(estimator).fit(z, y, **whole)
    calibrated.set_params(cv=None)  # row numbers of the training window, of no use to whoever loads the model
    return Pipeline([model.steps[0], ("calibratedclassifiercv", calibrated)])
