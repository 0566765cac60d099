"""The champion's footing: its own figure on the newest holdout, and those on earlier ones that the ledger knows."""

from __future__ import annotations

from datetime import datetime
from statistics import median

import numpy as np

from retraining.errors import RetrainingError
from retraining.evaluation.comparison import Comparison
from retraining.evaluation.holdout import Judged
from retraining.evaluation.moved import moved_columns
from retraining.gate import Policy
from retraining.gate.footing import LARGE, N_EARLIER, has_collapsed
from retraining.records import Footing, Held, Moved, Window
from retraining.spec import FrozenSpec
from retraining.stats.expected import expected_figure
from retraining.stats.metrics import Array, Metric
from retraining.workspace import Workspace


def footing_of(
    workspace: Workspace, frozen: FrozenSpec, judged: Judged, metric: Metric, looks: int, window: Window, where: str
) -> Footing | None:
    """Return how the champion stands on the holdout.

    Without a time nothing is newer than anything, and there is no footing; nor where its figure is undefined.
    """
    if not frozen.spec.data.time_ordered or len(judged.data.y) == 0:
        return None
    mine = _of_champion(judged)
    theirs = judged.candidate if mine is None else mine
    compare = Comparison(frozen, judged, metric, looks)
    figure, baseline = compare.value(theirs), compare.value(judged.baseline)
    if figure is None or baseline is None:
        return None
    sign = 1.0 if metric.greater_is_better else -1.0
    promised = expected_figure(metric, theirs)
    expected = baseline if promised is None else promised
    doubtful = sign * (figure - baseline) < 0 or sign * (expected - figure) >= LARGE * frozen.spec.gate.margin
    earlier = earlier_figures(workspace, frozen, metric, window)
    usual = median(held.figure for held in earlier) if earlier else expected
    return Footing(
        who="candidate" if mine is None else "champion",
        now=Held(window.end, figure, expected),
        lift=compare.gain(judged.baseline, new=theirs) if doubtful else None,
        earlier=earlier,
        moved=_moved(judged, where),
        since=turning_day(compare.by_day(theirs), sign * usual, sign),
    )


def earlier_figures(workspace: Workspace, frozen: FrozenSpec, metric: Metric, window: Window) -> tuple[Held, ...]:
    """Return the own figures on earlier holdouts that share no row, the newest first; those of a collapse are left out.

    A collapse is what the newest figure is to be told from, and would hide the next one.
    """
    found, policy, begins = [], Policy.of(frozen.spec), window.start
    for verdict in workspace.ledger.verdicts_before(frozen.model, window.start, 2 * N_EARLIER):
        e = verdict.evaluation
        if e.footing is None or e.metric != metric.name or e.window.end > begins or has_collapsed(e, policy):
            continue
        found.append(e.footing.now)
        begins = e.window.start
    return tuple(found[:N_EARLIER])


def turning_day(figures: dict[datetime, float], usual: float, sign: float) -> datetime | None:
    """Return the day from which on figures are lower, where those before it are nearer to the usual one.

    The days are cut in two where the parts' means explain most of the squares (Hinkley 1970, Inference about the
    change-point in a sequence of random variables). Where the whole holdout is low no part of it is as usual.

    Parameters
    ----------
    figures
        By day, oldest first, in the metric's unit; `sign` turns them so that more is better, as `usual` is already.
    """
    days, found = list(figures), sign * np.array(list(figures.values()))
    cuts = [cut for cut in range(1, len(days)) if found[:cut].mean() > found[cut:].mean()]
    if not cuts:
        return None

    def explained(cut: int) -> float:
        return cut * (len(days) - cut) * float(found[:cut].mean() - found[cut:].mean()) ** 2

    best = max(cuts, key=explained)
    before, after = float(found[:best].mean()), float(found[best:].mean())
    return days[best] if before > (usual + after) / 2 else None


def _of_champion(judged: Judged) -> Array | None:
    """Return the champion's predictions, where it has learnt nothing of the holdout."""
    unseen = judged.champion_rows is None or bool(judged.champion_rows.all())
    return judged.champion.predictions if judged.champion is not None and unseen else None


def _moved(judged: Judged, where: str) -> tuple[Moved, ...]:
    """Return the columns that moved since the champion was trained; none where it kept no rows to compare with."""
    model = None if judged.champion is None else judged.champion.model
    if model is None or model.reference is None:
        return ()
    try:
        return moved_columns(model.card, model.reference, judged.data.rows, judged.data.y, judged.data.times, where)
    except RetrainingError:  # a column is gone or holds text: the champion cannot score, and that is said already
        return ()
