"""What is written for people to keep: model cards and verdict pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retraining.cli.common import Json, Model, workspace
from retraining.cli.output import console, errors, print_json
from retraining.errors import RequestError
from retraining.records import TriggerDecision, Verdict, to_dict
from retraining.workspace import Workspace


def card(
    model: Model,
    version: Annotated[int | None, typer.Option("--version", help="The version; default: the champion's.")] = None,
    html: Annotated[bool, typer.Option("--html", help="A self-contained page instead of Markdown.")] = False,
    output: Annotated[Path | None, typer.Option("--output", help="Write it into this file instead.")] = None,
    json: Json = False,
) -> None:
    """Write the model card of a version: purpose, data, metrics with intervals, slices, limits, verdict, approver."""
    from retraining.pages.verdicts.card import as_html, as_markdown, card_of

    found = card_of(workspace(), model, version)
    text = as_html(found) if html else as_markdown(found)
    if output is not None:
        write_file(output, text)
    if json:
        print_json(to_dict(found))
    elif output is None:
        typer.echo(text, nl=False)
    else:
        console.print(f"{output}: {found.title}", markup=False)


def write_page(work: Workspace, record: Verdict | TriggerDecision, path: Path) -> None:
    """Write a verdict's page as it is known now.

    Raises
    ------
    RequestError
        When it is not a verdict, or the file cannot be written.
    """
    from retraining.pages.verdicts.page import live

    if not isinstance(record, Verdict):
        raise RequestError("--html writes the page of a verdict; this is a decision of the monitor. Leave it out.")
    write_file(path, live(work, record))
    errors.print(f"{path}: the page of the verdict", markup=False)


def write_file(path: Path, text: str) -> None:
    """Write a text where a person asked for it.

    Raises
    ------
    RequestError
        When it cannot be written there.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RequestError(
            f"{path}: cannot be written: {error.strerror}. Name a file in a folder that exists."
        ) from error


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(card)
