"""Seals of the ledger: what was rewritten, removed or slipped in is named, and so is a seal that was tampered with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from retraining.care import seal as sealing
from retraining.care.seal import describe, seal, seal_after_migration
from retraining.care.sealed import check_seals
from retraining.cli.app import app
from retraining.cli.common import person
from retraining.errors import LedgerError
from retraining.ledger import database
from retraining.ledger.seals import sealed_columns
from retraining.ledger.tables import metadata
from retraining.workspace import Workspace
from samples.tiny import day, environ, settings_in
from tests.support import ledgers, postgres


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation whose ledger holds something in every table, sealed once, and again after an addition."""
    folder = tmp_path_factory.mktemp("sealed")
    work = Workspace(settings_in(folder))
    ledgers.fill_before_seals(work.ledger, slice(0, 6))
    first = seal(work)
    assert first is not None and first.whole
    ledgers.fill_before_seals(work.ledger, slice(6, None))
    second = seal(work)
    assert second is not None and not second.whole and second.previous == first.digest
    work.ledger.close()
    return folder


@pytest.fixture
def home(sealed: Path, tmp_path: Path) -> Workspace:
    """A copy of it."""
    shutil.copytree(sealed, tmp_path, dirs_exist_ok=True)
    return Workspace(settings_in(tmp_path))


def tamper(work: Workspace, *statements: str) -> None:
    """Write to the ledger's database as nobody of ours does."""
    engine = create_engine(work.settings.ledger)
    with engine.begin() as connection:
        for statement in statements:
            assert connection.execute(text(statement)).rowcount > 0, statement
    engine.dispose()


def found(work: Workspace) -> list[tuple[str, str, int]]:
    return [(f.what, f.table, f.seal) for f in check_seals(work).findings]


def copies(work: Workspace) -> list[Path]:
    return sorted((work.settings.home / "store" / "seals").iterdir())


def test_a_ledger_that_nobody_touched_is_what_its_seals_say(home: Workspace) -> None:
    checked = check_seals(home)
    assert checked.findings == () and checked.notes == () and checked.n_unsealed == 0
    assert (checked.n_seals, checked.n_rows) == (2, home.ledger.n_rows_above({})) and checked.n_rows > 50
    assert seal(home) is None, "nothing was added since"
    home.ledger.free_readings(["later"], day(60))
    assert check_seals(home).n_unsealed == 1 and check_seals(home).findings == ()


def test_every_table_is_sealed_with_every_column() -> None:
    assert sealed_columns() == {t.name: tuple(t.columns.keys()) for t in metadata.sorted_tables if t.name != "seals"}


REWRITTEN, REMOVED, SLIPPED_IN = "rewritten", "removed", "slipped in"
DONE = {
    "update champions set release_id = 'another' where row = 2": (REWRITTEN, "champions", 1, "tiny 2"),
    "update approvals set \"by\" = 'eve' where row = 1": (REWRITTEN, "approvals", 1, "tiny "),
    "update verdicts set recorded_at = '2020-01-01' where row = 3": (REWRITTEN, "verdicts", 1, "tiny "),
    "update work set body = '{}' where row = 3": (REWRITTEN, "work", 1, "tiny evaluate e1"),
    "delete from overrides where row = 1": (REMOVED, "overrides", 1, "tiny "),
    "delete from quarantined where row = (select max(row) from quarantined)": (REMOVED, "quarantined", 2, "tiny "),
    "insert into approvals select -1, model, 'x', 1, 'eve', reason, recorded_at from approvals limit 1": (
        *(SLIPPED_IN, "approvals", 1, "tiny x"),
    ),
}


@pytest.mark.parametrize(("statement", "expected"), DONE.items())
def test_what_was_done_to_a_row_is_named(home: Workspace, statement: str, expected: tuple[str, str, int, str]) -> None:
    tamper(home, statement)
    (one,) = check_seals(home).findings
    assert (one.what, one.table, one.seal) == expected[:3] and one.key.startswith(expected[3])
    assert "Compare the ledger with a backup, and ask who had access since" in one.advice


# --- seals that are not what they were ----------------------------------------------------------------------------


def rewrite_with_its_seals(work: Workspace) -> None:
    """Remove a row and make the ledger's chain fit that, as somebody with the ledger's password could."""
    tamper(work, "delete from overrides where row = 1", "delete from seals")
    store = (work.settings.home / "elsewhere").as_uri()
    assert seal(Workspace(replace(work.settings, store=store))) is not None


def lose_the_end(work: Workspace) -> None:
    tamper(work, "delete from seals where sequence = 2", "delete from quarantined")


def alter_a_seal(work: Workspace) -> None:
    tamper(work, "update seals set body = replace(body, 'what was added', 'nothing much') where sequence = 2")


def alter_a_copy(work: Workspace) -> None:
    copies(work)[1].write_bytes(b"nonsense")


def lose_a_copy(work: Workspace) -> None:
    copies(work)[1].unlink()


