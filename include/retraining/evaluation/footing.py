"""The champion's footing: its own figure on the newest holdout, and those on earlier ones that the ledger knows."""

from __future__ import annotations

from retraining.errors import RetrainingError
from retraining.evaluation.comparison import Comparison
from retraining.evaluation.holdout import Judged
from retraining.evaluation.moved import moved_columns
from retraining.gate import Policy
from retraining.gate.footing import LARGE, N_EARLIER, has_collapsed
from retraining.records import Evaluation, Footing, Held, Moved, Window
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
    return Footing(
        who="candidate" if mine is None else "champion",
        now=Held(window.end, figure, expected),
        lift=compare.gain(judged.baseline, new=theirs) if doubtful else None,
        earlier=earlier_figures(workspace, frozen, metric, window),
        moved=_moved(judged, where),
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


def collapse_of(evaluation: Evaluation, frozen: FrozenSpec) -> bool:
    """Tell whether an evaluation found that the champion collapsed."""
    return has_collapsed(evaluation, Policy.of(frozen.spec))


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
