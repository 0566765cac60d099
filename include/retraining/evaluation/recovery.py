"""After a collapse: since when a recipe that learnt only the new rows competes, and whether it still has to."""

from __future__ import annotations

from datetime import datetime

from retraining.artifacts.stored import read_card
from retraining.errors import Damaged, TrainingFailed
from retraining.evaluation.footing import footing_of
from retraining.evaluation.holdout import judge
from retraining.evaluation.looking import looks_for_recovery
from retraining.evaluation.rivals import rivals_of, with_rivals
from retraining.gate import Policy
from retraining.gate.footing import N_EARLIER, has_collapsed, why_collapsed
from retraining.records import Champion, Snapshot, Trained, Window
from retraining.spec import FrozenSpec
from retraining.stats.metrics import find_metric
from retraining.workspace import Workspace


def recovers_since(
    workspace: Workspace, frozen: FrozenSpec, train: Window, as_of: datetime, champion: Champion | None
) -> datetime | None:
    """Return when the collapse began that the newest earlier verdict found, and that lies in the training window.

    Where there is none, and the champion itself is what was learnt after one, that recipe goes on competing with those
    that learn everything, until these are as good again. It depends on earlier as-of times alone.
    """
    if champion is None or not frozen.spec.data.time_ordered:
        return None
    return collapsed_since(workspace, frozen, train, as_of) or _since_of(workspace, champion, train)


def collapsed_since(workspace: Workspace, frozen: FrozenSpec, train: Window, as_of: datetime) -> datetime | None:
    """Return the beginning of the unbroken run of collapses that ends with the newest earlier verdict."""
    policy, since = Policy.of(frozen.spec), None
    for verdict in workspace.ledger.verdicts_before(frozen.model, train.end, 2 * N_EARLIER):
        e = verdict.evaluation
        if e.as_of >= as_of or e.footing is None:
            continue
        if not has_collapsed(e, policy):
            break
        since = e.footing.since or e.window.start
    return since if since is not None and since > train.start else None


def stands_again(
    workspace: Workspace,
    frozen: FrozenSpec,
    trained: Trained,
    champion: Champion | None,
    holdout: Snapshot,
    as_of: datetime,
) -> bool:
    """Tell whether the champion, after a collapse, is on its feet on the holdout: the data had merely been spoilt.

    Then a recipe that learnt only the spoilt rows has no business in the gate. Nothing is known of the candidate by it.
    """
    if champion is None or trained.reach.since is None or _since_of(workspace, champion, None) == trained.reach.since:
        return False
    where = f"{frozen.model}, {holdout.describe()}"
    judged = judge(workspace, frozen, trained, holdout)
    looks = looks_for_recovery(workspace, frozen, judged, trained, champion, holdout, as_of)
    rivals = rivals_of(workspace, frozen, champion, holdout.window)
    judged = with_rivals(workspace, judged, champion, rivals, where, refresh=False)
    metric = find_metric(frozen.spec.training.metric, frozen.spec.training.task)
    found = footing_of(workspace, frozen, judged, metric, looks, holdout.window, where)
    if found is None or found.who != "champion":
        return False
    policy = Policy.of(frozen.spec)
    return why_collapsed(found, policy, frozen.spec.gate.confidence, metric.greater_is_better) is None


def _since_of(workspace: Workspace, champion: Champion, train: Window | None) -> datetime | None:
    """Return from when on a champion has learnt, where it is a recovery; None where it is older than the window."""
    try:
        since = read_card(workspace.store, champion.release_id).reach.since
    except (Damaged, TrainingFailed):  # it cannot be compared either, and the gate says so
        return None
    return since if since is not None and (train is None or since > train.start) else None
