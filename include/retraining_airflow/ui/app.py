"""The model pages: a FastAPI application that the plugin mounts. Everything on a page is read from the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from retraining.audit.history import events_of
from retraining.audit.status import Known, Status, status
from retraining.errors import RetrainingError, Unavailable
from retraining.pages.verdicts import card, page
from retraining.records import CheckResult, digest_of, from_dict, short, shown_day
from retraining.settings import settings
from retraining.spec import find_models, load
from retraining.workspace import Workspace
from retraining_airflow.names import RETRAIN, dag_id

Auth = Annotated[BaseAuthManager[Any], Depends(get_auth_manager)]
"""Airflow's own dependency for this looks at the application's state, which a mounted application does not share."""

_NEWEST_VALIDATIONS = 20
_VALIDATION: Final = "validation"
_NO_SCRIPTS = "default-src 'none'; style-src 'unsafe-inline'"
"""A validation's page has values of the data on it; they are escaped, and nothing on the page could run anyway."""
_NEWEST_VERDICTS = 30
"""Half a year of weekly retrainings; `history` names all."""
_NEWEST_EVENTS = 200
"""Half a year of daily decisions; the command line shows all."""


def make_app() -> FastAPI:
    """Return the application. Airflow does not guard a plugin's pages; each of them asks for the user itself."""
    app = FastAPI(title="Models", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(Unavailable, _away)

    @app.get("/models", response_class=HTMLResponse)
    def models(user: GetUserDep, auth: Auth) -> str:
        """List the models whose retraining the user may see."""
        work = Workspace(settings())
        seen = {m: path for m, path in find_models(work.settings.models).items() if _may_see(auth, user, m)}
        known = Known.of_all(work.ledger, datetime.now(UTC))
        return _render("models.html", rows=[_row(work, name, path, known) for name, path in seen.items()])

    @app.get("/models/{model}", response_class=HTMLResponse)
    def model(model: str, user: GetUserDep, auth: Auth) -> str:
        """Show one model's state and history."""
        if not _may_see(auth, user, model):
            raise HTTPException(403, f"You may not see {dag_id(RETRAIN, model)}.")
        work = Workspace(settings())
        path = find_models(work.settings.models).get(model)
        if path is None:
            raise HTTPException(404, f"There is no model {model}.")
        row = _row(work, model, path, Known.of(work.ledger, model, datetime.now(UTC)))
        waits = row[1].waiting if row[1] else ()
        return _render(
            "model.html",
            row=row,
            events=events_of(work.ledger, model, waits, newest=_NEWEST_EVENTS)[::-1],
            verdicts=work.ledger.newest_verdicts_of(model, _NEWEST_VERDICTS),
            champions=work.ledger.champions(model)[::-1],
            validations=_validations(work, model),
        )

    @app.get("/models/{model}/validations/{snapshot}/{name}", response_class=HTMLResponse)
    def validation(model: str, snapshot: str, name: str, user: GetUserDep, auth: Auth) -> HTMLResponse:
        """Show the page of one validation that the ledger knows."""
        if not _may_see(auth, user, model):
            raise HTTPException(403, f"You may not see {dag_id(RETRAIN, model)}.")
        work = Workspace(settings())
        key = f"reports/validation/{snapshot}-{name}"
        known = digest_of(key.removesuffix(".html"))
        if not work.ledger.finished_keys(model, _VALIDATION, [known]):
            raise HTTPException(404, f"{model} has no such validation.")
        try:
            content = work.store.read(key).decode()
        except Unavailable:
            raise
        except RetrainingError as error:
            raise HTTPException(404, str(error)) from error
        return HTMLResponse(content, headers={"Content-Security-Policy": _NO_SCRIPTS})

    @app.get("/models/{model}/verdicts/{identity}", response_class=HTMLResponse)
    def verdict(model: str, identity: str, user: GetUserDep, auth: Auth) -> HTMLResponse:
        """Show a verdict with what became of it up to now."""
        if not _may_see(auth, user, model):
            raise HTTPException(403, f"You may not see {dag_id(RETRAIN, model)}.")
        work = Workspace(settings())
        found = work.ledger.verdict(identity)
        if found is None or found.model != model:
            raise HTTPException(404, f"{model} has no such verdict.")
        return _shown(lambda: page.live(work, found))

    @app.get("/models/{model}/versions/{version}", response_class=HTMLResponse)
    def model_card(model: str, version: int, user: GetUserDep, auth: Auth) -> HTMLResponse:
        """Show the model card of a version."""
        if not _may_see(auth, user, model):
            raise HTTPException(403, f"You may not see {dag_id(RETRAIN, model)}.")
        work = Workspace(settings())
        return _shown(lambda: card.as_html(card.card_of(work, model, version)))

    return app


def _away(_request: Request, error: Exception) -> JSONResponse:
    """Answer for a ledger or store that is away: it may be back in a moment, and the sentence says what to look at."""
    return JSONResponse({"detail": str(error)}, 503)


def _shown(render: Callable[[], str]) -> HTMLResponse:
    """Return a page that runs nothing and loads nothing; what cannot be shown says why."""
    try:
        return HTMLResponse(render(), headers={"Content-Security-Policy": page.CONTENT_SECURITY})
    except Unavailable:
        raise
    except RetrainingError as error:
        raise HTTPException(404, str(error)) from error


def _validations(work: Workspace, model: str) -> list[dict[str, Any]]:
    """Return a model's newest validations, newest first, with the two parts of their page's address."""
    known = work.ledger.newest_results(model, _VALIDATION, _NEWEST_VALIDATIONS)
    parts = [v["report_key"].removeprefix("reports/validation/").partition("-") for v in known]
    return [
        {**v, "snapshot": p[0], "name": p[2], "blocked": any(_blocks(q) for q in v["problems"])}
        for v, p in zip(known, parts, strict=True)
    ]


def _blocks(problem: dict[str, Any]) -> bool:
    return from_dict(CheckResult, problem).blocks


def _may_see(auth: BaseAuthManager[Any], user: BaseUser, model: str) -> bool:
    return auth.is_authorized_dag(method="GET", details=DagDetails(id=dag_id(RETRAIN, model)), user=user)


def _row(work: Workspace, model: str, path: Path, known: Known) -> tuple[str, Status | None, str]:
    """Return a model's name, its state, and, when its YAML does not load, the error instead."""
    try:
        return model, status(work, load(path), datetime.now(UTC), known), ""
    except Unavailable:
        raise
    except RetrainingError as error:
        return model, None, str(error)


def _render(template: str, **values: object) -> str:
    return _templates().get_template(template).render(**values)


@cache
def _templates() -> Environment:
    loader = PackageLoader("retraining_airflow.ui")
    found = Environment(loader=loader, autoescape=select_autoescape(), undefined=StrictUndefined)
    found.filters["short"], found.filters["day"] = short, shown_day
    found.globals["dag_id"] = dag_id
    return found
