"""Newest-row queries find what the whole history would, of one model and of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from retraining.ledger import Ledger
from retraining.records import Deployment, Window
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
    assert ledger.champions_now() == _each(ledger.champion)
    assert ledger.open_requests_by_model() == _each(ledger.open_requests)
    assert ledger.alert_counts() == _each(lambda m: len(ledger.alerts(m)))


def test_a_dry_run_can_be_left_out(ledger: Ledger) -> None:
    serious = _each(lambda m: [v for v in ledger.verdicts(m) if not v.dry_run])
    assert ledger.newest_verdicts(dry_runs=False) == {m: found[-1] for m, found in serious.items()}
    assert ledger.last_verdict_times() == {m: max(v.evaluation.as_of for v in found) for m, found in serious.items()}
    for model, found in serious.items():
        assert ledger.newest_verdict(model, dry_runs=False) == found[-1]
        assert ledger.last_verdict_time(model, day(40)) == day(40)
        assert ledger.last_verdict_time(model, day(39)) is None


def test_of_one_model(ledger: Ledger) -> None:
    assert ledger.newest_verdicts_of(NAME, 2) == ledger.verdicts(NAME)[:-3:-1]
    assert ledger.newest_decision(NAME) == ledger.decisions(NAME)[-1]
    assert ledger.newest_decisions_of(NAME, 2) == ledger.decisions(NAME)[:-3:-1]
    assert ledger.newest_incidents_of(NAME, 1) == ledger.incidents(NAME)[-1:]
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


ASKED: dict[str, Callable[[Ledger], object]] = {
    "newest_verdicts": lambda ledger: ledger.newest_verdicts(),
    "serious verdicts": lambda ledger: ledger.newest_verdicts(dry_runs=False),
    "last_verdict_times": lambda ledger: ledger.last_verdict_times(),
    "waiting_verdicts": lambda ledger: ledger.waiting_verdicts(),
    "newest_decisions": lambda ledger: ledger.newest_decisions(),
    "champions_now": lambda ledger: ledger.champions_now(),
    "known_models": lambda ledger: ledger.known_models(),
    "newest_verdict": lambda ledger: ledger.newest_verdict(NAME),
    "last_verdict_time": lambda ledger: ledger.last_verdict_time(NAME, day(50)),
    "newest_decision": lambda ledger: ledger.newest_decision(NAME),
    "newest_incidents": lambda ledger: ledger.newest_incidents_of(NAME, 5),
    "newest_results": lambda ledger: ledger.newest_results(NAME, "validation", 20),
    "verdict": lambda ledger: ledger.verdict("ab"),
    "decision": lambda ledger: ledger.decision_by_id("ab"),
    "measurements": lambda ledger: ledger.measurements(NAME, day(45), day(50)),
    "looks_at": lambda ledger: ledger.looks_at(NAME, Window(day(32), day(39)), replace=False),
    "numbered looks": lambda ledger: ledger.numbered_looks(NAME),
    "freed": lambda ledger: ledger.freed(["a", "b"]),
    "quarantined": lambda ledger: ledger.quarantined(NAME),
}


TWO_STEPS = {"verdict": 2, "newest_incidents": 2}
"""Of an abbreviated id equality is asked for first; of incidents the newest are found, then what was said of them."""


@pytest.mark.parametrize("name", ASKED)
def test_each_is_one_query_that_an_index_answers(ledger: Ledger, name: str) -> None:
    said: list[tuple[str, Any]] = []
    event.listen(ledger._engine, "before_cursor_execute", lambda _c, _u, sql, values, *_: said.append((sql, values)))
    ASKED[name](ledger)
    queries = [(sql, values) for sql, values in said if sql.startswith(("SELECT", "WITH"))]
    assert len(queries) == TWO_STEPS.get(name, 1)
    with ledger._reading() as connection:
        for sql, values in queries:
            plan = [row.detail for row in connection.exec_driver_sql(f"explain query plan {sql}", values)]
            scanned = [step for step in plan if step.startswith("SCAN") and "USING" not in step]
            assert [step for step in scanned if not step.endswith(("_models", "CONSTANT ROW"))] == [], plan
