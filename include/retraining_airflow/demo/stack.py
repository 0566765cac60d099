"""A real Airflow (SQLite, LocalExecutor) and a real MLflow server, embedded, on the loopback address only."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random_exponential

from retraining.settings import Settings
from retraining_airflow.demo.processes import Servers, free_port

ROOT = Path(__file__).resolve().parents[3]
_AIRFLOW_PORT, _MLFLOW_PORT = 8080, 5000
_BUSY_S = 60.0
"""SQLite lets one process write at a time. A request that meets another writer for 5 s is answered 500 before it has
changed anything, so it is sent again until this long after the first try."""
_REQUEST_TIMEOUT_S = 60.0
"""Far above what Airflow waits for its database: the server, who knows what was done, must be the first to give up."""
_START_TIMEOUT_S = 180.0
"""Importing everything on a busy two-core machine takes up to a minute."""


@dataclass(frozen=True)
class Ports:
    """Where the two user interfaces listen."""

    airflow: int
    mlflow: int
    execution: int
    """Where tasks report to Airflow."""

    @property
    def moved(self) -> list[str]:
        """Say which usual port was taken."""
        pairs = ((_AIRFLOW_PORT, self.airflow), (_MLFLOW_PORT, self.mlflow))
        return [f"port {usual} is taken, using {now}" for usual, now in pairs if usual != now]


class Stack:
    """The servers of one demo, test or benchmark, with a client of Airflow's API."""

    def __init__(
        self, home: Path, models: Path, *, warm: bool = True, threads: int = 1, users: Mapping[str, str] | None = None
    ) -> None:
        """Prepare servers.

        Parameters
        ----------
        users
            Names and roles (of Airflow's simple auth manager) that can log in; the first one is the client's. None:
            there is no login, and everybody is an administrator.
        """
        self.home, self.models = home, models
        self._passwords = {name: secrets.token_hex(16) for name in users or {}}
        self.ports = Ports(free_port(_AIRFLOW_PORT), free_port(_MLFLOW_PORT), free_port())
        self.airflow_url = f"http://127.0.0.1:{self.ports.airflow}"
        self.mlflow_url = f"http://127.0.0.1:{self.ports.mlflow}"
        self.environment = {**os.environ, **self._variables(warm, threads), **self._logins(users)}
        self._servers = Servers(home / "logs", self.environment)
        self._clients: dict[str, httpx.Client] = {}

    @property
    def settings(self) -> Settings:
        """The settings with which the servers and tasks run."""
        from retraining.settings import settings

        return settings(self.environment)

    def start(self) -> None:
        """Start everything and wait until it answers."""
        python = sys.executable
        mlflow = self._servers.start(
            "mlflow",
            [
                *(python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.ports.mlflow)),
                *("--backend-store-uri", f"sqlite:///{self.home / 'mlflow.db'}", "--workers", "1"),
                *("--artifacts-destination", str(self.home / "mlartifacts")),
            ],
        )
        self._servers.run("airflow-migrate", [python, "-m", "airflow", "db", "migrate"], _START_TIMEOUT_S)
        airflow = [python, "-m", "airflow"]
        # Two processes, because one of them can lock itself out of SQLite: what records a person's request waits for
        # the database on the very event loop that a task's request, holding the database, needs to end.
        api = self._servers.start("airflow-api", [*airflow, *_api("core", self.ports.airflow)])
        self._servers.start("airflow-execution", [*airflow, *_api("execution", self.ports.execution)])
        self._servers.start("airflow-scheduler", [*airflow, "scheduler"])
        self._servers.start("airflow-dag-processor", [*airflow, "dag-processor"])
        self._servers.wait_until(mlflow, lambda: _answers(f"{self.mlflow_url}/health"), _START_TIMEOUT_S)
        self._servers.wait_until(api, self._healthy, _START_TIMEOUT_S)

    def wait_for_dags(self, names: set[str]) -> None:
        """Wait until the DAG processor has registered the DAGs."""
        first = next(iter(self._servers._running))
        self._servers.wait_until(first, lambda: names <= set(self.dag_ids()), _START_TIMEOUT_S)

    def stop(self) -> None:
        """End everything that was started."""
        for client in self._clients.values():
            client.close()
        self._servers.stop()

    def check(self) -> None:
        """Raise when a server has died."""
        self._servers.check()

    # --- Airflow's API ----------------------------------------------------------------------------------------

    def dag_ids(self) -> list[str]:
        """Return the registered DAGs."""
        return [d["dag_id"] for d in self._get("/api/v2/dags", limit=100)["dags"]]

    def import_errors(self) -> list[str]:
        """Return the import errors that the UI shows."""
        return [e["stack_trace"] for e in self._get("/api/v2/importErrors")["import_errors"]]

    def trigger(self, dag_id: str, conf: Mapping[str, Any], user: str | None = None) -> str:
        """Start a run as the trigger form does; return its id."""
        content = {"logical_date": None, "conf": dict(conf)}
        run = self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", user, json=content)
        return str(run["dag_run_id"])

    def question(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Return what a task asks people, and the answer when there is one."""
        return self._get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails")

    def answer(self, dag_id: str, run_id: str, task_id: str, answer: Mapping[str, Any], user: str) -> None:
        """Answer what a task asks, as the form under Required Actions does.

        Raises
        ------
        httpx.HTTPStatusError
            When Airflow does not let this user answer.
        """
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
        self._call("PATCH", path, user, json=dict(answer))

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return a DAG's runs, oldest first."""
        found = self._get(f"/api/v2/dags/{dag_id}/dagRuns", limit=100, order_by="run_after")
        return list(found["dag_runs"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run."""
        return str(self._get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        found = self._get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=100)
        return list(found["task_instances"])

    def emit(self, asset: str) -> None:
        """Create an event on an asset, as its producer's success does."""
        found = self._get("/api/v2/assets", name_pattern=asset)["assets"]
        self._call("POST", "/api/v2/assets/events", json={"asset_id": found[0]["id"], "extra": {}})

    def events(self, asset: str) -> list[dict[str, Any]]:
        """Return what an asset's events say of themselves, oldest first."""
        found = self._get("/api/v2/assets", name_pattern=asset)["assets"]
        events = self._get("/api/v2/assets/events", asset_id=found[0]["id"], limit=100)["asset_events"]
        return [dict(event["extra"]) for event in sorted(events, key=lambda event: event["id"])]

    def _get(self, path: str, **params: Any) -> dict[str, Any]:
        return self._call("GET", path, params=params)

    def _call(self, method: str, path: str, user: str | None = None, **content: Any) -> dict[str, Any]:
        answer = _sent(self._http(user or next(iter(self._passwords), "")), method, path, content)
        answer.raise_for_status()
        return dict(answer.json())

    def _http(self, user: str) -> httpx.Client:
        if user not in self._clients:
            headers = {"Authorization": f"Bearer {self._token(user)}"}
            self._clients[user] = httpx.Client(base_url=self.airflow_url, headers=headers, timeout=_REQUEST_TIMEOUT_S)
        return self._clients[user]

    def _token(self, user: str) -> str:
        url = f"{self.airflow_url}/auth/token"
        if not user:
            return str(httpx.get(url, timeout=_REQUEST_TIMEOUT_S).json()["access_token"])
        given = httpx.post(url, json={"username": user, "password": self._passwords[user]}, timeout=_REQUEST_TIMEOUT_S)
        given.raise_for_status()
        return str(given.json()["access_token"])

    def _logins(self, users: Mapping[str, str] | None) -> dict[str, str]:
        """Return the variables that name who can log in, and write the passwords where Airflow reads them."""
        if users is None:
            return {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True"}  # no login: the loopback address only
        file = self.home / "passwords.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(json.dumps(self._passwords))
        return {
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in users.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(file),
        }

    def _healthy(self) -> bool:
        try:
            health = httpx.get(f"{self.airflow_url}/api/v2/monitor/health", timeout=5).json()
        except httpx.HTTPError:
            return False
        return all(health.get(part, {}).get("status") == "healthy" for part in ("metadatabase", "scheduler"))

    def _variables(self, warm: bool, threads: int) -> dict[str, str]:
        home = self.home / "airflow"
        path = os.pathsep.join([str(ROOT / "config"), *filter(None, [os.environ.get("PYTHONPATH")])])
        return {
            "RETRAINING_HOME": str(self.home),
            "RETRAINING_MODELS": str(self.models),
            "RETRAINING_STORE": (self.home / "store").as_uri(),
            "RETRAINING_LEDGER": f"sqlite:///{self.home / 'ledger.db'}",
            "RETRAINING_WARM": "1" if warm else "0",
            "RETRAINING_THREADS": str(threads),
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{self.ports.mlflow}",
            "PYTHONPATH": path,
            "PYTHONWARNINGS": "ignore",
            "GX_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its job runners are for evaluating language models
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.ports.execution}/execution/",
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{self.ports.airflow}",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # a skipped task holds its slot until its next heartbeat
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        }


def _api(apps: str, port: int) -> list[str]:
    return ["api-server", "--apps", apps, "--host", "127.0.0.1", "--port", str(port)]


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code >= 500


@retry(
    retry=retry_if_exception(_is_busy),
    stop=stop_after_delay(_BUSY_S),
    wait=wait_random_exponential(max=5),
    reraise=True,
)
def _sent(client: httpx.Client, method: str, path: str, content: Mapping[str, Any]) -> httpx.Response:
    answer = client.request(method, path, **content)
    if answer.is_server_error:
        answer.raise_for_status()
    return answer


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
