"""The steps of `new`: nothing is written unless all of them succeed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retraining.scaffold.choices import Draft
from retraining.scaffold.decide import Request, draft, readable
from retraining.scaffold.look import Table, look
from retraining.scaffold.write import checked, place_for, put, render


@dataclass(frozen=True)
class Written:
    """A model that was written."""

    path: Path
    draft: Draft


def columns_of(data: str, models: Path) -> Table:
    """Look at a table before the target is known, to name its columns.

    Raises
    ------
    RequestError
        When it cannot be read.
    """
    return look(readable(data), models)


def new(request: Request, models: Path, *, force: bool = False, table: Table | None = None) -> Written:
    """Write a complete YAML for a table into the folder of models.

    Parameters
    ----------
    table
        What `columns_of` saw, if it was looked at before.

    Raises
    ------
    RequestError
        When the request cannot be met; the message says what to change, and nothing was written.
    SpecError
        When there is no folder of models, or what was chosen does not pass `check`.
    Unavailable
        When the table's store does not answer.
    """
    path = place_for(request.name, models, force=force)
    found = draft(request, table or columns_of(request.data, models), models)
    text = render(found)
    checked(request.name, text)
    put(path, text)
    return Written(path, found)
