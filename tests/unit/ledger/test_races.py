"""Two who write the same end with one, on both databases; a row that lacks something is an error and no such loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from retraining.ledger import Ledger, tables
from retraining.records import Alert, Deployment, Item, Look, Override, Release, Served, Window
from samples.records import champion, decision, measurement, request, verdict
from samples.tiny import NAME, day
from tests.support import ledgers, postgres

N = 6
"""Writers at once: more than the machine's cores, so that some meet."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.cluster() as found:
        yield found


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'ledger.db'}"
    else:
        name = request.node.name.replace("[", "_").replace("]", "")[-60:]
        url = postgres.create_database(request.getfixturevalue("server"), name)
    opened = Ledger(url)
    yield opened
    opened.close()


def _at_once(write: Callable[[int], Any]) -> list[Any]:
    """Let several writers start together; return what each got, or raise what one of them raised."""
    gate = Barrier(N)

    def start(number: int) -> Any:
        gate.wait(30)
        return write(number)

    with ThreadPoolExecutor(N) as pool:
        return list(pool.map(start, range(N)))


def test_of_verdicts_with_one_id_all_return_the_one_that_stands(ledger: Ledger) -> None:
    for turn in range(5):
        identity = f"v{turn}"
        made = [verdict(identity, reasons=(f"writer {n}",)) for n in range(N)]
        returned = _at_once(lambda n, made=made: ledger.add_verdict(made[n], ["r1", "r2"]))
        assert set(returned) == {ledger.verdict(identity)}
    assert len(ledger.verdicts(NAME)) == 5


def test_of_verdicts_that_serve_the_same_requests_in_any_order_the_first_serves(ledger: Ledger) -> None:
    asked = [f"r{n}" for n in range(20)]
    for identity in asked:
        ledger.add_request(request(identity))
    _at_once(lambda n: ledger.add_verdict(verdict(f"v{n}"), asked if n % 2 else asked[::-1]))
    assert len(ledger.verdicts(NAME)) == N and ledger.open_requests(NAME) == []
    assert len({served for _, served in ledger.requests(NAME)}) == 1, "one transaction served them all"


def test_of_champions_with_one_sequence_one_moves_and_brings_its_outcome(ledger: Ledger) -> None:
    for sequence in range(1, 6):
        made = [champion(sequence, release_id=f"r{sequence}-{n}", verdict_id=f"v{sequence}-{n}") for n in range(N)]
        done = Deployment(NAME, "deployed", sequence, sequence, "done")
        won = _at_once(lambda n, made=made, done=done: ledger.move_champion(made[n], done))
        assert sorted(won) == [False] * (N - 1) + [True]
        winner = ledger.champion(NAME)
        assert winner == made[won.index(True)]
        assert [ledger.outcome(f"v{sequence}-{n}") is not None for n in range(N)] == won


def test_of_overrides_of_one_verdict_one_counts(ledger: Ledger) -> None:
    made = [Override(NAME, "v1", "reject", f"release{n}", n + 1, "Ann", "ann", "because", day(2)) for n in range(N)]
    won = _at_once(lambda n: ledger.move_champion(champion(n + 1), override=made[n]))
    assert sorted(won) == [False] * (N - 1) + [True]
    assert len(ledger.champions(NAME)) == 1 and ledger.override_of("v1") == made[won.index(True)]


def test_of_looks_at_the_same_rows_only_one_is_the_first(ledger: Ledger) -> None:
    holdout = Window(day(32), day(39))
    looks = [Look(NAME, f"evaluation {n}", False, holdout, holdout.start) for n in range(N)]
    taken = _at_once(lambda n: ledger.take_look(looks[n]))
    assert sorted(taken) == list(range(N)), "each has a number of its own"
    assert [ledger.take_look(look) for look in looks] == taken, "taken again it is the same look"
    assert len(ledger.numbered_looks(NAME)) == N
    after = Look(NAME, "later", False, Window(day(39), day(46)), day(39))
    assert ledger.looks_before(after) == ledger.take_look(after) == 0, "rows that nobody looked at"
    other = dataclasses.replace(looks[0], evaluation="replacement", replace=True)
    assert ledger.take_look(other) == 0, "another question, with an error of its own"
    wide = dataclasses.replace(other, evaluation="wide", window=Window(day(20), day(46)), holdout=day(39))
    assert ledger.looks_before(wide) == ledger.take_look(wide) == 1


