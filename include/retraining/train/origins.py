"""Rolling origin: two recipes learn the same rows and predict the holdout after them, at one origin after another.

Source: Tashman (2000), Out-of-sample tests of forecasting accuracy, International Journal of Forecasting 16.

The candidate was chosen among several settings by folds that lie in the older holdouts. So what it shows on them is
not an honest look; it is bounded instead: each setting is a recipe of its own, and the error of the comparison is
divided by their number (Bonferroni), so that the chosen one passes wrongly no more often than stated, however it was
chosen. The champion's parameters may have been chosen on some of these rows as well, which makes it harder to beat,
never easier. No recipe learns a row of a holdout that it is judged on, nor a later one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
from sklearn.pipeline import Pipeline

from retraining.artifacts import stored
from retraining.artifacts.environment import environment_id
from retraining.artifacts.stored import predict
from retraining.data import parquet, snapshots
from retraining.data.held import held_tables
from retraining.data.plan import plan_origins
from retraining.errors import NotEnoughData, TrainingFailed
from retraining.records import Champion, Manifest, Rolled, Trained, Window, digest_of, shown_day
from retraining.spec import FrozenSpec
from retraining.stats.metrics import Array
from retraining.store import Store, sha256
from retraining.train.again import Recipe, learn_again, recipe_of
from retraining.train.fitting import fit
from retraining.train.rows import labelled_rows, learnt, require_enough
from retraining.workspace import Workspace

STAGE: Final = "origin"


@dataclass(frozen=True)
class Contest:
    """The candidate's recipe and the champion's, what each may learn, and the holdouts they meet on, newest first."""

    workspace: Workspace
    trained: Trained
    champion: Champion
    mine: Recipe
    theirs: Recipe
    train: Manifest
    their_train: Manifest
    holdout: Manifest
    origins: tuple[Window, ...]

    def key(self, index: int) -> str:
        """Return the key under which the work of one origin is recorded."""
        return rolled_key(self.mine.id, self.theirs.id, self.train.id, self.holdout.id, index)

    def again(self) -> Trained:
        """Return the champion's recipe, fitted up to the newest holdout."""
        return learn_again(self.workspace, self.theirs, self.champion.sequence, self.their_train)


def contest_of(
    workspace: Workspace,
    frozen: FrozenSpec,
    trained: Trained,
    champion: Champion,
    train: Manifest,
    their_train: Manifest,
    holdout: Manifest,
) -> Contest | str:
    """Plan the comparison of a candidate's recipe with the champion's; or say why there is none.

    Parameters
    ----------
    their_train
        What the champion's recipe learns: `train`, unless it has another training window.
    """
    theirs = recipe_of(workspace, frozen, champion, train)
    if isinstance(theirs, str):
        return theirs
    plan = stored.read_card(workspace.store, trained.artifact_id).plan
    mine = Recipe(frozen, trained.estimator, trained.params, plan, trained.reach)
    data, most = frozen.spec.data, frozen.spec.gate.origins
    planned = [
        plan_origins(data, recipe.frozen.spec.training.window, holdout.window, most) for recipe in (mine, theirs)
    ]
    fewest = min(planned, key=len)
    return Contest(workspace, trained, champion, mine, theirs, train, their_train, holdout, fewest)


def rolled_key(mine: str, theirs: str, snapshot_id: str, holdout_id: str, index: int) -> str:
    """Return the key of an origin's work in this environment."""
    return digest_of([STAGE, mine, theirs, snapshot_id, holdout_id, environment_id(), index])


def roll(contest: Contest, index: int) -> Rolled:
    """Learn both recipes before one origin and predict the holdout after it; finished work is reused.

    An origin that one of them cannot learn, for it has too few rows or lacks a class, is recorded with the reason.
    """
    workspace, model = contest.workspace, contest.mine.frozen.model
    key = contest.key(index)
    done = workspace.ledger.finished(Rolled, model, STAGE, key)
    if done is not None and is_kept(workspace.store, done):
        return done
    found, problem = None, None
    with held_tables():
        try:
            found = _predictions(contest, index)
        except (NotEnoughData, TrainingFailed) as error:
            problem = str(error).splitlines()[0]
    rolled = Rolled(
        model=model,
        recipe_id=contest.mine.id,
        champion_recipe_id=contest.theirs.id,
        snapshot_id=contest.train.id,
        holdout_id=contest.holdout.id,
        index=index,
        holdout=contest.origins[index],
        n_rows=0 if found is None else len(found[0]),
        predictions_id=None if found is None else _keep(workspace.store, found),
        problem=problem,
    )
    workspace.ledger.finish(model, STAGE, key, rolled)
    return rolled


