"""What is learnt: a recipe's id, and what a fitted model says of itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from retraining.artifacts.environment import environment_id
from retraining.artifacts.features import FeaturePlan
from retraining.artifacts.stored import ModelCard
from retraining.records import WHOLE, Manifest, Reach, digest_of, to_dict
from retraining.spec import FrozenSpec
from retraining.train.rows import Labelled


def recipe_id(spec_id: str, estimator: str, params: dict[str, Any], seed: int, reach: Reach = WHOLE) -> str:
    """Return the digest of what is refitted on promotion: spec, estimator, chosen parameters, seed and reach."""
    return digest_of([spec_id, estimator, params, seed, *([] if reach.is_whole else [to_dict(reach)])])


def make_card(
    frozen: FrozenSpec,
    estimator: str,
    params: dict[str, Any],
    snapshot: Manifest,
    data: Labelled,
    plan: FeaturePlan,
    importance: dict[str, float],
    reach: Reach = WHOLE,
) -> ModelCard:
    """Describe a fitted model for its artifact."""
    spec = frozen.spec
    if spec.training.task == "regression":
        prior: tuple[float, ...] = (float(data.y.mean()), float(np.median(data.y)))
    else:
        prior = tuple(float(np.mean(data.y == i)) for i in range(len(data.classes)))
    return ModelCard(
        model=frozen.model,
        task=spec.training.task,
        estimator=estimator,
        params=params,
        seed=spec.training.seed,
        recipe_id=recipe_id(frozen.id, estimator, params, spec.training.seed, reach),
        spec_id=frozen.id,
        learning_id=frozen.learning_id,
        snapshot_id=snapshot.id,
        cutoff=snapshot.window.end,
        environment_id=environment_id(),
        classes=data.classes,
        prior=prior,
        plan=plan,
        importance=importance,
        reach=reach,
    )
