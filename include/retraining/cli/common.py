"""What commands share: options, what a shell may complete, and the workspace they work in."""

from __future__ import annotations

import os
import pwd
from datetime import UTC, datetime
from typing import Annotated

import typer

from retraining.errors import RetrainingError
from retraining.settings import settings
from retraining.windows import parse_time
from retraining.workspace import Workspace


def complete_model(incomplete: str) -> list[str]:
    """Return the models whose names begin so, for the shell; none where there is no folder of models."""
    from retraining.spec import find_models

    try:
        return [name for name in find_models(settings().models) if name.startswith(incomplete)]
    except RetrainingError:  # the command itself says so; a shell that is completing has no place for it
        return []


Model = Annotated[str, typer.Argument(help="The model's name: its YAML's file name.", autocompletion=complete_model)]
ShownModel = Annotated[str, typer.Argument(help="The model's name.", autocompletion=complete_model)]
OptionalModel = Annotated[
    str | None, typer.Argument(help="A model's name; default: all.", autocompletion=complete_model)
]
ModelOrDecision = Annotated[
    str,
    typer.Argument(help="A verdict's or decision's id (its start will do), or a model.", autocompletion=complete_model),
]
AsOf = Annotated[str, typer.Option("--as-of", help="The time the run is about, ISO 8601; without an offset UTC.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept for ever.")]


def workspace(*, housekeeping: bool = False) -> Workspace:
    """Return the workspace that the environment describes, for housekeeping with its own role in the ledger."""
    found = settings()
    return Workspace(found.for_housekeeping() if housekeeping else found)


def time_or_now(text: str | None) -> datetime:
    """Read an as-of time; a person who gives none means now. The only clock in the project that a result sees."""
    return parse_time(text) if text else datetime.now(UTC)


def person() -> str:
    """Name the account at the keyboard by the process's user id: `LOGNAME` and `USER` say whatever one likes."""
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container may run under an id that its image has no name for
        return f"uid {uid}"
