"""What crosses a task boundary: a place in the ledger, from which the next task gets the same record."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from retraining.errors import LedgerError
from retraining.pipeline.crossing import champion_ids, ids_of, recall, recall_champion
from tests.contract.conftest import Loop

_MOST_BYTES = 250
"""A model's name, a stage's name and one digest."""


def crossing(loop: Loop) -> list[Any]:
    """Return every record that a task hands to the next one."""
    results = loop.results
    return [results["admit"], *results["try"], results["train"], results["evaluate"], *results["predict"]]


def test_a_record_is_found_again_by_what_crossed(loop: Loop) -> None:
    for record in crossing(loop):
        ids = ids_of(record)
        assert len(json.dumps(ids)) < _MOST_BYTES
        assert recall(loop.workspace, type(record), json.loads(json.dumps(ids))) == record
    pinned = champion_ids(loop.results["pin"])
    assert recall_champion(loop.workspace, pinned) == loop.results["pin"]


def test_what_the_ledger_does_not_have_is_an_error(loop: Loop) -> None:
    admission = replace(loop.results["admit"], reason="nobody wrote this down")
    with pytest.raises(LedgerError, match="tiny: the ledger has no admission .*restored from a backup"):
        recall(loop.workspace, type(admission), ids_of(admission))
    with pytest.raises(LedgerError, match="tiny: the ledger has no champion 99"):
        recall_champion(loop.workspace, {"model": "tiny", "sequence": 99})