def test_looks_from_before_they_were_numbered_count_and_none_counts_twice(ledger: Ledger) -> None:
    item = Item("champion", "pass", "figures", "limit", "not worse")
    ledger.add_verdict(verdict("old", checklist=(item,)), [])
    look = Look(NAME, "new", False, Window(day(32), day(39)), day(32))
    assert ledger.looks_before(look) == 1
    assert sorted(_at_once(lambda n: ledger.take_look(dataclasses.replace(look, evaluation=str(n))))) == [
        *range(1, N + 1)
    ]
    judged = dataclasses.replace(verdict().evaluation, look="0")
    ledger.add_verdict(verdict("new", checklist=(item,), evaluation=judged), [])
    assert ledger.looks_before(look) == N + 1
    assert ledger.looks_before(dataclasses.replace(look, replace=True)) == 0


def test_of_everything_else_the_first_stays(ledger: Ledger) -> None:
    served = Served(0.1, 5.0, 300.0, 0.1, 0.0)
    alert = Alert(NAME, "stale", day(1), "old")

    def write(number: int) -> list[object]:
        release = Release(f"r{number}", NAME, "v1", "s", day(39), "run", 0.0, 10, served, ())
        found: list[object] = [
            ledger.add_release(release),
            ledger.add_decision(decision(reason=f"writer {number}")),
            ledger.add_measurement(measurement(n_rows=number)),
            ledger.add_predictions(dataclasses.replace(ledgers.predictions(NAME, 1), n_rows=number)),
        ]
        ledger.add_request(request())
        ledger.add_outcome("v1", Deployment(NAME, "refused", None, None, f"writer {number}"))
        ledger.add_approval(NAME, "v1", True, f"writer {number}", "fine")
        ledger.add_alias(NAME, 1, 1)
        ledger.finish(NAME, "stage", "key", request(f"r{number}"))
        return [repr(f) for f in found]

    assert len({tuple(returned) for returned in _at_once(write)}) == 1
    assert sorted(_at_once(lambda _: ledger.add_alert(alert))) == [False] * (N - 1) + [True]
    assert len(ledger.requests(NAME)) == 1 and len(ledger.approvals(NAME)) == 1


def test_many_rows_in_any_order_do_not_lock_each_other_out(ledger: Ledger) -> None:
    keys = [f"k{n:03}" for n in range(200)]
    days = {day(n): (ledgers.chunk("a", n),) for n in range(50)}

    def write(number: int) -> None:
        turned = keys if number % 2 else keys[::-1]
        ledger.finish_many(NAME, "stage", {key: {"writer": number} for key in turned})
        ledger.add_readings("source", day(60), dict(sorted(days.items(), reverse=bool(number % 2))))

    _at_once(write)
    assert len(ledger.finished_all(NAME, "stage")) == 200
    assert len(ledger.readings_of("source")) == 50


def test_a_row_that_lacks_something_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(IntegrityError):
        ledger.add_approval(NAME, "v1", True, None, "no name")  # type: ignore[arg-type]  # what must not be
    with pytest.raises(IntegrityError):
        ledger._add_many(tables.work, [{"model": None, "stage": "s", "key": "k", "body": {}}])
    with pytest.raises(IntegrityError):
        ledger.move_champion(champion(release_id=None))
    assert (ledger.approvals(NAME), ledger.champions(NAME)) == ({}, [])
