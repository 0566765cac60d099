"""Requests for a retraining: which are open, and ending one that nobody wants."""

from __future__ import annotations

from typing import Annotated

import typer

from retraining.audit.history import describe_request
from retraining.cli.common import Json, Model, Reason, person, time_or_now, workspace
from retraining.cli.output import console, print_json, print_table
from retraining.records import short, to_dict

app = typer.Typer(help="Requests for a retraining, as the monitor makes them.", no_args_is_help=True)


@app.command("show")
def show(model: Model, json: Json = False) -> None:
    """Show a model's requests, and what became of each: open, served by a verdict, or closed."""
    work = workspace()
    work.spec(model)  # raises with the names there are
    closings = work.ledger.closings(model)
    found = [(r, served, closings.get(r.id)) for r, served in work.ledger.requests(model)]
    if json:
        print_json(
            [{**to_dict(r), "served_by": served, "closed": None if c is None else to_dict(c)} for r, served, c in found]
        )
        return
    rows = ((r.as_of, short(r.id), r.by, r.reason, describe_request(served, c)) for r, served, c in found)
    print_table(f"Requests of {model}", ("as of", "id", "by", "reason", "state"), rows)


@app.command("close")
def close(
    model: Model,
    request: Annotated[str, typer.Argument(help="The request's id, or the start of it.")],
    by: Annotated[str, typer.Option("--by", help="Who answers for it: a person's name. It is kept for ever.")],
    reason: Reason,
    json: Json = False,
) -> None:
    """Close an open request: no retraining is woken for it any more. The monitor may ask again for a new reason."""
    from retraining.pipeline.requests import close_request

    work = workspace()
    work.spec(model)
    done = close_request(work, model, request, by=by, account=person(), reason=reason, closed_at=time_or_now(None))
    if json:
        print_json(to_dict(done))
    else:
        console.print(f"{model}: request {short(done.request_id)} is {describe_request(None, done)}", markup=False)


def add_to(parent: typer.Typer) -> None:
    """Add this module's commands."""
    parent.add_typer(app, name="requests")
