"""Requests that end without a retraining: closed by a person with a reason, or by a mode that serves none."""

from __future__ import annotations

from datetime import datetime

from retraining.errors import RequestError, given_reason
from retraining.records import Closing, Request, short
from retraining.workspace import Workspace


def close_request(
    workspace: Workspace, model: str, identity: str, *, by: str, account: str, reason: str, closed_at: datetime
) -> Closing:
    """Close an open request, so that nothing wakes a retraining for it; doing so twice has no second effect.

    Parameters
    ----------
    identity
        The request's id, or the start of it.
    by
        The person who answers for it.
    account
        The login under which the name was given.

    Raises
    ------
    RequestError
        When the name is missing, the reason is too short, or there is no such request that is open.
    """
    by, reason = by.strip(), given_reason(reason, "closing a request")
    if not by:
        raise RequestError("closing a request needs the name of who answers for it (--by). Nothing was changed.")
    request = _one(workspace, model, identity)
    known = workspace.ledger.closings(model).get(request.id)
    return known or _close(workspace, request, by, account, reason, closed_at)


def end_requests(
    workspace: Workspace,
    model: str,
    as_of: datetime,
    reason: str,
    *,
    by: str = "its YAML",
    until: datetime | None = None,
) -> None:
    """Close a model's open requests as of a run's time: all, or those as of times `until` one."""
    for request in workspace.ledger.open_requests(model):
        if until is None or request.as_of <= until:
            _close(workspace, request, by, "", reason, as_of)


def _close(workspace: Workspace, request: Request, by: str, account: str, reason: str, closed_at: datetime) -> Closing:
    closing = Closing(request.id, request.model, by, account, reason, closed_at)
    return workspace.ledger.add_closing(closing)


def _one(workspace: Workspace, model: str, identity: str) -> Request:
    found = [(r, served) for r, served in workspace.ledger.requests(model) if r.id.startswith(identity)]
    if len(found) != 1:
        many = f"{len(found)} requests begin with" if found else "there is no request"
        raise RequestError(f"{model}: {many} {identity}. `requests show {model}` lists the ids.")
    request, served = found[0]
    if served is not None:
        raise RequestError(
            f"{model}: request {short(request.id)} was served by verdict {short(served)}: there is nothing to close."
        )
    return request
