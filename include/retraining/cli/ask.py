"""Questions: check, status, history, explain."""

from __future__ import annotations

from typing import Annotated

import typer

from retraining.checking import check_spec
from retraining.cli.common import Json, time_or_now, workspace
from retraining.cli.output import EXIT_FAILED, console, print_json, print_table
from retraining.errors import RequestError, RetrainingError
from retraining.history import events_of
from retraining.records import TriggerDecision, Verdict, short, to_dict
from retraining.spec import find_models, load
from retraining.status import Status
from retraining.status import status as status_of
from retraining.workspace import Workspace

OptionalModel = Annotated[str | None, typer.Argument(help="A model's name; default: all.")]


def check(model: OptionalModel = None, json: Json = False) -> None:
    """Check the YAMLs: keys, SQL, estimators, metrics, expectations, schedules."""
    work = workspace()
    models = find_models(work.settings.models)
    if model is not None and model not in models:
        work.spec(model)  # raises with the names there are
    found: dict[str, list[str]] = {}
    for name, path in models.items():
        if model in (None, name):
            try:
                found[name] = check_spec(load(path))
            except RetrainingError as error:
                found[name] = [str(error)]
    if json:
        print_json({name: {"ok": not problems, "problems": problems} for name, problems in found.items()})
    else:
        for name, problems in found.items():
            console.print(f"[{'red' if problems else 'green'}]{'broken' if problems else 'ok':<7}[/] {name}")
            for problem in problems:
                text = problem if problem.startswith(models[name].name) else f"{models[name].name}: {problem}"
                console.print(text, markup=False)
    if any(found.values()):
        raise typer.Exit(EXIT_FAILED)


def status(
    model: OptionalModel = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Judge staleness at this time; default: now.")] = None,
    fail_if_stale: Annotated[bool, typer.Option("--fail-if-stale", help="Exit 1 when a model is stale.")] = False,
    json: Json = False,
) -> None:
    """Show champion, newest verdict, newest decision and open requests of each model."""
    work = workspace()
    names = [model] if model else list(find_models(work.settings.models))
    found = [status_of(work, work.spec(name), time_or_now(as_of)) for name in names]
    if json:
        print_json([to_dict(s) for s in found])
    else:
        columns = ("model", "mode", "champion", "estimator", "trained to", "last verdict", "monitor", "open", "stale")
        print_table("Models", columns, [_status_row(s) for s in found])
    if fail_if_stale and any(s.stale for s in found):
        raise typer.Exit(EXIT_FAILED)


def history(model: Annotated[str, typer.Argument(help="The model's name.")], json: Json = False) -> None:
    """Show the champion history, every verdict, decision, request and alert of a model, in order."""
    work = workspace()
    events = events_of(work.ledger, model)
    if not events:
        work.spec(model)  # raises when there is no such model
    if json:
        print_json([to_dict(e) for e in events])
    else:
        rows = [(e.as_of, e.event, e.id, e.text) for e in events]
        print_table(f"History of {model}", ("as of", "event", "id", "what"), rows)


def explain(
    identity: Annotated[str, typer.Argument(help="A verdict's or decision's id (its start will do), or a model.")],
    json: Json = False,
) -> None:
    """Explain a verdict or a trigger decision: reasons, figures, and what would have to change."""
    record = _find(workspace(), identity)
    if json:
        print_json(to_dict(record))
        return
    kind = "verdict" if isinstance(record, Verdict) else "decision"
    outcome = record.decision if isinstance(record, Verdict) else record.outcome
    as_of = record.evaluation.as_of if isinstance(record, Verdict) else record.as_of
    console.print(
        f"{record.model}, {kind} {short(record.id)}, as of {as_of:%Y-%m-%d %H:%M} UTC: {outcome}", markup=False
    )
    _print_list("because", record.reasons)
    _print_list("it would change with", record.would_change)


def _status_row(s: Status) -> tuple[object, ...]:
    champion, verdict, decision = s.champion, s.verdict, s.decision
    return (
        s.model,
        s.mode,
        f"{champion.sequence} (version {champion.version})" if champion else None,
        champion.estimator.rpartition(".")[2] if champion else None,
        f"{champion.cutoff:%Y-%m-%d}" if champion else None,
        f"{verdict.decision} {short(verdict.id)}" if verdict else None,
        f"{decision.outcome} {decision.as_of:%Y-%m-%d}" if decision else None,
        len(s.requests),
        s.stale,
    )


def _find(work: Workspace, identity: str) -> Verdict | TriggerDecision:
    verdict = work.ledger.verdict(identity)
    if verdict is not None:
        return verdict
    models = work.ledger.models()
    for model in models:
        for decision in work.ledger.decisions(model):
            if decision.id.startswith(identity):
                return decision
    verdicts = work.ledger.verdicts(identity)
    if verdicts:
        return verdicts[-1]
    raise RequestError(f"there is no verdict, decision or judged model {identity}. `history MODEL` lists the ids.")


def _print_list(title: str, items: tuple[str, ...]) -> None:
    if items:
        console.print(f"{title}:", markup=False)
        for item in items:
            console.print(f"  - {item}", markup=False)


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (check, status, history, explain):
        app.command()(command)
