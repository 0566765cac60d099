"""Each dump of an older ledger comes up to the newest schema, and says the same as one that was filled today."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from retraining.ledger import Ledger, database, tables
from tests.support import ledgers, postgres

_MIGRATIONS = Path(database.__file__).parent / "migrations"


def _dumps(dialect: str) -> list[str]:
    return sorted(path.name.partition(".")[0] for path in ledgers.FOLDER.glob(f"*.{dialect}.sql"))


def _said(url: str) -> dict[str, object]:
    ledger = Ledger(url)
    try:
        return ledgers.everything(ledger)
    finally:
        ledger.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    url = f"sqlite:///{tmp_path_factory.mktemp('filled') / 'ledger.db'}"
    ledger = Ledger(url)
    ledgers.fill(ledger)
    ledger.close()
    return _said(url)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.cluster() as found:
        yield found


@pytest.mark.parametrize("revision", _dumps("sqlite"))
def test_an_older_ledger_is_upgraded_and_keeps_what_is_there(
    tmp_path: Path, filled: dict[str, object], revision: str
) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    ledgers.load(ledgers.FOLDER / f"{revision}.sqlite.sql", url)
    assert ledgers.revision_of(url) == revision
    assert _said(url) == filled


@pytest.mark.slow
@pytest.mark.parametrize("revision", _dumps("postgresql"))
def test_so_is_one_on_postgresql(server: str, filled: dict[str, object], revision: str) -> None:
    url = postgres.create_database(server, f"old{revision}")
    ledgers.load(ledgers.FOLDER / f"{revision}.postgresql.sql", url)
    assert ledgers.revision_of(url) == revision
    assert _said(url) == filled


def test_every_schema_has_its_dump(tmp_path: Path) -> None:
    known = {script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions()}
    missing = known - {"0001"} - (set(_dumps("sqlite")) & set(_dumps("postgresql")))
    assert not missing, "python -m tests.support.ledgers writes the newest schema's dumps"


def test_the_history_leaves_no_table_empty(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url)
    ledgers.fill(ledger)
    ledger.close()
    engine = create_engine(url)
    with engine.connect() as connection:
        empty = [
            table.name
            for table in tables.metadata.sorted_tables
            if connection.exec_driver_sql(f'select count(*) from "{table.name}"').scalar() == 0
        ]
    engine.dispose()
    assert empty == []
