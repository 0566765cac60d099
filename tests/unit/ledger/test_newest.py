"""Newest-row queries find what the whole history would, of one model and of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from retraining.ledger import Ledger
from retraining.records import Deployment
from samples.records import verdict
from samples.tiny import NAME, day
from tests.support import ledgers

MODELS = (NAME, ledgers.OTHER)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path_factory.mktemp('newest') / 'ledger.db'}")
    ledgers.fill(opened)
    yield opened
    opened.close()


def _each(read: Callable[[str], Any]) -> dict[str, Any]:
    return {model: read(model) for model in MODELS}


def test_of_all_models_at_once(ledger: Ledger) -> None:
    assert ledger.newest_verdicts() == _each(lambda m: ledger.verdicts(m)[-1])
    assert ledger.newest_decisions() == _each(lambda m: ledger.decisions(m)[-1])
    assert ledger.newest_measurements() == _each(lambda m: ledger.measurements(m, day(99), 1)[0])
    assert ledger.champions_now() == _each(ledger.champion)
    assert ledger.open_requests_by_model() == _each(ledger.open_requests)
    assert ledger.alerts_by_model(day(0)) == _each(ledger.alerts)
    assert ledger.alerts_by_model(day(50)) == _each(lambda m: ledger.alerts(m)[1:])
    assert ledger.alert_counts() == _each(lambda m: len(ledger.alerts(m)))


def test_a_dry_run_can_be_left_out(ledger: Ledger) -> None:
    serious = _each(lambda m: [v for v in ledger.verdicts(m) if not v.dry_run])
    assert ledger.newest_verdicts(dry_runs=False) == {m: found[-1] for m, found in serious.items()}
    assert ledger.last_verdict_times() == {m: max(v.evaluation.as_of for v in found) for m, found in serious.items()}
    for model, found in serious.items():
        assert ledger.newest_verdict(model, dry_runs=False) == found[-1]
        assert ledger.verdict_times(model) == [v.evaluation.as_of for v in found]
        assert ledger.last_verdict_time(model, day(40)) == day(40)
        assert ledger.last_verdict_time(model, day(39)) is None


def test_of_one_model(ledger: Ledger) -> None:
    assert ledger.newest_verdicts_of(NAME, 2) == ledger.verdicts(NAME)[:-3:-1]
    assert ledger.newest_decision(NAME) == ledger.decisions(NAME)[-1]
    assert ledger.newest_decisions_of(NAME, 2) == ledger.decisions(NAME)[:-3:-1]
    assert ledger.newest_alerts_of(NAME, 1) == ledger.alerts(NAME)[-1:]
    nothing = (ledger.newest_verdict("none"), ledger.newest_decision("none"), ledger.last_verdict_time("none", day(60)))
    assert nothing == (None, None, None)


def test_promotions_wait_until_something_becomes_of_them(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    for made in (verdict("v1"), verdict("v2", dry_run=True), verdict("v3", decision="reject"), verdict("v4")):
        ledger.add_verdict(made, [])
    ledger.add_outcome("v1", Deployment(NAME, "refused", None, None, "the answer was no"))
    assert ledger.waiting_verdicts() == {NAME: [verdict("v4")]}
    ledger.close()


def test_an_empty_ledger_has_nothing_new(tmp_path: Path) -> None:
    empty = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert (empty.newest_verdicts(), empty.last_verdict_times(), empty.models(), empty.known_models()) == (
        {},
        {},
        [],
        [],
    )
    empty.close()
