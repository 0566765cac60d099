"""What people do to a live model: rollback, override, settle the registry, upgrade the ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from retraining.cli.common import Json, Model, Reason, person, time_or_now, workspace
from retraining.cli.output import console, print_json
from retraining.errors import RequestError, given_reason
from retraining.records import Champion, to_dict

AsOfNow = Annotated[str | None, typer.Option("--as-of", help="The time the action is about; default: now.")]

registry_app = typer.Typer(help="Settle a difference between the ledger and MLflow's alias.", no_args_is_help=True)
ledger_app = typer.Typer(help="Look after the ledger's database.", no_args_is_help=True)


def rollback(
    model: Model,
    reason: Reason,
    to: Annotated[int | None, typer.Option("--to", help="Entry of the history; default: the one before.")] = None,
    as_of: AsOfNow = None,
    json: Json = False,
) -> None:
    """Make an earlier champion the champion again, after its preflight."""
    from retraining.rollout.rollback import rollback as move

    _print(move(workspace(), model, to, person(), reason, time_or_now(as_of)), json)


def override(
    verdict: Annotated[str, typer.Argument(help="The verdict's id, or the start of it.")],
    by: Annotated[str, typer.Option("--by", help="Who answers for it: a person's name. It is kept for ever.")],
    reason: Reason,
    json: Json = False,
) -> None:
    """Promote against the gate: the recipe of a rejected or inconclusive verdict, or one whose release was refused.

    The release is made, loaded in a fresh process and compared with what it gave when it was made; that cannot be
    overridden. The history shows it as an override for ever.
    """
    from retraining.rollout.override import override as promote

    _print(promote(workspace(), verdict, by=by, account=person(), reason=reason), json)


@registry_app.command("show")
def registry_show(model: Model, json: Json = False) -> None:
    """Compare the ledger's champion with MLflow's alias."""
    from retraining.artifacts.alias import read_alias

    work = workspace()
    champion = work.ledger.champion(model)
    if champion is None:
        raise RequestError(f"{model}: has no champion.")
    alias = read_alias(work.settings, model)
    state = {"ledger": champion.version, "alias": alias, "agree": alias == champion.version}
    if json:
        print_json(state)
    else:
        console.print(f"ledger: version {champion.version}; MLflow alias champion: version {alias}", markup=False)


@registry_app.command("restore")
def registry_restore(model: Model, json: Json = False) -> None:
    """Point MLflow's alias back at the ledger's champion."""
    from retraining.rollout.alias import restore_alias

    _print(restore_alias(workspace(), model), json)


@registry_app.command("adopt")
def registry_adopt(model: Model, as_of: AsOfNow = None, json: Json = False) -> None:
    """Make the version that the alias names the champion, if it was champion before."""
    from retraining.rollout.rollback import adopt_alias

    _print(adopt_alias(workspace(), model, person(), time_or_now(as_of)), json)


@ledger_app.command("upgrade")
def ledger_upgrade(json: Json = False) -> None:
    """Bring the ledger's schema up to date. Opening it does the same; this is for deployments.

    Where that changed the schema, what is in the ledger is sealed anew, and the seal says what became of its rows.
    """
    from retraining.care.seal import describe, seal_after_migration

    work = workspace()
    sealed = seal_after_migration(work)
    work.ledger.close()
    if json:
        print_json({"upgraded": True, "seal": None if sealed is None else to_dict(sealed)})
    else:
        console.print(f"the ledger is up to date{f'; {describe(sealed)}' if sealed else ''}", markup=False)


@ledger_app.command("grant")
def ledger_grant(
    services: Annotated[str, typer.Option("--services", help="The role of tasks and pages: inserts and reads.")],
    keeper: Annotated[str, typer.Option("--keeper", help="The role of housekeeping: adds seals, too.")],
    json: Json = False,
) -> None:
    """Give two roles of PostgreSQL exactly what they need in the ledger: neither may rewrite or remove a row.

    Run it as the owner, after each `ledger upgrade`.
    """
    from retraining.ledger.roles import grant

    grant(workspace().settings.ledger, services, keeper)
    if json:
        print_json({"services": services, "keeper": keeper})
    else:
        console.print(f"{services} may insert and read; {keeper} may seal, too; neither may change a row", markup=False)


@ledger_app.command("seal")
def ledger_seal(
    anew: Annotated[
        bool, typer.Option("--anew", help="Seal all that is there, after a restored backup say; needs --reason.")
    ] = False,
    reason: Reason = "",
    json: Json = False,
) -> None:
    """Seal what was added to the ledger since the last seal, as housekeeping does daily. `check --ledger` compares."""
    from retraining.care.seal import describe, seal

    why = f"by {person()}: {given_reason(reason, 'sealing anew')}" if anew else ""
    made = seal(workspace(housekeeping=True), why)
    if json:
        print_json(None if made is None else to_dict(made))
    else:
        console.print(describe(made), markup=False)


def _print(champion: Champion, as_json: bool) -> None:
    if as_json:
        print_json(to_dict(champion))
    else:
        text = f"{champion.model}: version {champion.version} is champion {champion.sequence} ({champion.kind})"
        console.print(text, markup=False)


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(rollback)
    app.command()(override)
    app.add_typer(registry_app, name="registry")
    app.add_typer(ledger_app, name="ledger")
