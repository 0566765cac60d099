"""What decides a model, beside the rows that are newest: a refresh learns the same by the same estimator, later."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from retraining.spec.data import Data
from retraining.spec.load import FrozenSpec, without_documentation
from retraining.spec.training import Training
from retraining.windows import nominal

_CHOOSING = ("metric", "folds", "trials", "seconds")
"""Keys that only say how the settings of a search are compared; without a search space they decide nothing."""


def learns_same(one: FrozenSpec, other: FrozenSpec, estimator: str) -> bool:
    """Tell whether two specs learn the same by one estimator, whatever else their YAMLs say.

    Both are compared as this version of the code resolves them. A key that a later version added has its default in a
    spec that was frozen before, so it counts only where the other spec has another value.
    """
    mine = learnt_by(one, estimator)
    return mine is not None and mine == learnt_by(other, estimator)


def learnt_by(frozen: FrozenSpec, estimator: str) -> dict[str, Any] | None:
    """Return what decides the model that an estimator becomes; None where the spec does not name the estimator.

    Left out is what is said about the data for people, and the candidates that were not chosen.
    """
    resolved = frozen.spec.model_dump(mode="json")
    data = {k: v for k, v in resolved["data"].items() if k not in ("source", "labels", "columns")}
    sources = {name: without_documentation(resolved["data"][name]) for name in ("source", "labels")}
    candidates = [c for c in resolved["training"]["candidates"] if c["estimator"] == estimator]
    if not candidates:
        return None
    searched = any(c["search"] for c in candidates)
    unused = {"candidates", *(() if searched else _CHOOSING)}
    training = {k: v for k, v in resolved["training"].items() if k not in unused}
    files = {name: text for name, text in frozen.files.items() if name != frozen.spec.gate.cases}
    learnt = {"training": training, "candidates": candidates, "features": resolved["features"]}
    return {"files": files, "data": data, **sources, **learnt}


def n_settings(training: Training) -> int:
    """Return the most settings that a choice is made among: each candidate's, however many of them are tried.

    >>> from retraining.spec.training import Training
    >>> n_settings(Training.model_validate({"task": "binary", "trials": 5, "candidates": [
    ...     {"estimator": "a.B"}, {"estimator": "a.C", "search": {"x": [1, 2], "y": [1, 2]}},
    ...     {"estimator": "a.D", "search": {"x": {"low": 0, "high": 1}}}]}))
    10
    """
    return sum(_n_of(candidate.search, training.trials) for candidate in training.candidates)


def n_origins(data: Data, training: timedelta, holdout: timedelta, most: int) -> int:
    """Return how many holdouts of a length a training window has room for, the newest after it included."""
    unit = nominal(data.partition)
    n_train, n_holdout = (max(1, round(length / unit)) for length in (training, holdout))
    return min(most, 1 + n_train // (2 * n_holdout)) if data.time_ordered else 1


def _n_of(search: dict[str, Any], trials: int) -> int:
    count = 1
    for values in search.values():
        count *= len(values) if isinstance(values, list) else trials
    return min(count, trials)
