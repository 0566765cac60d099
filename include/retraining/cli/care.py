"""Care of what is stored: free what nothing needs, erase a person."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from retraining.cli.common import Json, Model, Reason, person, time_or_now, workspace
from retraining.cli.output import console, print_json
from retraining.errors import RequestError
from retraining.records import to_dict


def housekeeping(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be freed; change nothing.")] = False,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Count from this time; default: now.")] = None,
    json: Json = False,
) -> None:
    """Free what no champion, verdict, request or run needs and `retention.keep` no longer keeps; seal the ledger."""
    from retraining.care import retention
    from retraining.care.seal import describe, seal
    from retraining.cli.stored import print_plan, print_sweep

    work = workspace(housekeeping=True)
    plan = retention.plan(work, time_or_now(as_of))
    done = None if dry_run else retention.sweep(work, plan)
    sealed = None if dry_run else seal(work)
    if json:
        made = {"plan": plan, "sweep": done, "seal": sealed}
        print_json({name: None if one is None else to_dict(one) for name, one in made.items()})
    elif done is None:
        print_plan(plan)
    else:
        print_sweep(done, plan.held)
        console.print(describe(sealed), markup=False)


def erase(
    model: Model,
    key: Annotated[
        list[str], typer.Option("--key", help="COLUMN=VALUE that the person's rows have; several must all hold.")
    ],
    reason: Reason,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what holds the rows; change nothing.")] = False,
    json: Json = False,
) -> None:
    """Erase a person's rows from everything a model and those that share its source or rows stored; drop them for ever.

    What cannot be rebuilt afterwards says so by name. Models that learnt from the rows are listed, not changed, and so
    are models of other sources that have such a key.
    """
    from retraining.care.erase import erase as remove  # imports scikit-learn, which takes seconds
    from retraining.cli.stored import print_erasure

    given = dict(_column_and_value(text) for text in key)
    if len(given) < len(key):
        raise RequestError("--key names a column twice: give one value per column, and one person at a time.")
    done = remove(workspace(), model, given, reason=reason, by=person(), erased_at=time_or_now(None), dry_run=dry_run)
    if json:
        print_json(to_dict(done))
    else:
        typed = [part for text in key for part in ("--key", text)]
        print_erasure(done, shlex.join([*typed, "--reason", reason]))


def _column_and_value(text: str) -> tuple[str, str]:
    column, found, value = text.partition("=")
    if not found or not column or not value:
        raise RequestError(f"--key {column or '?'}: write COLUMN=VALUE, for example --key customer=4711")
    return column, value


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(housekeeping)
    app.command()(erase)
