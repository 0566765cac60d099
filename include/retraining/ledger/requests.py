"""Requests: retrainings that were asked for, and the verdicts that served them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected
from retraining.records import Request, from_dict, to_dict


class Requests(Connected):
    """A mixin of `Ledger`; `Verdicts.add_verdict` closes what a verdict serves."""

    def add_request(self, request: Request) -> None:
        """Open a request; doing so twice has no second effect."""
        self._add(t.requests, **row_of(request))

    def open_requests(self, model: str) -> list[Request]:
        """Return the requests that no verdict has served and nobody has closed, newest as-of first."""
        c = t.requests.c
        query = only_open(select(c.body)).where(c.model == model)
        return self._records(Request, query.order_by(c.as_of.desc(), c.row.desc()))

    def requests(self, model: str) -> list[tuple[Request, str | None]]:
        """Return all requests, oldest first, each with the verdict that served it."""
        c = t.requests.c
        query = select(c.body, t.served.c.verdict_id).outerjoin(t.served, t.served.c.request_id == c.id)
        rows = self._all(query.where(c.model == model).order_by(c.row))
        return [(from_dict(Request, row.body), row.verdict_id) for row in rows]


def only_open(query: Select[Any]) -> Select[Any]:
    """Return a query over requests without those that a verdict served or somebody closed."""
    identity = t.requests.c.id
    query = query.outerjoin(t.served, t.served.c.request_id == identity)
    query = query.outerjoin(t.closings, t.closings.c.request_id == identity)
    return query.where(t.served.c.row.is_(None), t.closings.c.row.is_(None))


def row_of(request: Request) -> dict[str, Any]:
    """Return a request's row."""
    return {"id": request.id, "model": request.model, "as_of": request.as_of, "body": to_dict(request)}
