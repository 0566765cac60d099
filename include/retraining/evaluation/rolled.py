"""A replacement's figures: both recipes' predictions on all holdouts together, paired, with days as unit of error."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from retraining.data import snapshots
from retraining.errors import Damaged
from retraining.evaluation.comparison import Comparison
from retraining.evaluation.holdout import Judged
from retraining.records import OriginFigures, Replacement, Rolled, Window, shown_day
from retraining.spec.learning import n_settings
from retraining.stats.blocks import block_days, block_index, block_length
from retraining.stats.metrics import Array, find_metric
from retraining.train import Labelled, labelled_rows
from retraining.train.origins import Contest, predictions


def replacement_of(contest: Contest, rolled: Iterable[Rolled], judged: Judged, looks: int) -> Replacement:
    """Compare the two recipes over every origin that both could learn.

    Parameters
    ----------
    rolled
        The work of each origin.
    judged
        The newest holdout, with its labels.

    Raises
    ------
    Damaged
        When an origin's predictions are not those of its rows.
    """
    found = sorted(rolled, key=lambda r: r.holdout.start)
    left_out = tuple(f"{shown_day(r.holdout.start)}: {r.problem}" for r in found if r.problem is not None)
    found = [r for r in found if r.problem is None]
    if not found:
        why = f"its recipe and the candidate's could not be learnt at any origin ({left_out[-1]})"
        return Replacement(contest.theirs.id, left_out=left_out, problem=why)
    frozen, training = contest.mine.frozen, contest.mine.frozen.spec.training
    truths = [_truth(contest, one, judged.data) for one in found]
    mine, theirs = zip(*(predictions(contest.workspace.store, one) for one in found), strict=True)
    data = Labelled(None, None, np.concatenate([y for y, _ in truths]), _times(truths), judged.data.classes)
    span, length = Window(found[0].holdout.start, found[-1].holdout.end), block_length(frozen.spec.gate)
    blocks = block_index(data.times, span.start, length)
    days = block_days(data.times, span.start, length) if frozen.spec.data.time_ordered else None
    new, old = np.concatenate(mine), np.concatenate(theirs)
    metric, among = find_metric(training.metric, training.task), n_settings(training)
    compare = Comparison(frozen, Judged(judged.model, data, new, judged.baseline, blocks, days), metric, looks, among)
    origin = np.repeat(np.arange(len(found)), [one.n_rows for one in found])

    def figures(number: int, one: Rolled) -> OriginFigures:
        rows = origin == number
        return OriginFigures(one.holdout, one.n_rows, compare.value(new, rows), compare.value(old, rows))

    return Replacement(
        recipe_id=contest.theirs.id,
        span=span,
        n_rows=len(data.y),
        n_blocks=int(blocks.max()) + 1,
        n_days=compare.n_days(),
        n_settings=among,
        candidate=compare.value(new),
        champion=compare.value(old),
        gain=compare.gain(old),
        origins=tuple(figures(number, one) for number, one in enumerate(found)),
        left_out=left_out,
    )


def _truth(contest: Contest, one: Rolled, newest: Labelled) -> tuple[Array, NDArray[np.datetime64]]:
    """Return the labels and times of an origin's holdout."""
    data = newest
    if one.index:
        part = snapshots.part_of(contest.train, one.holdout)
        recipe = contest.mine
        data = labelled_rows(contest.workspace, recipe.frozen, part, recipe.plan, newest.classes)
    if len(data.y) != one.n_rows:
        raise Damaged(
            f"{one.model}: origin {shown_day(one.holdout.start)} has {one.n_rows:,} predictions of {len(data.y):,} "
            "labelled rows. Were rows erased meanwhile? Retrain as of a later time."
        )
    return data.y, data.times


def _times(truths: list[tuple[Array, NDArray[np.datetime64]]]) -> NDArray[np.datetime64]:
    return np.concatenate([times for _, times in truths])
