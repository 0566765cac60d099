"""Reads the champion's alias without MLflow's client, which takes seconds to import.

A server is asked through its REST API, a local database through its table of aliases. Whatever is out of the ordinary
(a certificate, a login plugin, another answer, another table) is left to the client, which knows it or names it.
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from sqlalchemy import Select, column, create_engine, make_url, select, table
from sqlalchemy.exc import SQLAlchemyError

from retraining.settings import Settings

ALIAS = "champion"
_TIMEOUT_S = 20
NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow says of a model, or an alias, that does not exist."""
_BEYOND_US = (
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_TRACKING_AWS_SIGV4",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_WORKSPACE",
)
"""Ways to reach a server that only the client knows."""


class _AskTheClient(Exception):
    """Raise when the short way does not lead there."""


def read_alias(settings: Settings, model: str) -> int | None:
    """Return the version the champion's alias names, None when there is no alias or no such model.

    Raises
    ------
    Unavailable
        When MLflow does not answer.
    RegistryError
        When it refuses.
    """
    try:
        if any(os.environ.get(name) for name in _BEYOND_US):
            raise _AskTheClient
        served = settings.mlflow.startswith(("http:", "https:"))
        return _ask_server(settings.mlflow, model) if served else _ask_database(settings.mlflow, model)
    except _AskTheClient:
        from retraining.artifacts.registry import Registry

        return Registry(settings).alias(model)


def _ask_server(uri: str, model: str) -> int | None:
    query = urlencode({"name": model, "alias": ALIAS})
    url = f"{uri.rstrip('/')}/api/2.0/mlflow/registered-models/alias?{query}"
    request = Request(url, headers=_login())  # noqa: S310 - http or https, see above
    try:
        with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
            return int(json.load(answer)["model_version"]["version"])
    except HTTPError as error:
        if _code(error) in NOT_THERE:
            return None
        raise _AskTheClient from error
    except (URLError, OSError, ValueError, KeyError, TypeError) as error:
        raise _AskTheClient from error


def _login() -> dict[str, str]:
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _code(error: HTTPError) -> Any:
    try:
        return json.load(error).get("error_code")
    except (ValueError, AttributeError):
        return None


def _ask_database(uri: str, model: str) -> int | None:
    names = column("name") == model, column("alias") == ALIAS
    query: Select[Any] = select(column("version")).select_from(table("registered_model_aliases")).where(*names)
    try:
        if make_url(uri).drivername == "sqlite" and not os.path.exists(make_url(uri).database or ""):  # noqa: PTH110
            raise _AskTheClient  # asking would make an empty one
        engine = create_engine(uri)
        try:
            with engine.connect() as connection:
                found = connection.execute(query).scalars().all()
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        raise _AskTheClient from error
    if len(found) > 1:  # of several workspaces
        raise _AskTheClient
    return int(found[0]) if found else None
