"""A replacement's figures: both recipes' predictions on all holdouts together, paired, with days as unit of error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retraining.data import snapshots
from retraining.errors import Damaged
from retraining.evaluation.comparison import Comparison
from retraining.evaluation.holdout import Judged
from retraining.records import OriginFigures, Replacement, Rolled, Window, shown_day
from retraining.spec import FrozenSpec
from retraining.spec.learning import n_settings
from retraining.stats.blocks import block_days, block_index, block_length
from retraining.stats.metrics import Array, find_metric
from retraining.train import Labelled, labelled_rows
from retraining.train.origins import Contest, predictions


@dataclass(frozen=True)
class Predicted:
    """An origin's holdout with its truth, and what both recipes predicted, a row per labelled row."""

    holdout: Window
    y: Array
    times: NDArray[np.datetime64]
    candidate: Array
    champion: Array


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
    learnt = [r for r in found if r.problem is None]
    if not learnt:
        why = f"its recipe and the candidate's could not be learnt at any origin ({left_out[-1]})"
        return Replacement(contest.theirs.id, left_out=left_out, problem=why)
    predicted = [_predicted(contest, one, judged.data) for one in learnt]
    tries = 1 if contest.trained.since is None else 2  # after a collapse each setting competes once more
    made = compare_recipes(contest.mine.frozen, judged, predicted, looks, tries)
    return replace(made, recipe_id=contest.theirs.id, left_out=left_out)


def compare_recipes(
    frozen: FrozenSpec, judged: Judged, predicted: Sequence[Predicted], looks: int, tries: int = 1
) -> Replacement:
    """Compare two recipes on several holdouts taken together, oldest first.

    Parameters
    ----------
    judged
        The newest holdout: whose candidate and classes these are.
    looks
        Earlier verdicts on a replacement that saw some of these rows.
    tries
        How often each setting competed for being the candidate's.
    """
    training, length = frozen.spec.training, block_length(frozen.spec.gate)
    y, times, new, old = (
        np.concatenate([getattr(one, name) for one in predicted]) for name in ("y", "times", "candidate", "champion")
    )
    span = Window(predicted[0].holdout.start, predicted[-1].holdout.end)
    blocks = block_index(times, span.start, length)
    days = block_days(times, span.start, length) if frozen.spec.data.time_ordered else None
    data = replace(judged.data, rows=None, x=None, y=y, times=times)
    metric, among = find_metric(training.metric, training.task), tries * n_settings(training)
    together = replace(judged, data=data, candidate=new, blocks=blocks, days=days)
    compare = Comparison(frozen, together, metric, looks, among)
    origin = np.repeat(np.arange(len(predicted)), [len(one.y) for one in predicted])

    def figures(number: int, holdout: Window) -> OriginFigures:
        rows = origin == number
        return OriginFigures(holdout, int(rows.sum()), compare.value(new, rows), compare.value(old, rows))

    return Replacement(
        span=span,
        n_rows=len(y),
        n_blocks=int(blocks.max()) + 1,
        n_days=compare.n_days(),
        n_settings=among,
        candidate=compare.value(new),
        champion=compare.value(old),
        gain=compare.gain(old),
        origins=tuple(figures(number, one.holdout) for number, one in enumerate(predicted)),
    )


def _predicted(contest: Contest, one: Rolled, newest: Labelled) -> Predicted:
    """Return an origin's predictions beside the labels and times of its holdout."""
    data = newest
    if one.index:
        part, recipe = snapshots.part_of(contest.train, one.holdout), contest.mine
        data = labelled_rows(contest.workspace, recipe.frozen, part, recipe.plan, newest.classes)
    if len(data.y) != one.n_rows:
        raise Damaged(
            f"{one.model}: origin {shown_day(one.holdout.start)} has {one.n_rows:,} predictions of {len(data.y):,} "
            "labelled rows. Were rows erased meanwhile? Retrain as of a later time."
        )
    return Predicted(one.holdout, data.y, data.times, *predictions(contest.workspace.store, one))
