"""The ledger: records are only added, and unique keys decide who was first."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from retraining.errors import RequestError, Unavailable
from retraining.ledger import Ledger, database, tables
from retraining.ledger.tables import metadata
from retraining.records import (
    Alert,
    Chunk,
    Closing,
    Deployment,
    Item,
    Override,
    PredictionSet,
    Release,
    Served,
    Window,
    to_dict,
)
from samples.records import champion, decision, evaluation, measurement, request, verdict
from samples.tiny import day

CHUNK = Chunk("chunk", "features", day(1), 3, 0, 99, "digest")
DONE = Deployment("tiny", "deployed", 1, 1, "version 1 is champion 1")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


def test_migrations_make_exactly_the_tables(ledger: Ledger, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_ledger_of_before_overrides_is_upgraded_and_keeps_what_is_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        assert "overrides" not in inspect(connection).get_table_names()
        row = {"model": "tiny", "sequence": 1, "release_id": "r", "body": to_dict(champion()), "recorded_at": day(1)}
        connection.execute(tables.champions.insert().values(**row))
    engine.dispose()
    opened = Ledger(url)
    assert opened.champions("tiny") == [champion()]
    made = Override("tiny", "v2", "reject", "release2", 2, "Ann", "ann", "because", day(2))
    assert opened.move_champion(champion(2), override=made) and opened.overrides("tiny") == {"v2": made}
    opened.close()


def test_an_override_and_its_champion_are_one(ledger: Ledger) -> None:
    made = Override("tiny", "v1", "reject", "release1", 1, "Ann", "ann", "because", day(2))
    assert ledger.move_champion(champion(1), override=made)
    assert not ledger.move_champion(champion(2), override=made), "one verdict is overridden once"
    assert not ledger.move_champion(champion(1), override=dataclasses.replace(made, verdict_id="v9"))
    assert (len(ledger.champions("tiny")), ledger.overrides("tiny")) == (1, {"v1": made})


def test_opening_twice_keeps_what_is_there(ledger: Ledger, tmp_path: Path) -> None:
    ledger.move_champion(champion())
    again = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert again.champion("tiny") == champion()
    again.close()


def test_of_two_promotions_one_wins(ledger: Ledger) -> None:
    assert ledger.move_champion(champion(1))
    assert not ledger.move_champion(champion(1, release_id="other", verdict_id="v9"))
    assert ledger.move_champion(champion(2))
    assert [c.release_id for c in ledger.champions("tiny")] == ["release1", "release2"]
    assert ledger.champion("tiny") == champion(2)
    assert ledger.champion("tiny", 1) == champion(1)
    assert ledger.champion("other") is None
    assert ledger.models() == ["tiny"]


def test_of_many_promotions_at_once_one_wins(ledger: Ledger) -> None:
    won: list[bool] = []
    threads = [
        threading.Thread(target=lambda i=i: won.append(ledger.move_champion(champion(1, release_id=str(i)))))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
    assert len(ledger.champions("tiny")) == 1


def test_a_lost_race_records_no_outcome(ledger: Ledger) -> None:
    assert ledger.move_champion(champion(1), DONE)
    other = champion(1, verdict_id="v9")
    assert not ledger.move_champion(other, dataclasses.replace(DONE, detail="never"))
    assert ledger.outcome("v9") is None
    assert ledger.outcome("v1") == DONE


def test_the_same_request_thrice_is_one_and_is_served_once(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.add_request(request())
    assert ledger.open_requests("tiny") == [request()]
    ledger.add_verdict(verdict("v1"), ["r1"])
    assert ledger.open_requests("tiny") == []
    ledger.add_verdict(verdict("v2"), ["r1"])
    ledger.add_request(request())
    assert ledger.open_requests("tiny") == []
    assert ledger.requests("tiny") == [(request(), "v1")]


def test_one_verdict_serves_all_open_requests_newest_first(ledger: Ledger) -> None:
    for identity, number in (("r1", 50), ("r3", 52), ("r2", 51)):
        ledger.add_request(request(identity, number))
    assert [r.id for r in ledger.open_requests("tiny")] == ["r3", "r2", "r1"]
    ledger.add_verdict(verdict("v1"), ["r1", "r2"])
    assert [r.id for r in ledger.open_requests("tiny")] == ["r3"]


def test_a_dry_run_serves_nothing_and_still_counts_as_a_look(ledger: Ledger) -> None:
    ledger.add_request(request())
    item = Item("champion", "pass", "no champion", "none", "there is no champion yet")
    ledger.add_verdict(verdict("v1", dry_run=True, checklist=(item,)), ["r1"])
    assert ledger.open_requests("tiny") == [request()]
    assert ledger.looks_at("tiny", Window(day(38), day(50)), replace=False) == 1
    assert ledger.looks_at("tiny", Window(day(39), day(50)), replace=False) == 0
    ledger.add_verdict(verdict("v2", decision="nothing_new"), [])
    ledger.add_verdict(verdict("v3", decision="inconclusive"), [])  # too few rows: it could not have promoted
    assert ledger.looks_at("tiny", Window(day(38), day(50)), replace=False) == 1


def test_the_first_record_stays(ledger: Ledger) -> None:
    first = verdict("v1")
    assert ledger.add_verdict(first, []) == first
    assert ledger.add_verdict(dataclasses.replace(first, reasons=("other",)), []) == first
    assert ledger.verdicts("tiny") == [first]

    ledger.add_outcome("v1", DONE)
    ledger.add_outcome("v1", dataclasses.replace(DONE, outcome="superseded"))
    assert ledger.outcome("v1") == DONE

    release = Release(
        "release", "tiny", "v1", "snapshot", day(39), "run", 0.0, 10, Served(0.1, 5.0, 300.0, 0.1, 0.0), ()
    )
    assert ledger.add_release(release) == release
    assert ledger.add_release(dataclasses.replace(release, id="other")) == release

    ledger.add_approval("tiny", "v1", True, "ann", "fine")
    ledger.add_approval("tiny", "v1", False, "bob", "not fine")
    assert ledger.approval("v1") == (True, "ann")
    assert ledger.approval("v2") is None

    assert ledger.add_decision(decision()) == decision()
    assert ledger.add_decision(decision(outcome="quiet")) == decision()
    assert ledger.decisions("tiny") == [decision()]

    assert ledger.add_measurement(measurement()) == measurement()
    assert ledger.add_measurement(measurement(n_rows=1)) == measurement()

    made = PredictionSet("tiny", Window(day(1), day(2)), "release", 1, "chunk", day(3), "key", 40, "digest")
    assert ledger.add_predictions(made) == made
    assert ledger.add_predictions(dataclasses.replace(made, release_id="other")) == made

    alert = Alert("tiny", "stale", day(1), "old")
    assert [ledger.add_alert(alert), ledger.add_alert(alert)] == [True, False]
    assert ledger.alerts("tiny") == [alert]


def test_an_incident_is_one_alert_with_updates(ledger: Ledger) -> None:
    first = Alert("tiny", "stale", day(1), "14 days old", "since day 0")
    later = Alert("tiny", "stale", day(2), "15 days old", "since day 0")
    assert [ledger.add_alert(alert) for alert in (first, later, first, later)] == [True, False, False, False]
    assert ledger.incidents("tiny") == [(first, later)] and ledger.alerts("tiny") == [later]
    failed = Alert("tiny", "monitor failed", day(2), "no rows")
    assert ledger.add_alert(failed) and not ledger.add_alert(
        dataclasses.replace(failed, message="task measure: no rows")
    )
    assert len(ledger.alerts("tiny")) == 2
    pause = timedelta(days=2)
    assert ledger.incident("tiny", "stale", day(4), pause, "since") == "since day 0", "it goes on"
    assert ledger.incident("tiny", "stale", day(4.1), pause, "since") == f"since {day(4.1).isoformat()}", "a new one"
    assert ledger.incident("tiny", "stale", day(0.5), pause) == day(0.5).isoformat(), "the past begins its own"


def test_a_closed_request_stays_closed_by_whom_closed_it_first(ledger: Ledger) -> None:
    ledger.add_request(request())
    closing = Closing("r1", "tiny", "Ann", "ann", "the feed was broken", day(51))
    assert ledger.add_closing(closing) == closing
    assert ledger.add_closing(dataclasses.replace(closing, by="Bob")) == closing
    assert (ledger.open_requests("tiny"), ledger.closings("tiny")) == ([], {"r1": closing})


def test_a_decision_and_its_request_are_recorded_together_or_not_at_all(ledger: Ledger) -> None:
    assert ledger.add_decision(decision(), request()) == decision()
    ledger.add_verdict(verdict("v1"), ["r1"])
    assert ledger.add_decision(decision(outcome="quiet"), request("r2")) == decision()
    assert ledger.requests("tiny") == [(request(), "v1")]


def test_dry_runs_judge_nothing_and_the_newest_as_of_counts(ledger: Ledger) -> None:
    assert ledger.last_verdict_time("tiny") is None
    for identity, number, dry in (("v1", 40, False), ("v2", 30, False), ("v3", 50, True)):
        ledger.add_verdict(verdict(identity, evaluation=evaluation(as_of=day(number)), dry_run=dry), [])
    assert (ledger.last_verdict_time("tiny"), ledger.last_verdict_time("tiny", day(39))) == (day(40), day(30))


def test_finished_work_is_found_by_its_key(ledger: Ledger) -> None:
    ledger.finish("tiny", "train", "key", DONE)
    ledger.finish("tiny", "train", "key", dataclasses.replace(DONE, detail="second"))
    assert ledger.finished(Deployment, "tiny", "train", "key") == DONE
    assert ledger.finished(Deployment, "tiny", "train", "other") is None
    assert ledger.finished(Deployment, "tiny", "gate", "key") is None
    many = {f"k{i}": {"n": i} for i in range(1200)}
    ledger.finish_many("tiny", "validate", many)
    ledger.finish_many("tiny", "validate", {**many, "new": {"n": -1}})
    assert ledger.finished_keys("tiny", "validate", [*many, "absent"]) == many


def test_readings_are_kept_per_as_of_time(ledger: Ledger) -> None:
    ledger.add_readings("source", day(5), {day(1): (CHUNK,), day(2): ()})
    ledger.add_readings("source", day(5), {day(1): (), day(3): (CHUNK,)})
    ledger.add_readings("source", day(4), {day(1): ()})
    window = Window(day(1), day(3))
    found = ledger.readings("source", window)
    seen = {start: [(r.as_of, r.chunks) for r in readings] for start, readings in found.items()}
    assert seen == {day(1): [(day(4), ()), (day(5), (CHUNK,))], day(2): [(day(5), ())]}
    assert [r.made_at > day(365) for r in found[day(1)]] == [True, True], "the wall clock's, whatever the as-of time"
    assert ledger.readings("another", window) == {}


def test_a_verdict_is_found_by_the_start_of_its_id(ledger: Ledger) -> None:
    for identity in ("abc1", "abd2"):
        ledger.add_verdict(verdict(identity, evaluation=evaluation(looks=1)), [])
    found = ledger.verdict("abc")
    assert found is not None
    assert found.id == "abc1"
    assert ledger.verdict("ab") is None
    assert ledger.verdict("a%") is None


def test_measurements_are_newest_first(ledger: Ledger) -> None:
    for number in (48, 50, 49):
        ledger.add_measurement(measurement(number))
    assert [m.as_of for m in ledger.measurements("tiny", day(40), day(50))] == [day(49), day(48)]
    assert [m.as_of for m in ledger.measurements("tiny", day(49), day(51))] == [day(50), day(49)]


def test_a_ledger_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="RETRAINING_LEDGER is not a SQLAlchemy URL"):
        Ledger("ledger.db")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(Unavailable, match="cannot be opened: .*Check RETRAINING_LEDGER"):
        Ledger(f"sqlite:///{folder}")
    with pytest.raises(Unavailable) as caught:
        Ledger("postgresql+psycopg2://me:hunter2@127.0.0.1:1/ledger")
    assert "hunter2" not in str(caught.value)