def is_of(contest: Contest, rolled: Rolled) -> bool:
    """Tell whether an origin's work is of these very inputs, and its predictions are still there."""
    mine = (rolled.recipe_id, rolled.champion_recipe_id, rolled.snapshot_id, rolled.holdout_id)
    theirs = (contest.mine.id, contest.theirs.id, contest.train.id, contest.holdout.id)
    return mine == theirs and rolled.index < len(contest.origins) and is_kept(contest.workspace.store, rolled)


def is_kept(store: Store, rolled: Rolled) -> bool:
    """Tell whether an origin's predictions are still in the store, or it has none."""
    return rolled.predictions_key is None or store.exists(rolled.predictions_key)


def predictions(store: Store, rolled: Rolled) -> tuple[Array, Array]:
    """Read the predictions of the candidate's and of the champion's recipe, a row per labelled row of the holdout.

    Raises
    ------
    Damaged
        When they are missing or not what was stored.
    """
    table = parquet.from_bytes(store.read(str(rolled.predictions_key), rolled.predictions_id))
    half = len(table.column_names) // 2
    columns = [table[name].to_numpy() for name in table.column_names]
    mine, theirs = columns[:half], columns[half:]
    return (mine[0], theirs[0]) if half == 1 else (np.column_stack(mine), np.column_stack(theirs))


def describe(rolled: Rolled) -> str:
    """Say in a line what came of an origin."""
    where = f"trained up to {shown_day(rolled.holdout.start)}"
    return f"{where}: left out: {rolled.problem}" if rolled.problem else f"{where}: {rolled.n_rows:,} rows predicted"


def _predictions(contest: Contest, index: int) -> tuple[Array, Array]:
    workspace, window = contest.workspace, contest.origins[index]
    candidate = stored.load(workspace.store, contest.trained.artifact_id)
    classes = candidate.card.classes

    def answer(recipe: Recipe, model: Pipeline, held: Manifest) -> Array:
        rows = labelled_rows(workspace, recipe.frozen, held, recipe.plan, classes)
        return predict(model, recipe.frozen.spec.training.task, rows.x)

    if index == 0:
        again, held = stored.load(workspace.store, contest.again().artifact_id), contest.holdout
        if again.card.classes != classes:  # of another training window; their columns would not be each other's
            raise NotEnoughData(
                f"{contest.mine.frozen.model}: what the champion's recipe learns has other classes than the candidate"
            )
        return answer(contest.mine, candidate.pipeline, held), answer(contest.theirs, again.pipeline, held)
    held = snapshots.part_of(contest.train, window)
    mine = _fitted(workspace, contest.mine, contest.train, window.start, classes)
    theirs = _fitted(workspace, contest.theirs, contest.their_train, window.start, classes)
    return answer(contest.mine, mine, held), answer(contest.theirs, theirs, held)


def _fitted(
    workspace: Workspace, recipe: Recipe, train: Manifest, before: datetime, classes: tuple[Any, ...]
) -> Pipeline:
    """Fit a recipe on what a training snapshot has before an origin."""
    frozen, part = recipe.frozen, snapshots.part_of(train, Window(train.window.start, before))
    data = learnt(labelled_rows(workspace, frozen, part, recipe.plan, classes), recipe.reach, before)
    require_enough(frozen, part, data)
    if classes and len(np.unique(data.y)) < len(classes):
        raise NotEnoughData(f"{frozen.model}: no row before {shown_day(before)} has one of the classes")
    return fit(frozen, recipe.estimator, recipe.params, recipe.plan, data)


def _keep(store: Store, found: tuple[Array, Array]) -> str:
    """Store both predictions by content, in the order of the holdout's labelled rows: nobody's values are copied."""
    columns = [column for p in found for column in ([p] if p.ndim == 1 else list(p.T))]
    named = {f"p{i}": pa.array(np.ascontiguousarray(column)) for i, column in enumerate(columns)}
    data = parquet.to_bytes(pa.table(named))
    identity = sha256(data)
    store.write_once(f"candidates/{identity}.parquet", data)
    return identity
