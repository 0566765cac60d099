"""Lineage: what a snapshot is made of and what was made of it, found by the start of its id."""

from __future__ import annotations

from pathlib import Path

import pytest

from retraining.artifacts import stored
from retraining.audit import lineage
from retraining.errors import RequestError
from samples.tiny import day, retrain, tiny

pytestmark = pytest.mark.usefixtures("quick_preflight")


def test_a_snapshot_leads_to_everything_it_was_used_for(tmp_path: Path) -> None:
    workspace = tiny(tmp_path)
    retrain(workspace, day(40))
    verdict = retrain(workspace, day(48)).verdict
    assert verdict is not None and verdict.decision == "promote"
    release = workspace.ledger.release_of(verdict.id)
    assert release is not None
    trained = stored.read_card(workspace.store, verdict.evaluation.candidate_id).snapshot_id
    for identity, what in (
        (verdict.evaluation.holdout_id, "judged on"),
        (trained, "trained on"),
        (release.snapshot_id, "refitted on"),
    ):
        found = lineage.of_snapshot(workspace, identity[:10])
        assert found.snapshot_id == identity
        assert [(u.what, u.verdict_id, u.champion, u.version) for u in found.uses if u.verdict_id == verdict.id] == [
            (what, verdict.id, 2, 2)
        ]
    assert lineage.of_snapshot(workspace, release.snapshot_id).n_rows == release.n_rows


@pytest.mark.parametrize(
    ("identity", "why"), [("abc", "at least 6"), ("not hex!", "not the start"), ("0" * 12, "names 0 snapshots")]
)
def test_an_id_that_leads_nowhere_is_refused(tmp_path: Path, identity: str, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        lineage.of_snapshot(tiny(tmp_path), identity)
