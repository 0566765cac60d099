"""What commands share: options, and the workspace they work in."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from retraining.settings import settings
from retraining.windows import parse_time
from retraining.workspace import Workspace

Model = Annotated[str, typer.Argument(help="The model's name: its YAML's file name.")]
AsOf = Annotated[str, typer.Option("--as-of", help="The time the run is about, ISO 8601; without an offset UTC.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept for ever.")]


def workspace() -> Workspace:
    """Return the workspace that the environment describes."""
    return Workspace(settings())


def time_or_now(text: str | None) -> datetime:
    """Read an as-of time; a person who gives none means now. The only clock in the project that a result sees."""
    return parse_time(text) if text else datetime.now(UTC)


def person() -> str:
    """Name who is at the keyboard, for the record."""
    return getpass.getuser()
