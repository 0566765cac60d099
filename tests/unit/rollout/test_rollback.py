"""Whom a rollback goes to: never to what probation took back, unless a new verdict let it in."""

from __future__ import annotations

from pathlib import Path

import pytest

from retraining.care.needs import Policy
from retraining.errors import RequestError
from retraining.rollout.rollback import rollback_target
from retraining.workspace import Workspace
from samples.records import champion
from samples.tiny import NAME, day, tiny


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = tiny(tmp_path)
    for entry in (champion(1), champion(2)):
        found.ledger.move_champion(entry)
    found.ledger.move_champion(champion(3, kind="return", release_id="release1", by="probation"))
    return found


def test_what_probation_took_back_is_no_target(workspace: Workspace) -> None:
    with pytest.raises(RequestError, match="probation took back every other release; there is nothing to go back to"):
        rollback_target(workspace, NAME, None)
    with pytest.raises(RequestError, match="entry 2 was shown to be worse .* needs a new verdict: `python -m"):
        rollback_target(workspace, NAME, 2)
    workspace.ledger.move_champion(champion(4, kind="promotion", release_id="release4"))
    assert rollback_target(workspace, NAME, None).sequence == 3, "not entry 2"


def test_a_new_verdict_lets_it_in_again(workspace: Workspace) -> None:
    workspace.ledger.move_champion(champion(4, kind="promotion", release_id="release2"))
    workspace.ledger.move_champion(champion(5, kind="promotion", release_id="release5"))
    assert rollback_target(workspace, NAME, 2).sequence == 2


def test_retention_keeps_whom_a_rollback_or_a_return_would_take() -> None:
    history = [champion(n, cutoff=day(7 * n)) for n in (1, 2, 3)]
    history.append(champion(4, kind="return", release_id="release2", cutoff=day(14)))
    kept = Policy("tiny", day(400), frozenset(), None, True, tuple(history))
    assert {1, 2} <= {c.sequence for c in kept.champions}
    assert {c.release_id for c in kept.live} >= {"release1", "release2"}, "the default target of a rollback"
