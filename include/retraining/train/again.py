"""A champion's recipe, learnt again: its features, estimator, parameters and seed, on rows of today."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from retraining.artifacts import stored
from retraining.artifacts.environment import environment_id
from retraining.artifacts.features import FeaturePlan, plan_features
from retraining.artifacts.stored import ModelCard
from retraining.errors import Damaged, SpecError, TrainingFailed, shown
from retraining.ledger.work import Stage
from retraining.records import WHOLE, Champion, Manifest, Reach, Trained, digest_of
from retraining.spec import FrozenSpec, Spec
from retraining.spec.training import Candidate
from retraining.train.fitting import fit
from retraining.train.recipe import make_card, recipe_id
from retraining.train.requirements import require_candidate
from retraining.train.rows import labelled_rows, learnt, require_enough, smoke_rows
from retraining.workspace import Workspace

STAGE: Stage = "train"


@dataclass(frozen=True)
class Recipe:
    """How a model is learnt: a spec, the columns, and what was chosen by it."""

    frozen: FrozenSpec
    estimator: str
    params: dict[str, Any]
    plan: FeaturePlan
    reach: Reach = WHOLE

    @property
    def id(self) -> str:
        """The digest of spec, estimator, parameters, seed and reach."""
        return recipe_id(self.frozen.id, self.estimator, self.params, self.frozen.spec.training.seed, self.reach)


def recipe_of(workspace: Workspace, frozen: FrozenSpec, champion: Champion, rows: Manifest) -> Recipe | str:
    """Return a champion's recipe as it is learnt on today's rows, or why it cannot be.

    Its `features` and `training` come from the spec that was frozen for it, what was chosen by them from its card; all
    else (data, gate, deployment, monitor) is today's.

    Parameters
    ----------
    rows
        What would be learnt: it must have the recipe's columns.
    """
    try:
        card = stored.read_card(workspace.store, champion.release_id)
        if card.provenance is not None:
            return f"it was adopted from {card.provenance}, and nobody here knows its recipe"
        theirs = workspace.frozen(card.spec_id).spec
    except (Damaged, TrainingFailed, ValueError) as error:  # lost, or frozen by a version with other keys
        return f"its recipe cannot be read: {str(error).splitlines()[0]}"
    spec = frozen.spec
    if (theirs.data.target, theirs.training.task) != (spec.data.target, spec.training.task):
        return f"it predicts another target ({theirs.data.target}, {theirs.training.task})"
    missing = set(card.plan.columns) - {c.name for c in rows.columns}
    if missing:
        return f"the rows lack columns of its recipe: {shown(missing)}"
    try:
        require_candidate(theirs.training, Candidate(estimator=card.estimator, params=card.params))
        return Recipe(_with_recipe(frozen, theirs, card, rows), card.estimator, card.params, card.plan, card.reach)
    except (SpecError, ValidationError) as error:
        return f"its recipe cannot be learnt any more: {_first_line(error)}"


def learn_again(workspace: Workspace, recipe: Recipe, champion: int, snapshot: Manifest) -> Trained:
    """Fit a champion's recipe on a snapshot, as a candidate; finished work is reused.

    Raises
    ------
    NotEnoughData
        When the snapshot has too few rows or one class.
    TrainingFailed
        When the estimator cannot be fitted.
    """
    frozen = recipe.frozen
    key = again_key(recipe.id, snapshot.id)
    done = workspace.ledger.finished(Trained, frozen.model, STAGE, key)
    if done is not None and stored.is_stored(workspace.store, done.artifact_id):
        return done
    workspace.freeze(frozen)
    data = learnt(labelled_rows(workspace, frozen, snapshot, recipe.plan, None), recipe.reach, snapshot.window.end)
    require_enough(frozen, snapshot, data)
    why = f"the recipe of champion {champion}, learnt again"
    tags = {"model": frozen.model, "spec": frozen.id, "snapshot": snapshot.id, "environment": environment_id()}
    with workspace.registry.run(frozen.model, key, "champion's recipe", {**tags, "stage": "train"}) as run:
        pipeline = fit(frozen, recipe.estimator, recipe.params, recipe.plan, data)
        card = make_card(frozen, recipe.estimator, recipe.params, snapshot, data, recipe.plan, {}, recipe.reach)
        artifact = stored.save(workspace.store, card, pipeline, smoke_rows(data))
        run.params = {"estimator": recipe.estimator, "seed": card.seed, **recipe.params}
        run.metrics = {"n_rows": len(data.y)}
        run.tags = {"chosen": why, "artifact": artifact, "recipe": card.recipe_id}
    workspace.registry.log_dataset(run.id, snapshot, f"{frozen.model}-train")
    trained = Trained(
        model=frozen.model,
        recipe_id=card.recipe_id,
        spec_id=frozen.id,
        snapshot_id=snapshot.id,
        estimator=recipe.estimator,
        params=recipe.params,
        seed=card.seed,
        artifact_id=artifact,
        run_id=run.id,
        cutoff=card.cutoff,
        scores=(),
        why=why,
        reach=recipe.reach,
        again=True,
    )
    workspace.ledger.finish(frozen.model, STAGE, key, trained)
    return trained


def again_key(identity: str, snapshot_id: str) -> str:
    """Return the key under which a recipe that was learnt again is recorded in this environment."""
    return digest_of([STAGE, "again", identity, snapshot_id, environment_id()])


def _with_recipe(frozen: FrozenSpec, theirs: Spec, card: ModelCard, rows: Manifest) -> FrozenSpec:
    """Return today's spec with a champion's features and training.

    Features that the YAML left to the columns there are stay so where they come to the same, and are named otherwise.
    """
    document = {**frozen.spec.model_dump(mode="json"), "training": theirs.training.model_dump(mode="json")}

    def spec_with(features: Any) -> Spec:
        return Spec.model_validate({**document, "features": features})

    found = spec_with(theirs.features.model_dump(mode="json"))
    if plan_features(found, rows.columns) != card.plan:
        found = spec_with({"numeric": card.plan.numeric, "categorical": card.plan.categorical})
    return replace(frozen, spec=found, text="")


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
    return str(error).splitlines()[0].rstrip(".")
