"""From a request to a draft: every value of a new model's YAML with the reason for it. Nothing is written here."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from retraining.data import rows
from retraining.data.rows import HASHED
from retraining.errors import RequestError, RetrainingError, shown
from retraining.records import Window
from retraining.scaffold import look
from retraining.scaffold.amounts import FEWEST_ROWS, hashed, planned
from retraining.scaffold.choices import Amounts, Choice, Draft, Roles, Target, Timing
from retraining.scaffold.look import Table
from retraining.scaffold.recent import offered
from retraining.scaffold.roles import choose_roles
from retraining.scaffold.rules import MOST_CHECKED, row_rules, window_rules
from retraining.scaffold.target import choose_target
from retraining.scaffold.timeline import Timeline
from retraining.scaffold.timing import choose_plan, make_timing
from retraining.spec import FrozenSpec, Spec
from retraining.spec.data import HASHED_TIME, Source
from retraining.windows import step

_REHEARSED_ROWS = 20_000
"""Rows that are put through the pipeline's own reading; below this a table without time is hashed as a run does it."""
_DROP = (
    "Nothing was written. Change or drop the column in the file, or write the YAML by hand with a query "
    "(docs/how-to/add-a-model.md)."
)


@dataclass(frozen=True)
class Request:
    """What a person asked for."""

    name: str
    data: str
    target: str
    time: str | None = None
    key: tuple[str, ...] = ()


def draft(request: Request, table: Table, models: Path) -> Draft:
    """Choose everything that the YAML says.

    Raises
    ------
    RequestError
        When the request names what is not there, or the table cannot become a model.
    Unavailable
        When the table's store does not answer.
    """
    _known(table, request)
    _kept(table, request)
    n_labelled = table.n_rows - table.column(request.target).n_null
    if n_labelled < FEWEST_ROWS:
        raise RequestError(
            f"--data {request.data}: has {n_labelled:,} rows with a value of {request.target}; it takes at least "
            f"{FEWEST_ROWS}: 50 to judge on and 200 to learn from. Nothing was written. Add rows."
        )
    _time_is_one(table, request)
    _key_is_one(table, request, models)
    target = choose_target(table, request.target)
    roles = choose_roles(
        table,
        request.target,
        request.time,
        request.key,
        classes=bool(target.classes),
        unique=lambda name: look.n_not_unique(table, (name,), models) == 0,
    )
    timing, amounts, candidates = _when(request, table, target, roles, models)
    times = [c.name for c in table.columns if c.kind == "timestamp"]
    return Draft(
        name=request.name,
        files=_from_yaml(request.data, models),
        nulls=table.nulls,
        n_rows=table.n_rows,
        n_sample=table.n_sample,
        target=target,
        roles=roles,
        time_column=request.time,
        time_why=_why_time(request.time, times),
        zoned=request.time is None or table.column(request.time).zoned,
        timing=timing,
        amounts=amounts,
        row_rules=row_rules(table, target, roles),
        window_rules=window_rules(table, target),
        candidates=candidates,
        n_unchecked=max(0, len(roles.numeric) + len(roles.categorical) - MOST_CHECKED),
    )


def readable(data: str) -> str:
    """Return where a table is read from: URLs as they are, paths from the current folder on.

    Raises
    ------
    RequestError
        When the URL holds a password.
    """
    try:
        Source(files=data)
    except ValidationError as error:
        text = error.errors()[0]["msg"].removeprefix("Value error, files: ")
        raise RequestError(f"--data: {text}. Nothing was written.") from error
    return data if "://" in data else str(Path.cwd() / Path(data).expanduser())


def _from_yaml(data: str, models: Path) -> str:
    """Return what the YAML says: relative to it where both are in one folder tree, so that the tree can move."""
    if "://" in data:
        return data
    path = Path(readable(data))
    if path.is_relative_to(models):
        return str(path.relative_to(models))
    here = Path.cwd()
    if path.is_relative_to(here) and models.is_relative_to(here):
        return os.path.relpath(path, models)
    return str(path)


def _known(table: Table, request: Request) -> None:
    names = [c.name for c in table.columns]
    asked = {"--target": [request.target], "--time": [request.time] if request.time else [], "--key": [*request.key]}
    for option, wanted in asked.items():
        for name in wanted:
            if name not in names:
                close = difflib.get_close_matches(name, names, n=1) or _same_letters(name, names)
                hint = f" Did you mean {close[0]}?" if close else ""
                raise RequestError(
                    f"{option} {name}: there is no such column in {request.data}.{hint} Nothing was written. "
                    f"It has: {look.shown_columns(table)}."
                )
    if request.target in (request.time, *request.key):
        raise RequestError(f"--target {request.target}: cannot also be the time or the key. Nothing was written.")


