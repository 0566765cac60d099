"""The installation of docker-compose.yaml as its users get it: built, started, logged in to, a retrain driven in it.

Everything runs under a project name, ports, secrets and volumes of its own, and is deleted at the end.
`make test-compose` runs it; a Docker engine with Compose v2 must be there.
"""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.compose

ROOT = Path(__file__).resolve().parents[2]
OURS = ("api-server", "scheduler", "dag-processor", "triggerer", "mlflow")
DATABASES = ("airflow", "mlflow", "ledger")
MODEL = "flight_delay"
DAG = f"retrain__{MODEL}"
AS_OF = "2026-05-04T00:00:00+00:00"
USER_ID = "50000"  # of the image's user
START_TIMEOUT_S = 900  # the first start imports everything once per service, on two cores
RETRAIN_TIMEOUT_S = 1200  # two runs, see `retrained`
LOG_TAIL = 60  # lines of a service's log shown when something failed


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def read_env(file: Path) -> dict[str, str]:
    lines = (line for line in file.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


@dataclass(frozen=True)
class Stack:
    """A running installation: its Compose project, secrets and ports."""

    project: str
    env_file: Path
    airflow_port: int
    mlflow_port: int

    @property
    def env(self) -> dict[str, str]:
        return read_env(self.env_file)

    @property
    def secrets(self) -> dict[str, str]:
        return {name: value for name, value in self.env.items() if re.search("PASSWORD|SECRET|KEY", name)}

    def compose(self, *arguments: str, check: bool = True, show: bool = False) -> str:
        # The shell's variables win over the file's: none of the user's own installation may get in.
        inherited = {name: value for name, value in os.environ.items() if name not in self.env}
        done = subprocess.run(
            ["docker", "compose", "--project-name", self.project, "--env-file", str(self.env_file), *arguments],
            cwd=ROOT,
            env=inherited | {"RETRAINING_IMAGE": "retraining:test"},
            stdout=None if show else subprocess.PIPE,
            stderr=None if show else subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"docker compose {' '.join(arguments)}: exit {done.returncode}\n{done.stdout or ''}")
        return done.stdout or ""

    def run_in(self, service: str, *command: str) -> str:
        """Output of a command in a service's container; its errors go to the terminal."""
        done = subprocess.run(
            ["docker", "exec", self.container(service), *command], stdout=subprocess.PIPE, text=True, check=False
        )
        assert done.returncode == 0, f"{service}: {' '.join(command)}: exit {done.returncode}\n{done.stdout}"
        return done.stdout

    def container(self, service: str) -> str:
        return self.compose("ps", "--all", "--quiet", service).strip()

    def airflow(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(
            method,
            f"http://localhost:{self.airflow_port}/api/v2{path}",
            headers={"Authorization": f"Bearer {self.token()}"},
            timeout=30,
            **options,
        )

    def token(self) -> str:
        answer = requests.post(
            f"http://localhost:{self.airflow_port}/auth/token",
            json={"username": self.env["AIRFLOW_ADMIN_USER"], "password": self.env["AIRFLOW_ADMIN_PASSWORD"]},
            timeout=30,
        )
        assert answer.status_code == 201, f"POST /auth/token: {answer.status_code} {answer.text}"
        return str(answer.json()["access_token"])

    def mlflow(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = requests.get(
            f"http://localhost:{self.mlflow_port}/api/2.0/mlflow/{path}", params=parameters, timeout=30
        )
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        return dict(answer.json())


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    env_file = tmp_path_factory.mktemp("compose") / "env"
    airflow_port, mlflow_port = free_port(), free_port()
    env_file.write_text(f"AIRFLOW_PORT={airflow_port}\nMLFLOW_PORT={mlflow_port}\n")
    subprocess.run([ROOT / "deploy/generate-env", env_file], check=True)
    stack = Stack(f"retraining-test-{os.getpid()}", env_file, airflow_port, mlflow_port)
    try:
        stack.compose("up", "--build", "--detach", "--wait", f"--wait-timeout={START_TIMEOUT_S}", show=True)
        yield stack
    except BaseException:
        print(stack.compose("ps", "--all", check=False), stack.compose("logs", f"--tail={LOG_TAIL}", check=False))
        raise
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", check=False, show=True)


def wait_for(what: str, get: Callable[[], Any], timeout_s: float) -> Any:
    """The first true value of `get`, asked every two seconds."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if value := get():
            return value
        time.sleep(2)
    pytest.fail(f"no {what} within {timeout_s:.0f} s")


@pytest.fixture(scope="module")
def retrained(stack: Stack) -> dict[str, Any]:
    """One finished run of the model's retraining DAG, started as a person would through the REST API.

    The schedule has started a run of its own by then (new DAGs are not paused): ours waits for it, which is why a
    champion of a later as-of time may be there when it decides.
    """
    wait_for(f"DAG {DAG}", lambda: stack.airflow("GET", f"/dags/{DAG}").ok, timeout_s=180)
    body = {"logical_date": None, "conf": {"as_of": AS_OF}}
    answer = stack.airflow("POST", f"/dags/{DAG}/dagRuns", json=body)
    assert answer.ok, answer.text
    run = f"/dags/{DAG}/dagRuns/{answer.json()['dag_run_id']}"

    shown: dict[str, str] = {}

    def finished() -> dict[str, Any] | None:
        for task in stack.airflow("GET", f"{run}/taskInstances").json()["task_instances"]:
            if shown.get(task["task_id"]) != (state := str(task["state"])):
                shown[task["task_id"]] = state
                print(f"  {task['task_id']}: {state}", flush=True)
        found: dict[str, Any] = stack.airflow("GET", run).json()
        return found if found["state"] in ("success", "failed") else None

    done: dict[str, Any] = wait_for(f"end of {DAG}", finished, RETRAIN_TIMEOUT_S)
    for task, state in shown.items():
        if state == "failed":
            print(stack.airflow("GET", f"{run}/taskInstances/{task}/logs/1").text[-6000:])
    return done


def test_every_service_is_healthy(stack: Stack) -> None:
    for service in (*OURS, "postgres"):
        state = subprocess.check_output(
            ["docker", "inspect", "--format", "{{.State.Health.Status}} {{.RestartCount}}", stack.container(service)],
            text=True,
        )
        assert state.split() == ["healthy", "0"], service


def test_nobody_gets_in_without_the_generated_login(stack: Stack) -> None:
    assert stack.airflow("GET", "/dags").status_code == 200
    base = f"http://localhost:{stack.airflow_port}"
    assert requests.get(f"{base}/api/v2/dags", timeout=30).status_code == 401
    for password in ("", "admin", "airflow"):
        answer = requests.post(f"{base}/auth/token", json={"username": "admin", "password": password}, timeout=30)
        assert answer.status_code >= 400, password


def test_the_model_pages_ask_for_a_login(stack: Stack) -> None:
    for page in ("models", f"models/{MODEL}"):
        answer = requests.get(f"http://127.0.0.1:{stack.airflow_port}/retraining/{page}", timeout=30)
        assert answer.status_code in (401, 403), page


def test_mlflow_answers_only_to_its_own_names(stack: Stack) -> None:
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    url = f"http://localhost:{stack.mlflow_port}{path}"
    assert requests.get(url, timeout=30).status_code == 200
    assert requests.get(url, headers={"Host": "elsewhere.example"}, timeout=30).status_code == 403
    inside = f"import urllib.request as r; print(r.urlopen('http://mlflow:5000{path}').status)"
    assert stack.run_in("scheduler", "python", "-c", inside).strip() == "200"


@pytest.mark.parametrize("role", DATABASES)
def test_a_role_reaches_its_own_database_and_no_other(stack: Stack, role: str) -> None:
    for database in (*DATABASES, "postgres"):
        psql = ("psql", "--host=postgres", f"--username={role}", f"--dbname={database}", "--command=SELECT 1")
        password = stack.env[f"{role.upper()}_DB_PASSWORD"]
        done = subprocess.run(
            ["docker", "exec", f"--env=PGPASSWORD={password}", stack.container("postgres"), *psql],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == (database == role), f"{role} at {database}: {done.stdout}{done.stderr}"


ROLES = {"ledger_services": (True, False), "ledger_keeper": (True, True)}
"""Of the ledger's roles: whether they may add an alert, and a seal."""


@pytest.mark.usefixtures("retrained")
@pytest.mark.parametrize("role", ROLES)
def test_a_role_of_the_ledger_inserts_and_reads(stack: Stack, role: str) -> None:
    def may(statement: str) -> bool:
        psql = ("psql", "--host=postgres", f"--username={role}", "--dbname=ledger", f"--command=begin; {statement}")
        password = f"--env=PGPASSWORD={stack.env[f'{role.upper()}_DB_PASSWORD']}"
        command = ["docker", "exec", password, stack.container("postgres"), *psql]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    again = "insert into {0} select * from {0} where false"
    assert may("select count(*) from champions") and may("select version_num from alembic_version")
    assert (may(again.format("alerts")), may(again.format("seals"))) == ROLES[role]
    for statement in ("update champions set model = 'x'", "delete from verdicts", "truncate alerts", "drop table work"):
        assert not may(statement), statement


@pytest.mark.usefixtures("retrained")
def test_housekeeping_seals_the_ledger(stack: Stack) -> None:
    sealed = stack.run_in("scheduler", "python", "-m", "retraining", "ledger", "seal")
    assert "as seal " in sealed or "nothing was added" in sealed
    assert "none altered" in stack.run_in("scheduler", "python", "-m", "retraining", "check", "--ledger")


def test_ports_are_open_to_this_machine_only(stack: Stack) -> None:
    services = [json.loads(line) for line in stack.compose("ps", "--format", "json").splitlines()]
    published = [(s["Service"], p["URL"]) for s in services for p in s["Publishers"] or () if p["PublishedPort"]]
    assert sorted(published) == [("api-server", "127.0.0.1"), ("mlflow", "127.0.0.1")]


def test_no_process_runs_as_root(stack: Stack) -> None:
    for service in (*OURS, "postgres"):
        top = subprocess.check_output(["docker", "top", stack.container(service), "-eo", "pid,uid,args"], text=True)
        users = {line.split()[1] for line in top.splitlines()[1:]}
        assert users == {USER_ID} if service in OURS else "0" not in users, f"{service}\n{top}"


def test_models_are_the_folder_of_the_checkout_and_read_only(stack: Stack) -> None:
    listed = stack.run_in("scheduler", "ls", "-A", "/opt/retraining/models").split()
    assert sorted(listed) == sorted(path.name for path in (ROOT / "include/models").iterdir())
    probe = subprocess.run(
        ["docker", "exec", stack.container("scheduler"), "touch", "/opt/retraining/models/x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Read-only file system" in probe.stderr


@pytest.mark.usefixtures("retrained")
def test_every_dag_file_was_read_without_an_error(stack: Stack) -> None:
    assert stack.airflow("GET", "/importErrors").json()["import_errors"] == []


def test_a_retrain_makes_a_champion(stack: Stack, retrained: dict[str, Any]) -> None:
    assert retrained["state"] == "success"
    status = json.loads(stack.run_in("scheduler", "python", "-m", "retraining", "status", MODEL, "--json"))
    assert [entry["model"] for entry in status] == [MODEL]
    champion = status[0]["champion"]
    assert champion, status
    events = json.loads(stack.run_in("scheduler", "python", "-m", "retraining", "history", MODEL, "--json"))
    then = datetime.fromisoformat(AS_OF)
    judged = [e["text"] for e in events if e["event"] == "verdict" and datetime.fromisoformat(e["as_of"]) == then]
    assert judged, events
    version = stack.mlflow("registered-models/alias", name=MODEL, alias="champion")["model_version"]
    assert (version["name"], int(version["version"])) == (MODEL, champion["version"])


@pytest.mark.usefixtures("retrained")
def test_no_log_shows_a_secret(stack: Stack) -> None:
    logs = stack.compose("logs", "--no-color", "init", "postgres", *OURS)
    logs += stack.run_in("scheduler", "sh", "-c", "find /opt/airflow/logs -type f -exec cat {} +")
    assert len(logs) > 0
    assert [name for name, value in stack.secrets.items() if value in logs] == []


def test_a_second_start_changes_nothing(stack: Stack) -> None:
    before = stack.env_file.read_text()
    subprocess.run([ROOT / "deploy/generate-env", stack.env_file], check=True)
    assert stack.env_file.read_text() == before
    assert stat.S_IMODE(stack.env_file.stat().st_mode) == 0o600
    stack.compose("up", "--detach", "--wait", f"--wait-timeout={START_TIMEOUT_S}")
    assert stack.token()


def test_secrets_differ_between_installations(stack: Stack, tmp_path: Path) -> None:
    subprocess.run([ROOT / "deploy/generate-env", tmp_path / "env"], check=True)
    other = read_env(tmp_path / "env")
    assert other.keys() == stack.env.keys()
    assert [name for name, value in stack.secrets.items() if other[name] == value] == []
    assert len(set(stack.secrets.values())) == len(stack.secrets)
