"""Roles in the ledger, as `docker-compose.yaml` has them: made by its script, on a real PostgreSQL."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from retraining.care.seal import seal
from retraining.care.sealed import check_seals
from retraining.errors import LedgerError, RequestError, Unavailable
from retraining.ledger import Ledger
from retraining.ledger.roles import grant
from retraining.ledger.tables import metadata
from retraining.settings import settings
from retraining.workspace import Workspace
from samples.tiny import settings_in
from tests.support import ledgers, postgres

ROOT = Path(__file__).parents[3]
SERVICES, KEEPER = "ledger_services", "ledger_keeper"
ROLES = ("airflow", "mlflow", "ledger", SERVICES, KEEPER)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server on which the script of the postgres service ran twice."""
    with postgres.cluster() as url:
        parsed = make_url(url)
        given = {"PGHOST": str(parsed.host), "PGPORT": str(parsed.port), "POSTGRES_USER": str(parsed.username)}
        environment = {**os.environ, **given, "PATH": f"{postgres.programs()}:{os.environ['PATH']}"}
        environment |= {f"{role.upper()}_DB_PASSWORD": role for role in ROLES}
        for _ in range(2):
            subprocess.run(["bash", ROOT / "deploy" / "postgres-init.sh"], env=environment, check=True)
        yield url


def url_of(server: str, role: str) -> str:
    return make_url(server).set(username=role, database="ledger").render_as_string()


@pytest.fixture(scope="module")
def ledger(server: str) -> str:
    """The owner's URL of a ledger in which everybody got what they need, twice."""
    owner = url_of(server, "ledger")
    with pytest.raises(Unavailable, match="this role may not change them: .* Run `python -m retraining led"):
        Ledger(url_of(server, SERVICES))
    opened = Ledger(owner)
    for _ in range(2):
        grant(owner, SERVICES, KEEPER)
    opened.close()
    return owner


def may(engine: Engine, statement: str) -> bool:
    with engine.connect() as connection:
        try:
            connection.execute(text(statement))
        except ProgrammingError as error:
            assert "permission denied" in str(error) or "must be owner" in str(error), statement
            return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize(("role", "seals"), [(SERVICES, False), (KEEPER, True)])
def test_a_role_inserts_and_reads_and_nothing_else(server: str, ledger: str, role: str, seals: bool) -> None:
    engine = create_engine(url_of(server, role))
    for name in metadata.tables:
        assert may(engine, f'select count(*) from "{name}"')
        assert may(engine, f'insert into "{name}" select * from "{name}" where false') == (name != "seals" or seals)
        for statement in ('update "{}" set row = row', 'delete from "{}"', 'truncate "{}"', 'drop table "{}"'):
            assert not may(engine, statement.format(name)), (name, statement)
    for statement in ("update alembic_version set version_num = 'x'", "create table mine (x integer)"):
        assert not may(engine, statement), statement
    engine.dispose()


@pytest.mark.slow
def test_the_services_write_a_whole_history_and_housekeeping_seals_it(server: str, ledger: str, tmp_path: Path) -> None:
    here = replace(settings_in(tmp_path), ledger=url_of(server, SERVICES), keeper=url_of(server, KEEPER))
    services, keeper = Workspace(here), Workspace(here.for_housekeeping())
    ledgers.fill_before_seals(services.ledger)
    with pytest.raises(LedgerError, match="permission denied for table seals. .* RETRAINING_LEDGER_KEEPER, is hous"):
        seal(services)
    assert seal(keeper) is not None
    assert check_seals(services).findings == () and check_seals(services).n_rows > 50


@pytest.mark.slow
def test_what_is_no_pair_of_roles_is_refused(server: str, ledger: str, tmp_path: Path) -> None:
    for services, keeper, said in (
        ("ledger", KEEPER, r"must be three: an owner may rewrite what it owns. Nothing was granted"),
        (SERVICES, SERVICES, "must be three"),
        (SERVICES, "nobody", "there is no role nobody. Nothing was granted: "),
        (SERVICES, str(make_url(server).username), "is a superuser, whom no grant limits"),
    ):
        with pytest.raises(RequestError, match=said):
            grant(ledger, services, keeper)
    with pytest.raises(RequestError, match="the ledger is a sqlite database, which has no roles"):
        grant(f"sqlite:///{tmp_path / 'ledger.db'}", SERVICES, KEEPER)


def test_only_init_has_the_ledgers_owner_and_only_the_scheduler_its_keeper() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    users = {
        name: {
            key: make_url(value.partition("$")[0] + "x@h/d").username for key, value in found.items() if "LEDGER" in key
        }
        for name, one in services.items()
        if (found := {k: v for k, v in (one.get("environment") or {}).items() if k.startswith("RETRAINING_LEDGER")})
    }
    assert users.pop("init") == {"RETRAINING_LEDGER": "ledger"}
    assert users.pop("scheduler") == {"RETRAINING_LEDGER": SERVICES, "RETRAINING_LEDGER_KEEPER": KEEPER}
    assert {frozenset(found.items()) for found in users.values()} == {frozenset({("RETRAINING_LEDGER", SERVICES)})}


def test_without_a_role_of_its_own_housekeeping_has_the_services_role() -> None:
    one = settings({"RETRAINING_LEDGER": "postgresql://a@h/l"})
    assert one.for_housekeeping().ledger == one.ledger
    two = settings({"RETRAINING_LEDGER": "postgresql://a@h/l", "RETRAINING_LEDGER_KEEPER": "postgresql://k@h/l"})
    assert (two.ledger, two.for_housekeeping().ledger) == ("postgresql://a@h/l", "postgresql://k@h/l")
    assert two.for_housekeeping().ledger_variable == "RETRAINING_LEDGER_KEEPER"