def _same_letters(name: str, names: Sequence[str]) -> list[str]:
    return [n for n in names if n.lower() == name.lower()]


def _kept(table: Table, request: Request) -> None:
    problems = [c.problem.rstrip(".") for c in table.columns if c.problem]
    if problems:
        raise RequestError(f"--data {request.data}: {shown(problems)}. {_DROP}")


def _time_is_one(table: Table, request: Request) -> None:
    if request.time is None:
        return
    column = table.column(request.time)
    if column.kind != "timestamp":
        times = [c.name for c in table.columns if c.kind == "timestamp"]
        there = f"Times are in: {', '.join(times)}." if times else "No column holds times."
        raise RequestError(
            f"--time {request.time}: holds {column.kind} values (e.g. {column.example!r}), not times. Nothing was "
            f"written. {there} Write them as 2026-05-04 or 2026-05-04T06:00:00Z, or leave out --time: then a fifth of "
            "the rows is the holdout, whenever they happened."
        )
    if column.n_null:
        raise RequestError(
            f"--time {request.time}: {column.n_null:,} of {table.n_rows:,} rows have none. Nothing was written. "
            "Fill them or drop these rows, or leave out --time."
        )


def _key_is_one(table: Table, request: Request, models: Path) -> None:
    doubled = look.n_not_unique(table, request.key, models) if request.key else 0
    if doubled:
        raise RequestError(
            f"--key {' --key '.join(request.key)}: {doubled:,} of {table.n_rows:,} rows have no value of their own. "
            "Nothing was written. Name further columns that make it unique, or leave out --key: rows are then named "
            "by their content."
        )


def _when(
    request: Request, table: Table, target: Target, roles: Roles, models: Path
) -> tuple[Timing | None, Amounts, Choice | None]:
    if request.time is not None:
        line = look.timeline(table, request.time, target.name, target.classes, models)
        plan = choose_plan(line, target, request.time)
        _rehearse(request, table, roles, Window(line.first, step(line.last, "day")))
        return make_timing(plan, line), planned(plan, line, target), offered(plan, line, target)
    line = _hashed_line(table, target, _rehearse(request, table, roles, HASHED))
    return None, hashed(line, target, f"--data {request.data}"), None


def _rehearse(request: Request, table: Table, roles: Roles, span: Window) -> pa.Table:
    """Put some rows through the pipeline's own reading, so that what it would refuse is refused now."""
    data: dict[str, Any] = {
        "source": {"files": "data"},
        "target": request.target,
        "key": roles.key.value,
        "outcomes": [a.name for a in roles.outcomes],
    }
    if request.time is not None:
        data["time_column"] = request.time
    task = {"task": "regression"}
    values = {"description": "-", "owner": {"business": "-", "technical": "-"}, "data": data, "training": task}
    spec = Spec.model_validate(values)
    try:
        located = rows.locate(FrozenSpec(request.name, spec, {}), table.sample.slice(0, _REHEARSED_ROWS), span)
        rows.split(spec.data, located, with_labels=True)
    except RetrainingError as error:
        raise RequestError(f"--data {request.data}: {error} {_DROP}") from error
    return located


def _hashed_line(table: Table, target: Target, located: pa.Table) -> Timeline:
    """Count rows per hashed day; what was not put through the hash is spread like what was."""
    labels = located.column(target.name).to_pylist()
    if not target.classes:
        labels = [None if value is None else 1 for value in labels]
    factor = table.n_rows / max(1, located.num_rows)
    times = located.column(HASHED_TIME).cast(pa.timestamp("us")).to_numpy()
    line = Timeline.of(times, labels, [1] * len(labels), target.classes or (1,))
    if factor <= 1:
        return line
    return Timeline(line.hours, (line.n_rows * factor).astype(int), (line.by_class * factor).astype(int))


def _why_time(time: str | None, times: list[str]) -> str:
    if time is not None:
        return "When the prediction is needed: decides partition, window and holdout."
    known = f" {', '.join(times)} holds times: start `new` with --time if one says when." if times else ""
    return (
        "Rows have no time: a keyed hash puts a fifth of them into the holdout, another of each version, and there is "
        f"no scoring or watching by day.{known}"
    )