OTHER, GONE = "another one in the store than in the ledger", "in the store, and no longer in the ledger"
CHANGED = {
    rewrite_with_its_seals: {(OTHER, "seals", 1), (GONE, "seals", 2), (REMOVED, "overrides", 1)},
    lose_the_end: {(GONE, "seals", 2), (REMOVED, "quarantined", 2)},
    alter_a_seal: {("altered in the ledger", "seals", 2)},
    alter_a_copy: {("altered in the store", "seals", 2)},
    lose_a_copy: {("without its copy in the store", "seals", 2)},
}


@pytest.mark.parametrize(("change", "expected"), CHANGED.items())
def test_a_seal_that_was_tampered_with_is_named(
    home: Workspace, change: Callable[[Workspace], None], expected: set[tuple[str, str, int]]
) -> None:
    change(home)
    assert expected <= set(found(home))


@pytest.mark.parametrize("change", [lose_the_end, alter_a_seal])
def test_nothing_is_chained_to_an_altered_end_until_a_person_seals_anew(
    home: Workspace, change: Callable[[Workspace], None]
) -> None:
    change(home)
    home.ledger.free_readings(["later"], day(60))
    with pytest.raises(LedgerError, match="Nothing was sealed. `check --ledger` names what is wrong; once"):
        seal(home)
    made = seal(home, "by ann: the backup of Monday was restored")
    assert made is not None and made.whole and made.sequence == 3
    assert made.why.startswith("by ann: the backup of Monday was restored: ")
    checked = check_seals(home)
    assert checked.findings == () and any("was restored" in note for note in checked.notes)
    assert seal(home) is None


def test_a_copy_that_a_killed_process_did_not_write_is_completed(home: Workspace) -> None:
    lose_a_copy(home)
    seal(home)
    assert found(home) == []
    lose_a_copy(home)
    tamper(home, "delete from quarantined where row = 1")
    seal(home)
    assert ("without its copy in the store", "seals", 2) in found(home), "not of rows that are others by now"


def test_of_two_processes_that_seal_at_once_one_does(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    home.ledger.free_readings(["later"], day(60))
    real = sealing._sealed_tables

    def overtaken(*given: Any, **more: Any) -> Any:
        monkeypatch.setattr(sealing, "_sealed_tables", real)
        assert seal(Workspace(home.settings)) is not None
        return real(*given, **more)

    monkeypatch.setattr(sealing, "_sealed_tables", overtaken)
    assert seal(home) is None and found(home) == []


# --- migrations ---------------------------------------------------------------------------------------------------


def test_after_a_migration_everything_is_sealed_anew_and_it_says_so(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seal_after_migration(home) is None
    tamper(home, "update work set body = '{}' where row in (1, 2)", "delete from measurements where row = 1")
    monkeypatch.setattr("retraining.ledger.seals.newest_revision", lambda: "0099")
    assert f"the schema went from {database.newest_revision()} to 0099 since seal 2" in check_seals(home).notes[0]
    made = seal_after_migration(home)
    assert made is not None and made.whole
    said = f"the schema went from {database.newest_revision()} to 0099: 2 rows rewritten, 1 rows removed"
    assert made.why == said and said in describe(made)
    checked = check_seals(home)
    assert checked.findings == () and [note for note in checked.notes if said in note]


# --- the command line ---------------------------------------------------------------------------------------------


def test_the_command_line_seals_and_names_what_is_wrong(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ(home.settings).items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, arguments)
        return done.exit_code, " ".join(done.stdout.split())

    code, shown = call("check", "--ledger")
    assert code == 0 and "2 seals until" in shown and ": none altered; 0 rows are not sealed yet" in shown
    tamper(home, "update champions set release_id = 'x' where row = 2")
    code, shown = call("check", "--ledger")
    assert code == 1 and "rewritten" in shown and "champions" in shown and "1 rewritten" in shown
    code, shown = call("check", "--ledger", "--json")
    assert code == 1 and json.loads(shown)["findings"][0]["table"] == "champions"
    code, shown = call("ledger", "seal", "--anew", "--reason", "mended by hand, ticket 7")
    assert code == 0 and f"as seal 3 (by {person()}: mended by hand, ticket 7: 1 rows rewritten), digest" in shown
    code, shown = call("check", "--ledger")
    assert code == 0 and "note: seal 3 of" in shown


# --- PostgreSQL ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.cluster() as url:
        yield url


@pytest.mark.slow
def test_on_postgresql_rows_that_may_still_be_on_their_way_wait(server: str, tmp_path: Path) -> None:
    url = postgres.create_database(server, "sealed")
    work = Workspace(replace(settings_in(tmp_path), ledger=url))
    ledgers.fill_before_seals(work.ledger)  # as of 2024
    first = seal(work)
    assert first is not None and check_seals(work).findings == ()
    work.ledger.free_readings(["now"], day(60))
    assert seal(work) is None and check_seals(work).n_unsealed == 1
    tamper(work, "update outcomes set model = 'x' where row = 1")
    assert [(f.what, f.table) for f in check_seals(work).findings] == [("rewritten", "outcomes")]
