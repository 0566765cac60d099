"""The loop: run, score and monitor, each exactly what its DAG does, in one process."""

from __future__ import annotations

from typing import Annotated

import typer

from retraining.cli.common import AsOf, Json, Model, Reason, person, time_or_now, workspace
from retraining.cli.output import console, print_json, progress
from retraining.records import to_dict


def run(
    model: Model,
    as_of: AsOf,
    reason: Reason = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Everything up to the verdict.")] = False,
    json: Json = False,
) -> None:
    """Retrain: ingest, validate, train, evaluate, gate, release, deploy. A rejected challenger is a success."""
    from retraining.pipeline import whole
    from retraining.pipeline.admission import admit
    from retraining.rollout.waiting import how_to_answer

    work = workspace()
    when = time_or_now(as_of)
    frozen = work.spec(model)
    admission = admit(
        work, frozen, as_of=when, fallback=when, trigger="person", reason=reason, dry_run=dry_run, by=person()
    )
    result = whole.run(work, admission, progress)
    if json:
        other = result.instead if isinstance(result.instead, str) else _dict(result.instead)
        verdicts = {"verdict": _dict(result.verdict), "instead": other}
        print_json({"admission": to_dict(admission), **verdicts, "deployment": _dict(result.deployment)})
    else:
        console.print(result.text, markup=False)
        if result.acting is not None and result.deployment is not None and result.deployment.outcome == "waiting":
            console.print(how_to_answer(result.acting), markup=False)


def score(model: Model, as_of: AsOf, json: Json = False) -> None:
    """Score every whole partition before the as-of time that was not scored yet, with the champion."""
    from retraining.pipeline import score as scoring

    work = workspace()
    found = scoring.run(work, work.spec(model), time_or_now(as_of), progress)
    if json:
        print_json([to_dict(p) for p in found])
    else:
        for record in found:
            console.print(f"{record.window}: {record.n_rows:,} predictions in {record.key}", markup=False)


def monitor(
    model: Model,
    as_of: AsOf,
    html: Annotated[bool, typer.Option("--html", help="Keep Evidently's page even on a quiet day.")] = False,
    json: Json = False,
) -> None:
    """Compare a day with the champion's training data, and decide whether to ask for a retraining."""
    from retraining.pipeline import monitor as watching

    work = workspace()
    decision = watching.run(work, work.spec(model), time_or_now(as_of), progress, html=html)
    if json:
        print_json(to_dict(decision))
    else:
        console.print(f"{decision.outcome}: {decision.reason or 'no reason to ask'}", markup=False)


def _dict(record: object | None) -> object:
    return None if record is None else to_dict(record)


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (run, score, monitor):
        app.command()(command)
