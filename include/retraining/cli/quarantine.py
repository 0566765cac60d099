"""Rows that were set aside: which, why, and leaving them out for good."""

from __future__ import annotations

from typing import Annotated

import typer

from retraining.cli.common import Json, Model, Reason, person, workspace
from retraining.cli.output import console, print_json, print_table
from retraining.records import shown_value, to_dict
from retraining.spec.data import FAILED_CHECKS
from retraining.validation import quarantine
from retraining.windows import parse_time

app = typer.Typer(help="Rows that broke a check and were set aside.", no_args_is_help=True)

Partition = Annotated[str, typer.Argument(help="The partition's start, ISO 8601, as `quarantine list` shows it.")]


@app.command("list")
def list_entries(model: Model, json: Json = False) -> None:
    """List the partitions with rows in quarantine, and what became of earlier ones."""
    work = workspace()
    work.spec(model)  # raises with the names there are
    found = quarantine.entries(work.ledger, model)
    if json:
        print_json([to_dict(entry) for entry in found])
        return
    rows = (
        (e.partition, e.state, e.n_rows, f"{e.n_rows / e.n_partition:.1%}", "; ".join(sorted(e.checks)), e.detail)
        for e in found
    )
    print_table(f"Quarantine of {model}", ("partition", "state", "rows", "share", "checks", "detail"), rows)


@app.command("show")
def show(
    model: Model,
    partition: Annotated[str | None, typer.Argument(help="The partition's start; default: the newest.")] = None,
    limit: Annotated[int, typer.Option(help="Most rows shown.")] = 20,
    json: Json = False,
) -> None:
    """Show the rows of a partition that were set aside, with the checks they failed."""
    work = workspace()
    work.spec(model)
    wanted = None if partition is None else parse_time(partition)
    entry = quarantine.entry_of(work.ledger, model, wanted)
    rows = quarantine.rows_of(work.store, entry).slice(0, limit)
    if json:
        print_json({"entry": to_dict(entry), "rows": rows.to_pylist()})
        return
    names = [FAILED_CHECKS, *(n for n in rows.column_names if n != FAILED_CHECKS)]
    became = f"{entry.state}: {entry.detail}" if entry.detail else entry.state
    title = f"{model}, {entry.partition:%Y-%m-%d %H:%M}: {entry.n_rows} rows, {became}"
    print_table(title, names, ([_cell(row[name]) for name in names] for row in rows.to_pylist()))
    if entry.n_rows > limit:
        console.print(f"and {entry.n_rows - limit} more; --limit shows them", markup=False)


def _cell(value: object) -> object:
    return None if value is None else shown_value(value)


@app.command("drop")
def drop(model: Model, partition: Partition, reason: Reason, json: Json = False) -> None:
    """Leave a partition's quarantined rows out for good, whatever the budget; the next run goes on without them."""
    work = workspace()
    work.spec(model)
    found = quarantine.drop(work.ledger, model, parse_time(partition), person(), reason)
    if json:
        print_json([to_dict(entry) for entry in found])
    else:
        n_rows = sum(e.n_rows for e in found)
        console.print(f"{model}: {n_rows} rows of {partition} are left out for good: {reason}", markup=False)


def add_to(parent: typer.Typer) -> None:
    """Add this module's commands."""
    parent.add_typer(app, name="quarantine")
