"""Adding a model: look at a table, write its YAML."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from retraining.cli.common import Json, time_or_now
from retraining.cli.output import console, print_json
from retraining.errors import RequestError
from retraining.settings import settings

if TYPE_CHECKING:
    from retraining.scaffold import Written
    from retraining.scaffold.look import Table

_NO_TIME = "none"


def new(
    name: Annotated[str, typer.Argument(help="The new model's name: letters, digits and underscores.")],
    data: Annotated[str, typer.Option("--data", help="CSV, Parquet or JSON lines: a path, a pattern or any URL.")],
    target: Annotated[str | None, typer.Option("--target", help="The column to predict.")] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="The column that says when the prediction is needed, if there is one.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", help="A column that names a row; again for several that do together.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a YAML of this name.")] = False,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="The as-of time to suggest where rows have no time; default: today.")
    ] = None,
    json: Json = False,
) -> None:
    """Look at a table and write a complete, commented YAML that runs as it is."""
    from retraining.scaffold import Request, columns_of
    from retraining.scaffold import new as write  # imports what learns, which takes seconds

    models = settings().models
    ask = sys.stdin.isatty() and not json
    table = None
    if target is None:
        table = columns_of(data, models)
        target = _asked_target(table, data, ask=ask)
    if time is None and ask:
        table = table or columns_of(data, models)
        time = _asked_time(table, target)
    done = write(Request(name, data, target, time, tuple(key or ())), models, force=force, table=table)
    timing = done.draft.timing
    when = timing.as_of if timing else time_or_now(as_of).replace(hour=0, minute=0, second=0, microsecond=0)
    commands = [f"check {name}", f"run {name} --as-of {_shown_time(when)}"]
    if json:
        print_json({"path": done.path, "model": name, "as_of": when, "next": commands, **_figures(done)})
    else:
        _print(done, commands)


def _asked_target(table: Table, data: str, *, ask: bool) -> str:
    from retraining.scaffold.look import shown_columns

    if not ask:
        raise RequestError(
            f"--target: which column is to be predicted? Nothing was written. {data} has: {shown_columns(table)}."
        )
    console.print(f"{data} has: {shown_columns(table)}", markup=False)
    return str(typer.prompt("Which column is to be predicted?"))


def _asked_time(table: Table, target: str) -> str | None:
    times = [c.name for c in table.columns if c.kind == "timestamp" and not c.n_null and c.name != target]
    if not times:
        return None
    console.print(f"Columns of times: {', '.join(times)}", markup=False)
    answer = str(typer.prompt("Which one says when the prediction is needed?", default=_NO_TIME))
    return None if answer == _NO_TIME else answer


def _figures(done: Written) -> dict[str, object]:
    roles = done.draft.roles
    return {
        "task": done.draft.target.task.value,
        "metric": done.draft.target.metric.value,
        "numeric": roles.numeric,
        "categorical": roles.categorical,
        "aside": {a.name: a.why for a in roles.aside},
        "doubtful": roles.doubtful,
        "warning": done.draft.amounts.warning,
    }


def _print(done: Written, commands: list[str]) -> None:
    found, roles = done.draft, done.draft.roles
    timing = found.timing
    when = f"by {timing.partition.value}, time in {found.time_column}" if timing else "without a time"
    n_features = len(roles.numeric) + len(roles.categorical)
    lines = [
        f"{done.path}: written after a look at {found.n_rows:,} rows",
        f"  {found.target.task.value}, {found.target.metric.value}, {n_features} features, {when}; mode suggest",
        *(f"  not a feature: {a.name}: {a.why}" for a in (*roles.outcomes, *roles.left_out)),
    ]
    lines += [
        f"  WARNING: {name} is a numeric feature, each row with a whole number of its own: take it out if it is an id"
        for name in roles.doubtful
    ]
    if found.amounts.warning:
        lines.append(f"  WARNING: {found.amounts.warning}")
    lines += [
        "Each choice has its reason in a comment; say who answers for it under owner.",
        "mode suggest: a promotion waits for a person's answer in Airflow. Next:",
    ]
    for line in [*lines, *(f"  python -m retraining {c}" for c in commands)]:
        console.print(line, markup=False)


def _shown_time(when: datetime) -> str:
    return f"{when:%Y-%m-%d}" if when.hour == when.minute == 0 else f"{when:%Y-%m-%dT%H:%M}"


def add_to(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(new)
