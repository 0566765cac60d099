"""Who may answer, by login name: in Airflow's own comparison and in ours."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml
from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
from airflow.providers.fab.auth_manager.models import User

from retraining_airflow import boundary
from retraining_airflow.logins import LoginNames

ANN = User(id=7, username="ann", first_name="Ann", last_name="Owner", email="ann@example.com")


def test_a_question_is_assigned_to_login_names() -> None:
    names = LoginNames()
    assert names.is_authorized_hitl_task(assigned_users={"ann", "bob"}, user=ANN)
    assert not names.is_authorized_hitl_task(assigned_users={"bob", "7", "Ann"}, user=ANN)
    assert not FabAuthManager().is_authorized_hitl_task(assigned_users={"ann"}, user=ANN), "no longer needed"


@pytest.mark.parametrize(("manager", "login"), [(boundary.LOGIN_NAMES, "ann"), ("another.Manager", "7")])
def test_the_ledger_is_told_what_airflow_compared(manager: str, login: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", manager)
    assert boundary.login_of({"id": "7", "name": "ann"}) == login


def test_compose_names_it() -> None:
    text = (Path(__file__).parents[3] / "docker-compose.yaml").read_text()
    assert yaml.safe_load(text)["x-airflow"]["environment"]["AIRFLOW__CORE__AUTH_MANAGER"] == boundary.LOGIN_NAMES
    module, _, name = boundary.LOGIN_NAMES.rpartition(".")
    assert getattr(importlib.import_module(module), name) is LoginNames
