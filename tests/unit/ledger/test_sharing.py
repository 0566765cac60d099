"""One engine per process, which forks do not share; and readers and writers that let each other work."""

from __future__ import annotations

import os
import sqlite3
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, text

from retraining.errors import RequestError, Unavailable
from retraining.ledger import Ledger, database, tables
from samples.records import champion, request
from samples.tiny import NAME
from tests.support import postgres


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    found = f"sqlite:///{tmp_path / 'ledger.db'}"
    yield found
    database.close_engine(found)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.cluster() as found:
        yield found


def _connections_of(url: str) -> list[object]:
    made: list[object] = []
    event.listen(database.open_engine(url), "connect", lambda connection, _: made.append(connection))
    return made


def test_a_page_that_opens_the_ledger_again_connects_once(url: str) -> None:
    Ledger(url).close()
    made = _connections_of(url)
    for _ in range(5):
        assert Ledger(url).champion(NAME) is None
    assert len(made) <= 1, "the connection of the check of the schema is used again"


def test_threads_that_open_it_at_once_share_one_engine(url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        engines = set(pool.map(lambda _: id(database.open_engine(url)), range(16)))
    assert len(engines) == 1


def test_who_still_holds_a_closed_ledger_goes_on(url: str) -> None:
    mine, other = Ledger(url), Ledger(url)
    other.close()
    assert mine.move_champion(champion()) and Ledger(url).champion(NAME) == champion()
    mine.close()


def _in_children(count: int, work: object) -> list[int]:
    """Run a function in forked children at the same time; return their exit codes."""
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            try:
                work(number)  # type: ignore[operator]  # a function, which object hides from the linter
            except BaseException:  # noqa: BLE001 - whatever it was, a forked child must not return into pytest
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _forks_share_no_connection(url: str) -> None:
    ledger = Ledger(url)
    assert ledger.champion(NAME) is None, "the parent's pool holds a connection when it forks"

    def work(number: int) -> None:
        for turn in range(10):
            Ledger(url).add_request(request(f"r{number}-{turn}"))
            assert ledger.open_requests(NAME)

    assert _in_children(4, work) == [0, 0, 0, 0]
    assert len(ledger.open_requests(NAME)) == 40, "and the parent's own still works"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # 3.12 warns of forks beside threads
def test_forks_share_no_connection(url: str) -> None:
    _forks_share_no_connection(url)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # 3.12 warns of forks beside threads
def test_a_fork_while_another_thread_opens_a_ledger_is_not_stuck(url: str) -> None:
    Ledger(url)
    with database._opening:
        assert _in_children(1, lambda _: Ledger(url).champion(NAME)) == [0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # 3.12 warns of forks beside threads
def test_forks_share_no_connection_on_postgresql(server: str) -> None:
    _forks_share_no_connection(postgres.create_database(server, "forks"))


@contextmanager
def _writer(url: str) -> Iterator[None]:
    """Hold a writer's transaction, with a row in it."""
    ledger = Ledger(url)
    with ledger._writing() as connection:
        ledger._insert(connection, tables.aliases, {"model": "m", "sequence": 1, "version": 1})
        yield


def test_a_reader_works_while_a_writer_writes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_S", 0)
    Ledger(url).move_champion(champion())
    with _writer(url):
        assert Ledger(url).champion(NAME) == champion()
        assert not Ledger(url).alias_was_set("m", 1), "it sees what was committed"
        with pytest.raises(Unavailable, match="locked"):
            Ledger(url).add_request(request())
    assert Ledger(url).alias_was_set("m", 1)


def test_a_writer_works_while_a_reader_reads(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_S", 0)
    ledger = Ledger(url)
    with ledger._reading() as connection:
        count = text("select count(*) from requests")
        assert connection.execute(count).scalar() == 0
        ledger.add_request(request())
        assert connection.execute(count).scalar() == 0, "one transaction sees one state"
    assert ledger.open_requests(NAME) == [request()]


def test_a_writer_waits_for_its_turn(url: str) -> None:
    ledger, done = Ledger(url), threading.Event()

    def write() -> None:
        Ledger(url).add_request(request())
        done.set()

    with _writer(url):
        thread = threading.Thread(target=write)
        thread.start()
        assert not done.wait(0.2)
    thread.join(10)
    assert done.is_set() and ledger.open_requests(NAME) == [request()]


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(RequestError, match="names a mysql database. The ledger runs on sqlite or postgresql"):
        Ledger("mysql://somebody@example.com/ledger")


def test_a_ledger_that_is_restored_from_a_backup_is_seen_at_once(tmp_path: Path) -> None:
    live, backup = tmp_path / "ledger.db", tmp_path / "backup.db"
    ledger = Ledger(f"sqlite:///{live}")
    with sqlite3.connect(live) as source, sqlite3.connect(backup) as target:
        source.backup(target)
    ledger.add_alias("tiny", 1, 1)
    assert ledger.alias_was_set("tiny", 1)
    for suffix in ("", "-wal", "-shm"):
        live.with_name(live.name + suffix).unlink(missing_ok=True)
    backup.rename(live)
    assert not ledger.alias_was_set("tiny", 1), "the connection still has the file that was deleted"
