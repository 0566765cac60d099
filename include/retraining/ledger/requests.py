"""Requests: retrainings that were asked for, and the verdicts that served them."""

from __future__ import annotations

from sqlalchemy import select

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected
from retraining.records import Request, from_dict, to_dict


class Requests(Connected):
    """A mixin of `Ledger`; `Verdicts.add_verdict` closes what a verdict serves."""

    def add_request(self, request: Request) -> None:
        """Open a request; doing so twice has no second effect."""
        self._add(t.requests, id=request.id, model=request.model, as_of=request.as_of, body=to_dict(request))

    def open_requests(self, model: str) -> list[Request]:
        """Return the requests no verdict has served yet, newest as-of first."""
        c = t.requests.c
        unserved = select(c.body).outerjoin(t.served, t.served.c.request_id == c.id).where(t.served.c.row.is_(None))
        return self._records(Request, unserved.where(c.model == model).order_by(c.as_of.desc(), c.row.desc()))

    def requests(self, model: str) -> list[tuple[Request, str | None]]:
        """Return all requests, oldest first, each with the verdict that served it."""
        c = t.requests.c
        query = select(c.body, t.served.c.verdict_id).outerjoin(t.served, t.served.c.request_id == c.id)
        rows = self._all(query.where(c.model == model).order_by(c.row))
        return [(from_dict(Request, row.body), row.verdict_id) for row in rows]
