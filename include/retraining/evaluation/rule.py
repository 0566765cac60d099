"""Which question a candidate must answer: it follows from what is learnt and by which estimator."""

from __future__ import annotations

from typing import Literal

from pydantic import ValidationError

from retraining.artifacts.stored import ModelCard, read_card
from retraining.errors import Damaged, TrainingFailed
from retraining.records import Champion
from retraining.spec import FrozenSpec
from retraining.spec.learning import learns_same
from retraining.workspace import Workspace


def rule_of(
    workspace: Workspace, frozen: FrozenSpec, estimator: str, champion: Champion | None
) -> Literal["first", "refresh", "replace"]:
    """Return the question that a candidate must answer: a refresh is the same recipe on newer data.

    Anything else must prove that it is better, also where nobody can read what the champion was.
    """
    if champion is None:
        return "first"
    if frozen.spec.gate.rule != "auto":
        return frozen.spec.gate.rule
    return "refresh" if is_same_recipe(workspace, frozen, estimator, champion) else "replace"


def is_same_recipe(workspace: Workspace, frozen: FrozenSpec, estimator: str, champion: Champion) -> bool:
    """Tell whether a champion was learnt as the spec learns now, by the same estimator."""
    try:
        card = read_card(workspace.store, champion.release_id)
    except (Damaged, TrainingFailed):
        return False
    return card.estimator == estimator and learnt_as(workspace, frozen, card)


def learnt_as(workspace: Workspace, frozen: FrozenSpec, card: ModelCard) -> bool:
    """Tell whether what a stored model was learnt by is what the spec says now; of an adopted one nobody knows."""
    if card.provenance is not None:
        return False
    try:
        theirs = workspace.frozen(card.spec_id)
    except (Damaged, ValidationError, ValueError):  # lost, or frozen by a version with other keys: only its id is left
        return card.learning_id == frozen.learning_id
    return learns_same(theirs, frozen, card.estimator)
