"""How commands talk: tables and progress for people, one JSON value for machines, short errors, exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import typer

from retraining.errors import RequestError, RetrainingError, SpecError, Unavailable

if TYPE_CHECKING:
    from rich.console import Console

EXIT_FAILED, EXIT_WRONG_REQUEST = 1, 2

_WIDTH_IN_PIPES = 160
"""Columns of a table that is not shown in a terminal, such as in a log."""


class Printer:
    """A console of Rich, imported when something is printed on it: JSON and a shell's completion can spare it."""

    def __init__(self, *, stderr: bool = False) -> None:
        self._stderr = stderr

    @cached_property
    def _console(self) -> Console:
        from rich.console import Console

        width = None if self._stderr or sys.stdout.isatty() else _WIDTH_IN_PIPES
        return Console(stderr=self._stderr, highlight=False, soft_wrap=True, width=width)

    def print(self, thing: object, *, markup: bool = True) -> None:
        """Print a text or a table."""
        self._console.print(thing, markup=markup)


console, errors = Printer(), Printer(stderr=True)


def print_json(value: object) -> None:
    """Print one JSON value for machines."""
    typer.echo(json.dumps(value, indent=1, sort_keys=True, default=str))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table for people; None shows as a dash."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape("-" if v is None else _shown(v)) for v in row))
    console.print(table)


def progress(stage: str, text: str) -> None:
    """Print a finished stage; on standard error, so that JSON stays clean."""
    from rich.markup import escape

    errors.print(f"[bold]{escape(stage):<9}[/] {escape(text)}")


def fail(error: Exception) -> typer.Exit:
    """Print an error the way people can act on and return the exit that goes with it."""
    from rich.markup import escape

    errors.print(f"[red bold]{type(error).__name__}[/]: {escape(str(error))}")
    wrong = isinstance(error, (RequestError, SpecError))
    return typer.Exit(EXIT_WRONG_REQUEST if wrong else EXIT_FAILED)


KNOWN_ERRORS = (RetrainingError, Unavailable)


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    whole = isinstance(value, float) and value.is_integer()  # numbers are stored as doubles, ids among them
    return f"{value:.0f}" if whole else str(value)
