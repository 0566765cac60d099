"""What crosses a task boundary: where the ledger holds a record, never the record itself.

So a task that is cleared months later works on what its run recorded, and whoever may edit an XCom alters nothing.
"""

from __future__ import annotations

from typing import Any, TypeVar

from retraining.errors import LedgerError
from retraining.ledger.work import Stage
from retraining.pipeline import admission
from retraining.records import Admission, Champion, Evaluation, PredictionSet, Rolled, Trained, Tried, short
from retraining.workspace import Workspace

Ids = dict[str, Any]
Crossing = Admission | Tried | Trained | Rolled | Evaluation | PredictionSet
R = TypeVar("R", Admission, Tried, Trained, Rolled, Evaluation, PredictionSet)


def ids_of(record: Crossing) -> Ids:
    """Return what the next task gets in place of a record that is in the ledger.

    Called where the record was made: the environment, with its thread pools, is part of some keys.
    """
    stage, key = _place(record)
    return {"model": record.model, "stage": stage, "key": key}


def recall(workspace: Workspace, cls: type[R], ids: Ids) -> R:
    """Return the record that an earlier task wrote to the ledger.

    Raises
    ------
    LedgerError
        When the ledger does not have it.
    """
    found = workspace.ledger.finished(cls, ids["model"], ids["stage"], ids["key"])
    return _known(found, f"{ids['model']}: the ledger has no {ids['stage']} {short(ids['key'])}")


def champion_ids(champion: Champion) -> Ids:
    """Return what names an entry of the champion history."""
    return {"model": champion.model, "sequence": champion.sequence}


def recall_champion(workspace: Workspace, ids: Ids) -> Champion:
    """Return the entry of the champion history that an earlier task pinned.

    Raises
    ------
    LedgerError
        When the ledger does not have it.
    """
    found = workspace.ledger.champion(ids["model"], ids["sequence"])
    return _known(found, f"{ids['model']}: the ledger has no champion {ids['sequence']}")


T = TypeVar("T")


def _known(found: T | None, what: str) -> T:
    if found is None:
        raise LedgerError(f"{what}, which an earlier task of this run wrote. Was the ledger restored from a backup?")
    return found


def _place(record: Crossing) -> tuple[Stage, str]:
    if isinstance(record, Admission):
        return admission.place(record)
    if isinstance(record, PredictionSet):
        from retraining.predictions import batch

        return batch.place(record)
    if isinstance(record, Evaluation):
        from retraining.evaluation.finalist import evaluation_key

        return "evaluate", evaluation_key(record)
    if isinstance(record, Rolled):
        from retraining.train.origins import STAGE as ORIGIN
        from retraining.train.origins import rolled_key

        of = (record.recipe_id, record.champion_recipe_id, record.snapshot_id, record.holdout_id)
        return ORIGIN, rolled_key(*of, record.index)
    from retraining.train.again import again_key
    from retraining.train.candidates import STAGE, candidate_key
    from retraining.train.choose import STAGE as CHOSEN
    from retraining.train.choose import choice_key

    if isinstance(record, Tried):
        return STAGE, candidate_key(record.spec_id, record.snapshot_id, record.index, record.reach.since)
    if record.again:
        return CHOSEN, again_key(record.recipe_id, record.snapshot_id)
    return CHOSEN, choice_key(record.spec_id, record.snapshot_id, record.since)
