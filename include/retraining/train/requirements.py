"""What a candidate must be before anything is fitted: `check` asks the same."""

from __future__ import annotations

import math
import sys

from sklearn.base import is_classifier, is_regressor

from retraining.artifacts.features import FeaturePlan, make_model
from retraining.errors import SpecError
from retraining.spec.training import Candidate, Range, Training
from retraining.train.fitting import takes_weights

_ANY_PLAN = FeaturePlan(("x",), ())
"""Parameters are checked by building the estimator, for which any columns will do."""


def require_candidate(training: Training, candidate: Candidate) -> None:
    """Refuse a candidate that cannot be fitted, or cannot do what the spec wants of it.

    Raises
    ------
    SpecError
        With the candidate, what is wrong and what to change.
    """
    name = f"training.candidates: {candidate.estimator}"
    first = {key: v.low if isinstance(v, Range) else v[0] for key, v in candidate.search.items()}
    estimator = make_model(candidate.estimator, {**candidate.params, **first}, _ANY_PLAN, training.seed)[-1]
    fits = is_regressor(estimator) if training.task == "regression" else is_classifier(estimator)
    if not fits:
        kind = "regressor" if training.task == "regression" else "classifier"
        raise SpecError(f"{name} is not a {kind}, and training.task is {training.task}. Name a {kind}.")
    if training.task != "regression" and training.calibration == "none" and not hasattr(estimator, "predict_proba"):
        raise SpecError(f"{name} has no predict_proba with these parameters. Set training.calibration: sigmoid.")
    if training.class_weight != "none" and not takes_weights(candidate.estimator):
        raise SpecError(
            f"{name} takes neither class_weight nor sample_weight. Take it out, or set training.class_weight: none."
        )
    _require_countable(candidate)


def _require_countable(candidate: Candidate) -> None:
    """Refuse a grid whose settings cannot be numbered, so that none of them can be drawn either."""
    lists = [v for v in candidate.search.values() if not isinstance(v, Range)]
    n_settings = math.prod(len(v) for v in lists)
    if len(lists) == len(candidate.search) and n_settings > sys.maxsize:
        raise SpecError(
            f"training.candidates: {candidate.estimator}: search has about 10^{len(str(n_settings)) - 1} settings, "
            "more than can be numbered. Search fewer parameters, or give numbers as {low, high} instead of lists."
        )
