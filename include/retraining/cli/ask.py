"""Questions: check, status, history, explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retraining.audit.history import VersionEntry, describe_answer, describe_override, events_of, versions_of
from retraining.audit.status import Known, Status
from retraining.audit.status import status as status_of
from retraining.care.verify import verify
from retraining.checking import check_spec
from retraining.cli.cards import write_page
from retraining.cli.common import Json, time_or_now, workspace
from retraining.cli.output import EXIT_FAILED, console, print_json, print_table
from retraining.cli.stored import print_verification
from retraining.errors import RequestError, RetrainingError
from retraining.records import Champion, TriggerDecision, Verdict, short, shown_day, to_dict
from retraining.spec import find_models, load
from retraining.workspace import Workspace

OptionalModel = Annotated[str | None, typer.Argument(help="A model's name; default: all.")]


def check(
    model: OptionalModel = None,
    store: Annotated[bool, typer.Option("--store", help="Check the object store instead: damage and gaps.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="With --store: compute every chunk's id again, too.")] = False,
    json: Json = False,
) -> None:
    """Check the YAMLs: keys, SQL, estimators, metrics, expectations, schedules. With --store: what is stored."""
    work = workspace()
    if store or deep:
        _check_store(work, model, deep=deep, as_json=json)
        return
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


def _check_store(work: Workspace, model: str | None, *, deep: bool, as_json: bool) -> None:
    if model is not None:
        raise RequestError("check --store looks at the whole store, which models share: leave the model out.")
    found = verify(work, deep=deep)
    if as_json:
        print_json(to_dict(found))
    else:
        print_verification(found)
    if found.damage:
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
    now = time_or_now(as_of)
    known = None if model else Known.of_all(work.ledger, now)
    found = [status_of(work, work.spec(name), now, known) for name in names]
    if json:
        print_json([to_dict(s) for s in found])
    else:
        columns = ("model", "mode", "champion", "estimator", "trained to", "last verdict", "monitor", "open", "stale")
        print_table("Models", columns, [_status_row(s) for s in found])
    if fail_if_stale and any(s.stale for s in found):
        raise typer.Exit(EXIT_FAILED)


def history(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    versions: Annotated[
        bool, typer.Option("--versions", help="Per champion: its data, code, verdict and time in office.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the champion history, every verdict, decision, request and alert of a model, in order."""
    work = workspace()
    if versions:
        _show_versions(work, model, json)
        return
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
    html: Annotated[Path | None, typer.Option("--html", help="Write a verdict's page into this file, too.")] = None,
    json: Json = False,
) -> None:
    """Explain a verdict or a trigger decision: reasons, figures, and what would have to change."""
    work = workspace()
    record = _find(work, identity)
    if html is not None:
        write_page(work, record, html)
    if json:
        print_json({**to_dict(record), **_people(work, record)})
        return
    kind = "verdict" if isinstance(record, Verdict) else "decision"
    outcome = record.decision if isinstance(record, Verdict) else record.outcome
    as_of = record.evaluation.as_of if isinstance(record, Verdict) else record.as_of
    console.print(
        f"{record.model}, {kind} {short(record.id)}, as of {as_of:%Y-%m-%d %H:%M} UTC: {outcome}", markup=False
    )
    if isinstance(record, Verdict) and record.evaluation.chosen:
        _print_list("chosen", (record.evaluation.chosen,))
    for text in _said(work, record):
        console.print(text, markup=False)
    _print_list("because", record.reasons)
    if isinstance(record, Verdict):
        _print_checklist(work, record)
    _print_list("it would change with", record.would_change)


def _print_checklist(work: Workspace, verdict: Verdict) -> None:
    release, outcome = work.ledger.release_of(verdict.id), work.ledger.outcome(verdict.id)
    items = (*verdict.checklist, *(release.checklist if release else ()))
    if items:
        rows = [(i.name, i.outcome, i.figure, i.limit) for i in items]
        print_table("Checklist", ("item", "result", "found", "limit"), rows)
    if outcome is not None:
        console.print(f"it was {outcome.outcome}: {outcome.detail}", markup=False)


def _show_versions(work: Workspace, model: str, json: bool) -> None:
    found = versions_of(work.ledger, work.store, model)
    if not found:
        work.spec(model)  # raises when there is no such model
    if json:
        print_json([to_dict(v) for v in found])
        return
    columns = ("entry", "version", "champion", "data", "code", "verdict")
    print_table(f"Versions of {model}", columns, [_version_row(v) for v in found])
    for v in found:
        if v.problem:
            console.print(f"entry {v.sequence}: {v.problem}", markup=False)


def _version_row(v: VersionEntry) -> tuple[object, ...]:
    until = f"{v.until:%Y-%m-%d %H:%M}" if v.until else "now"
    rows = f"{short(v.snapshot_id)}: {v.n_rows:,} rows, {v.window}" if v.window else None
    made_in = short(v.environment_id) if v.environment_id else "unreadable"
    code = f"spec {short(v.spec_id)}, recipe {short(v.recipe_id)}, environment {made_in}"
    return (
        v.sequence,
        v.version,
        f"{v.as_of:%Y-%m-%d %H:%M} to {until}, {v.kind} by {v.by}",
        rows,
        f"{v.estimator.rpartition('.')[2]}, {v.provenance or code}",
        f"{v.decision} {short(v.verdict_id)}" if v.decision else None,
    )


def _status_row(s: Status) -> tuple[object, ...]:
    champion, verdict, decision = s.champion, s.verdict, s.decision
    return (
        s.model,
        s.mode,
        _champion(champion) if champion else None,
        champion.estimator.rpartition(".")[2] if champion else None,
        shown_day(champion.cutoff) if champion else None,
        f"{verdict.decision} {short(verdict.id)}" if verdict else None,
        f"{decision.outcome} {decision.as_of:%Y-%m-%d}" if decision else None,
        len(s.requests),
        s.stale,
    )


def _champion(champion: Champion) -> str:
    mark = f", override by {champion.by}" if champion.kind == "override" else ""
    return f"{champion.sequence} (version {champion.version}{mark})"


def _find(work: Workspace, identity: str) -> Verdict | TriggerDecision:
    verdict = work.ledger.verdict(identity)
    if verdict is not None:
        return verdict
    found = work.ledger.decision_by_id(identity) or work.ledger.newest_verdict(identity)
    if found is not None:
        return found
    raise RequestError(f"there is no verdict, decision or judged model {identity}. `history MODEL` lists the ids.")


def _people(work: Workspace, record: Verdict | TriggerDecision) -> dict[str, object]:
    """Return what people said about a verdict: the answer to a promotion that waited, an override."""
    if not isinstance(record, Verdict):
        return {}
    answer = work.ledger.approval_of(record.id)
    made = work.ledger.override_of(record.id)
    return {
        "approval": None if answer is None else to_dict(answer),
        "override": None if made is None else to_dict(made),
    }


def _said(work: Workspace, record: Verdict | TriggerDecision) -> list[str]:
    if not isinstance(record, Verdict):
        return []
    answer = work.ledger.approval_of(record.id)
    made = work.ledger.override_of(record.id)
    outcome = work.ledger.outcome(record.id)
    found = [f"{outcome.outcome}: {outcome.detail}"] if outcome else []
    found += [describe_answer(answer)] if answer else []
    return found + ([describe_override(made)] if made else [])


def _print_list(title: str, items: tuple[str, ...]) -> None:
    if items:
        console.print(f"{title}:", markup=False)
        for item in items:
            console.print(f"  - {item}", markup=False)


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (check, status, history, explain):
        app.command()(command)
