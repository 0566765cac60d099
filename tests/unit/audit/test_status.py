"""Staleness is by as-of times, and only what judged a model makes it fresh."""

from __future__ import annotations

from pathlib import Path

from retraining.audit.status import status
from samples.records import champion, evaluation, verdict
from samples.tiny import NAME, day, tiny


def test_neither_a_dry_run_nor_a_run_about_the_past_makes_a_model_fresh(tmp_path: Path) -> None:
    workspace = tiny(tmp_path)  # retrained weekly: stale after two weeks
    frozen, ledger = workspace.spec(NAME), workspace.ledger

    def stale(number: int) -> str | None:
        return status(workspace, frozen, day(number)).stale

    assert stale(60) == "was never retrained"
    ledger.move_champion(champion(as_of=day(20)))
    assert stale(40) == "adopted champion is 20 days old, the schedule allows 14"
    ledger.add_verdict(verdict("v1", evaluation=evaluation(as_of=day(40))), [])
    assert stale(54) is None
    ledger.add_verdict(verdict("v2", evaluation=evaluation(as_of=day(54)), dry_run=True), [])
    assert stale(55) == "last verdict is 15 days old, the schedule allows 14", "a dry run judges nothing"
    ledger.add_verdict(verdict("v3", evaluation=evaluation(as_of=day(53))), [])
    ledger.add_verdict(verdict("v4", evaluation=evaluation(as_of=day(30))), [])
    assert stale(60) is None, "a rerun about the past does not make it stale either"
    assert stale(68) == "last verdict is 15 days old, the schedule allows 14"
