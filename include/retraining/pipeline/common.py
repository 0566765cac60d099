"""What the pipelines share: how they report, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from pydantic import ValidationError

from retraining.errors import Damaged, RequestError
from retraining.records import Admission, Champion
from retraining.spec import FrozenSpec
from retraining.windows import Partition, refuse_future
from retraining.workspace import Workspace

Report = Callable[[str, str], None]
"""Called with a stage's name and a sentence when the stage is done."""


def silent(_stage: str, _text: str) -> None:
    """Report nothing."""


def champion_of(workspace: Workspace, admission: Admission) -> Champion | None:
    """Return the champion that was in office when a run was admitted."""
    return None if admission.champion is None else workspace.ledger.champion(admission.model, admission.champion)


def needs_time(frozen: FrozenSpec) -> None:
    """Refuse rows without a time.

    Raises
    ------
    RequestError
        When there is no day to score or to watch.
    """
    if not frozen.spec.data.time_ordered:
        raise RequestError(
            f"{frozen.model}: its rows have no time, so there is no day to score or to watch. Name data.time_column, "
            "or score rows with the model version in MLflow."
        )


def admissible(workspace: Workspace, frozen: FrozenSpec, as_of: datetime) -> None:
    """Refuse a run that could only do harm: every way to retrain, score or monitor begins here.

    Raises
    ------
    RequestError
        When the as-of time has not come yet, or the partition is not the champion's.
    """
    refuse_future(frozen.model, as_of, datetime.now(UTC))
    champion = workspace.ledger.champion(frozen.model)
    if champion is not None:
        _same_partition(workspace, frozen, champion)


def _same_partition(workspace: Workspace, frozen: FrozenSpec, champion: Champion) -> None:
    before, now = _partition_of(workspace, champion), frozen.spec.data.partition
    if before not in (None, now):
        raise RequestError(
            f"{frozen.model}: data.partition was {before} when champion {champion.sequence} was made and is {now} now. "
            f"What was published and measured by {before} cannot be continued by {now}. Nothing was done. Set it back "
            f"to {before}, or copy the YAML under another name: a new model starts its own history."
        )


def _partition_of(workspace: Workspace, champion: Champion) -> Partition | None:
    """Return a champion's partition; None when its spec is lost, of which `check --store` speaks."""
    try:
        return workspace.frozen(champion.spec_id).spec.data.partition
    except (Damaged, ValidationError, ValueError):  # lost, or frozen by a version with other keys
        return None
