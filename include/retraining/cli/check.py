"""Check: is a model's YAML right, does its source answer, is what is stored whole?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from retraining.checking import check_spec, connect, replacements, unknown_connections
from retraining.cli.common import Json, OptionalModel, workspace
from retraining.cli.output import EXIT_FAILED, console, print_json
from retraining.cli.remembered import load_passed, save_passed
from retraining.errors import RequestError, RetrainingError, Unavailable
from retraining.records import to_dict
from retraining.spec import FrozenSpec, find_models, load
from retraining.workspace import Workspace


@dataclass(frozen=True)
class Found:
    """What was found of one model: `problems` keep it from working, `notes` are worth knowing."""

    problems: list[str]
    notes: list[str]


def check(
    model: OptionalModel = None,
    connected: Annotated[
        bool, typer.Option("--connect", help="Read a partition from the model's source, too; it may be large.")
    ] = False,
    store: Annotated[bool, typer.Option("--store", help="Check the object store instead: damage and gaps.")] = False,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Check the ledger instead: rows that are not as they were sealed.")
    ] = False,
    deep: Annotated[bool, typer.Option("--deep", help="With --store: compute every chunk's id again, too.")] = False,
    json: Json = False,
) -> None:
    """Check the YAMLs: keys, SQL, estimators, metrics, schedules. With --store or --ledger: what is stored."""
    work = workspace()
    if ledger and not (store or deep):
        _check_ledger(work, model, as_json=json)
        return
    if ledger:
        raise RequestError("check --ledger and check --store are two questions: ask one at a time.")
    if store or deep:
        _check_store(work, model, deep=deep, as_json=json)
        return
    models = find_models(work.settings.models)
    if model is not None and model not in models:
        work.spec(model)  # raises with the names there are
    passed = load_passed(work.settings)
    known = len(passed)
    wanted = {name: path for name, path in models.items() if model in (None, name)}
    found = {name: _check_model(work, path, passed, connected=connected) for name, path in wanted.items()}
    if len(passed) > known:
        save_passed(work.settings, passed)
    if json:
        print_json({name: {"ok": not one.problems, **to_dict(one)} for name, one in found.items()})
    else:
        for name, one in found.items():
            _print(models[name].name, name, one)
    if any(one.problems for one in found.values()):
        raise typer.Exit(EXIT_FAILED)


def _check_model(work: Workspace, path: Path, passed: set[str], *, connected: bool) -> Found:
    try:
        frozen = load(path)
        problems = check_spec(frozen, passed)
    except RetrainingError as error:
        return Found([str(error)], [])
    if not connected:
        return Found(problems, [*unknown_connections(frozen), *([] if problems else [replacements(frozen)])])
    return _connect(work, frozen, problems)


def _connect(work: Workspace, frozen: FrozenSpec, problems: list[str]) -> Found:
    try:
        return Found(problems, connect(work, frozen))
    except (RetrainingError, Unavailable) as error:
        return Found([*problems, str(error)], [])


def _print(file: str, name: str, found: Found) -> None:
    console.print(f"[{'red' if found.problems else 'green'}]{'broken' if found.problems else 'ok':<7}[/] {name}")
    for text in (*found.problems, *(f"note: {note}" for note in found.notes)):
        console.print(text if text.startswith(file) else f"{file}: {text}", markup=False)


def _check_store(work: Workspace, model: str | None, *, deep: bool, as_json: bool) -> None:
    from retraining.care.verify import verify
    from retraining.cli.stored import print_verification

    if model is not None:
        raise RequestError("check --store looks at the whole store, which models share: leave the model out.")
    found = verify(work, deep=deep)
    if as_json:
        print_json(to_dict(found))
    else:
        print_verification(found)
    if found.damage:
        raise typer.Exit(EXIT_FAILED)


def _check_ledger(work: Workspace, model: str | None, *, as_json: bool) -> None:
    from retraining.care.sealed import check_seals
    from retraining.cli.stored import print_seals

    if model is not None:
        raise RequestError("check --ledger looks at the whole ledger, which models share: leave the model out.")
    found = check_seals(work)
    if as_json:
        print_json(to_dict(found))
    else:
        print_seals(found)
    if found.findings:
        raise typer.Exit(EXIT_FAILED)


def add_to(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(check)
