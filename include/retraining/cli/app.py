"""The command line's entry: one application, its commands by question."""

from __future__ import annotations

import logging
import sys
import warnings

import typer

from retraining.cli import ask, cards, care, data, loop, manage, new, quarantine, requests
from retraining.cli.output import KNOWN_ERRORS, fail

app = typer.Typer(
    name="retraining",
    help="Keep tabular models fresh, safely. Every command takes --json.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
new.add_to(app)
loop.add_to(app)
ask.add_to(app)
cards.add_to(app)
manage.add_to(app)
data.add_to(app)
quarantine.add_to(app)
requests.add_to(app)
care.add_to(app)


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 the work failed, 2 the request was wrong."""
    for name in ("mlflow", "alembic", "great_expectations"):
        logging.getLogger(name).setLevel(logging.ERROR)  # their progress notes are not about the user's model
    warnings.filterwarnings("ignore")  # third parties' warnings are for developers; tests turn ours into errors
    try:
        app()
    except KNOWN_ERRORS as error:
        sys.exit(fail(error).exit_code)
