"""The command line's entry: one application; a command's module is imported when it is called."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from retraining.cli.output import KNOWN_ERRORS, fail

_MODULES = {
    "new": ("new",),
    "loop": ("run", "score", "monitor"),
    "check": ("check",),
    "ask": ("status", "history", "explain"),
    "cards": ("card",),
    "manage": ("rollback", "override", "registry", "ledger"),
    "data": ("adopt", "reproduce", "lineage"),
    "quarantine": ("quarantine",),
    "requests": ("requests",),
    "care": ("housekeeping", "erase"),
}
"""Where each command is, in the order in which help lists them; a test compares it with what the modules add."""
_MODULE_OF = {command: module for module, commands in _MODULES.items() for command in commands}


class LazyGroup(TyperGroup):
    """A group that knows its commands by name, and makes one when it is asked for it."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in order."""
        return list(_MODULE_OF)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, None where there is none of that name."""
        module = _MODULE_OF.get(cmd_name)
        return None if module is None else commands_of(module)[cmd_name]


@cache
def commands_of(module: str) -> dict[str, Any]:
    """Return the commands that a module adds, by name."""
    part = typer.Typer()
    part.callback()(lambda: None)  # without one, a single command would be taken for the whole application
    import_module(f"retraining.cli.{module}").add_to(part)
    return dict(typer.main.get_group(part).commands)


app = typer.Typer(name="retraining", cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def retraining() -> None:
    """Keep tabular models fresh, safely. Every command takes --json."""


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 the work failed, 2 the request was wrong."""
    # Looking for plugins among some hundred packages takes as long as a command; none of ours has any.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for name in ("mlflow", "alembic", "great_expectations"):
        logging.getLogger(name).setLevel(logging.ERROR)  # their progress notes are not about the user's model
    warnings.filterwarnings("ignore")  # third parties' warnings are for developers; tests turn ours into errors
    try:
        app()
    except KNOWN_ERRORS as error:
        sys.exit(fail(error).exit_code)
