"""Whom a candidate faces where rows have no time: the champion's recipe, learnt on the champion's own rows again.

Each version of such a table is split anew, so the champion has learnt most rows of today's holdout, and its figure
there would be one on its own training rows. So what stands in for it learns the version of the table that the champion
learnt, as large a share of it, but no row of today's holdout: both models are out of sample on every row that is
judged, by recipes and data that differ in nothing but the version. The stated error is for these two fitted models. The
champion itself is another fit of the same recipe: where fits vary much, so does what stands in for it, and the interval
of one split does not have that in it (Dietterich 1998, Approximate statistical tests for comparing supervised
classification learning algorithms, Neural Computation 10; Nadeau and Bengio 2003, Inference for the generalization
error, Machine Learning 52). `benchmarks.gate_no_time` prints by how much.

Why anew: one fixed holdout either wears out, or, if each version may spend its whole error on it, the same lucky rows
let every candidate pass (Dwork et al. 2015, The reusable holdout: preserving validity in adaptive data analysis,
Science 349). Where the champion's recipe cannot be learnt again, it is compared as it is on rows it has not learnt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from retraining.artifacts import stored
from retraining.artifacts.features import matrix
from retraining.artifacts.stored import predict
from retraining.data import readings, snapshots
from retraining.data.joins import join
from retraining.data.rows import HASHED
from retraining.errors import Damaged, Erased, NotEnoughData, SourceError, TrainingFailed
from retraining.evaluation.holdout import Judged, Scored, keys_of, score
from retraining.records import Champion, Manifest, Verdict
from retraining.spec import FrozenSpec
from retraining.spec.data import ROW_ID, Data
from retraining.stats.metrics import Array
from retraining.train.again import Recipe, recipe_of
from retraining.train.fitting import fit
from retraining.train.rows import Labelled, labelled_rows, require_enough
from retraining.workspace import Workspace

_PLACE: Final = "place among the rows"
AGAIN: Final = "its recipe, learnt again on its own rows without those of the holdout"


def with_stand_in(
    workspace: Workspace, frozen: FrozenSpec, judged: Judged, champion: Champion | None, where: str, *, refresh: bool
) -> Judged:
    """Score the holdout with what stands in for the champion; of a replacement, whose recipes meet elsewhere, with it.

    A refresh is decided by it: champion and opponent are one.
    """
    if champion is None or len(judged.data.y) == 0:
        return judged
    found = _stand_in(workspace, frozen, judged, champion) if refresh else ""
    if not isinstance(found, str):
        one = Scored(champion, None, found, how=AGAIN)
        return replace(judged, champion=one, opponent=one)
    rows = ~_learnt(workspace, frozen, champion, judged.data.rows)
    how = f"as it is, on rows that it has not learnt{f': {found}' if found else ''}"
    one = replace(score(workspace, champion, judged.data, where), how=how)
    return replace(judged, champion=one, champion_rows=rows, opponent=one if refresh else None)


def same_rows(rows: pa.Table, others: pa.Table, data: Data) -> NDArray[np.bool_]:
    """Tell which rows are, by key, among others; without a key those of equal features are one."""
    mine = _named(rows, data).append_column(_PLACE, pa.array(np.arange(rows.num_rows)))
    found = np.zeros(rows.num_rows, dtype=np.bool_)
    if rows.num_rows and others.num_rows:
        found[join(mine, _named(others, data), data.keys, "left semi").column(_PLACE).to_numpy()] = True
    return found


def _stand_in(workspace: Workspace, frozen: FrozenSpec, judged: Judged, champion: Champion) -> Array | str:
    """Return its predictions of the holdout's rows, or why there are none."""
    try:
        own = _own_rows(workspace, frozen, champion)
        recipe = recipe_of(workspace, frozen, champion, own)
        if isinstance(recipe, str):
            return recipe
        data = _unjudged(workspace, recipe, own, judged)
        require_enough(recipe.frozen, own, data)
        missing = [label for index, label in enumerate(data.classes) if not (data.y == index).any()]
        if missing:
            return f"its rows have none of class {missing[0]}"
        pipeline = fit(recipe.frozen, recipe.estimator, recipe.params, recipe.plan, data)
        rows = matrix(judged.data.rows, recipe.plan, f"{frozen.model}, the holdout")
        return predict(pipeline, frozen.spec.training.task, rows)
    except (Damaged, Erased, NotEnoughData, SourceError, TrainingFailed) as error:
        return str(error).splitlines()[0]


def _own_rows(workspace: Workspace, frozen: FrozenSpec, champion: Champion) -> Manifest:
    """Return the whole version of the table that a champion learnt a part of: that part, and what it was judged on.

    Raises
    ------
    Damaged
        When one of the two is not known or lost: a part alone would make a weaker opponent than the champion is.
    """
    verdict = _verdict_of(workspace, champion)
    if verdict is None:
        raise Damaged(f"{frozen.model}: the rows that champion {champion.sequence} was judged on are not known")
    learnt = stored.read_card(workspace.store, champion.release_id).snapshot_id
    parts = [snapshots.read_manifest(workspace.store, one) for one in (learnt, verdict.evaluation.holdout_id)]
    features, labels = (
        readings.present(workspace.ledger, [c for part in parts for c in getattr(part, kind)])
        for kind in ("features", "labels")
    )
    columns = parts[0].columns
    return Manifest(snapshots.snapshot_id((*features, *labels), columns, HASHED), HASHED, columns, features, labels)


def _verdict_of(workspace: Workspace, champion: Champion) -> Verdict | None:
    """Return the verdict that a champion's release is bound to, also where it is back in office by a rollback."""
    history = workspace.ledger.champions(champion.model)
    known = [c.verdict_id for c in history if c.release_id == champion.release_id and c.verdict_id is not None]
    return workspace.ledger.verdict(known[0]) if known else None


def _unjudged(workspace: Workspace, recipe: Recipe, own: Manifest, judged: Judged) -> Labelled:
    """Return the champion's own rows without those of the holdout."""
    data = labelled_rows(workspace, recipe.frozen, own, recipe.plan, judged.data.classes)
    left = ~same_rows(data.rows, judged.data.rows, recipe.frozen.spec.data)
    return Labelled(data.rows.filter(pa.array(left)), data.x[left], data.y[left], data.times[left], data.classes)


def _learnt(workspace: Workspace, frozen: FrozenSpec, champion: Champion, rows: pa.Table) -> NDArray[np.bool_]:
    """Tell which rows a champion has learnt; where that is lost, it may be any of them."""
    try:
        card = stored.read_card(workspace.store, champion.release_id)
        learnt = snapshots.read_manifest(workspace.store, card.snapshot_id)
    except (Damaged, TrainingFailed):
        return np.ones(rows.num_rows, dtype=np.bool_)
    data = frozen.spec.data
    return same_rows(rows, keys_of(workspace, frozen.model, [learnt], data.keys), data)


def _named(rows: pa.Table, data: Data) -> pa.Table:
    """Return what names each row: its key, or its content without the number among equal ones."""
    if data.key:
        return rows.select(data.keys)
    return pa.table({ROW_ID: pc.replace_substring_regex(rows.column(ROW_ID), pattern=r"-\d+$", replacement="")})
