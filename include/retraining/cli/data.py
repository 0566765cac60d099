"""Where a model comes from: reproduce it, or adopt one that a team already runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from retraining.cli.common import Json, Model, Reason, person, time_or_now, workspace
from retraining.cli.output import EXIT_FAILED, console, errors, print_json, print_table
from retraining.errors import SHOWN_ITEMS
from retraining.records import short, to_dict

if TYPE_CHECKING:
    from retraining.audit.lineage import Lineage
    from retraining.records import Provenance


def reproduce(
    model: Model,
    version: Annotated[
        int | None,
        typer.Option("--version", help="MLflow's version; default: champion, else newest candidate."),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Rebuild in another environment too, and compare within 1e-6.")
    ] = False,
    json: Json = False,
) -> None:
    """Rebuild a model from its frozen data, spec and seed, and compare every prediction. Exit 1 when they differ."""
    from retraining.audit.reproduce import describe, succeeded
    from retraining.audit.reproduce import reproduce as rebuild

    found = rebuild(workspace(), model, version, anyway=anyway)
    if json:
        print_json(to_dict(found))
    else:
        for change in found.environment_changes:
            console.print(f"environment: {change}", markup=False)
        console.print(describe(found), markup=False)
    if not succeeded(found):
        raise typer.Exit(EXIT_FAILED)


def adopt(
    model: Model,
    uri: Annotated[str, typer.Argument(help="The registered version: models:/NAME/VERSION.")],
    as_of: Annotated[str | None, typer.Option("--as-of", help="The time of the adoption; default: now.")] = None,
    reason: Reason = "",
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Read a pickle, which runs the code in it; needs --sha256.")
    ] = False,
    sha256: Annotated[
        str | None, typer.Option("--sha256", help="The digest of the model file, as its maker states it.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a scikit-learn model that a team already runs the first champion, with its provenance unknown."""
    from retraining.rollout.adopt import adopt as take

    work = workspace()
    champion = take(
        work,
        model,
        uri,
        as_of=time_or_now(as_of),
        by=person(),
        reason=reason,
        trust_pickle=trust_pickle,
        expected_sha256=sha256,
    )
    if json:
        print_json(to_dict(champion))
    else:
        head = f"{model}: version {champion.version} is champion {champion.sequence} ({champion.kind})"
        until = f"watched from now on; challengers are judged on rows from {champion.cutoff:%Y-%m-%d %H:%M} UTC on"
        console.print(f"{head}; {champion.reason}; {until}", markup=False)
    for alert in work.ledger.alerts(model):
        errors.print(alert.message, markup=False)


def lineage(
    snapshot: Annotated[str, typer.Argument(help="A snapshot's id, or the start of it.")], json: Json = False
) -> None:
    """Show where a snapshot's rows came from, and which verdicts, releases and champions used them."""
    from retraining.audit.lineage import of_snapshot

    found = of_snapshot(workspace(), snapshot)
    if json:
        print_json(to_dict(found))
        return
    for line in _described(found):
        console.print(line, markup=False)
    rows = [(u.model, u.what, u.as_of, short(u.verdict_id), u.decision, u.champion, u.version) for u in found.uses]
    print_table("Used", ("by", "for", "as of", "verdict", "decision", "champion", "version"), rows)


def _described(found: Lineage) -> Iterator[str]:
    yield f"snapshot {found.snapshot_id}"
    yield f"{found.window}: {found.n_rows:,} rows, {found.n_labelled:,} labelled, {found.n_chunks} chunks"
    for origin in found.origins:
        read = "" if origin.read_as_of is None else f", read as of {' to '.join(map(_minute, origin.read_as_of))} UTC"
        yield f"source: {origin.source or 'no longer in a YAML or spec'} (digest {short(origin.source_id)}){read}"
    yield from map(_run, found.runs[:SHOWN_ITEMS])
    if len(found.runs) > SHOWN_ITEMS:
        yield f"and by {len(found.runs) - SHOWN_ITEMS} earlier runs"
    for identity in found.accepted:
        yield f"rows were set aside: what was used is {identity}"


def _run(run: Provenance) -> str:
    n_aside = sum(s.n_rows for s in run.set_aside)
    made = f", made from {run.raw_id} without {n_aside:,} rows that were set aside" if run.raw_id else ""
    return f"frozen for {run.model} as of {_minute(run.as_of)} UTC from source {short(run.source_id)}{made}"


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (adopt, reproduce, lineage):
        app.command()(command)
