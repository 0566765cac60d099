"""The look at a holdout: numbered in the ledger before any figure of the holdout is there."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from retraining.data.plan import plan_origins
from retraining.evaluation.comparison import n_classes_of
from retraining.evaluation.finalist import work_key
from retraining.evaluation.holdout import Judged
from retraining.evaluation.rule import rule_of
from retraining.gate import Policy, lacking
from retraining.records import Champion, Look, Rolled, Snapshot, Trained, Window, digest_of
from retraining.spec import FrozenSpec
from retraining.stats.blocks import count_days
from retraining.workspace import Workspace


def look_of(
    frozen: FrozenSpec,
    trained: Trained,
    champion: Champion | None,
    holdout: Snapshot,
    as_of: datetime,
    rule: str,
    begins: datetime,
) -> Look:
    """Return the look that an evaluation takes: run again with the same inputs, it is the same look.

    Parameters
    ----------
    begins
        Where the rows begin that are judged: before the holdout, where a replacement has several origins.
    """
    sequence = champion.sequence if champion else None
    first = trained.left_out or trained.artifact_id
    key, window = digest_of(["look", work_key(first, sequence, holdout.id, frozen.id, as_of), rule]), holdout.window
    version = None if frozen.spec.data.time_ordered else holdout.raw_id or holdout.id  # whatever was set aside of it
    return Look(frozen.model, key, rule == "replace", Window(begins, window.end), window.start, version)


def take_look(
    workspace: Workspace,
    frozen: FrozenSpec,
    judged: Judged,
    look: Look,
    champion: Champion | None,
    as_of: datetime,
) -> tuple[int, str | None]:
    """Return the number of earlier looks at a holdout's rows, and the look that was taken now.

    None is taken where no candidate could be promoted whatever the figures say: that spends no error.
    """
    holdout = Window(look.holdout, look.window.end)
    if _is_older(frozen, champion, holdout, as_of) or not _can_decide(frozen, judged):
        return workspace.ledger.looks_before(look), None
    return workspace.ledger.take_look(look), look.evaluation


def looks_for_recovery(
    workspace: Workspace,
    frozen: FrozenSpec,
    judged: Judged,
    trained: Trained,
    champion: Champion,
    holdout: Snapshot,
    as_of: datetime,
) -> int:
    """Take the look for whether a recovery is still needed, which is seen on the holdout before the candidate is.

    It is the look of the evaluation that follows. How many origins that will have is not known yet, so all are counted.
    """
    rule, spec = rule_of(workspace, frozen, trained.estimator, champion), frozen.spec
    planned = plan_origins(spec.data, spec.training.window, holdout.window, spec.gate.origins)
    begins = planned[-1].start if rule == "replace" else holdout.window.start
    look = look_of(frozen, trained, champion, holdout, as_of, rule, begins)
    return take_look(workspace, frozen, judged, look, champion, as_of)[0]


def begins_at(window: Window, rolled: Iterable[Rolled]) -> datetime:
    """Return where the rows begin that are judged, over all origins that could be learnt."""
    return min([window.start, *(r.holdout.start for r in rolled if r.problem is None)])


def _is_older(frozen: FrozenSpec, champion: Champion | None, holdout: Window, as_of: datetime) -> bool:
    """Tell whether the champion knows it all already, so that nothing can be promoted over it."""
    if champion is None:
        return False
    return as_of < champion.as_of or (frozen.spec.data.time_ordered and holdout.end <= champion.cutoff)


def _can_decide(frozen: FrozenSpec, judged: Judged) -> bool:
    n_blocks = int(judged.blocks.max()) + 1 if len(judged.blocks) else 0
    n_classes, time = n_classes_of(frozen, judged), frozen.spec.data.time_ordered
    found = (len(judged.data.y), n_blocks, count_days(judged.data.times), n_classes)
    return lacking(*found, Policy.of(frozen.spec), time=time) is None
