"""Questions: status, history, explain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retraining.cli.cards import write_page
from retraining.cli.common import Json, ModelOrDecision, OptionalModel, ShownModel, time_or_now, workspace
from retraining.cli.output import EXIT_FAILED, console, print_json, print_table
from retraining.errors import RequestError
from retraining.records import Champion, TriggerDecision, Verdict, short, shown_day, to_dict
from retraining.workspace import Workspace

if TYPE_CHECKING:
    from retraining.audit.history import VersionEntry
    from retraining.audit.status import Status


def status(
    model: OptionalModel = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Judge staleness at this time; default: now.")] = None,
    fail_if_stale: Annotated[bool, typer.Option("--fail-if-stale", help="Exit 1 when a model is stale.")] = False,
    json: Json = False,
) -> None:
    """Show champion, newest verdict, newest decision and open requests of each model."""
    from retraining.audit.status import Known
    from retraining.audit.status import status as status_of
    from retraining.spec import find_models

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
        for w in (w for s in found for w in s.waiting):
            console.print(f"{w.model}: verdict {short(w.verdict_id)} waits {w.what}. {w.how}", markup=False)
        for s in (s for s in found if s.probation):
            console.print(f"{s.model}: {s.probation}. `history {s.model}` has the figures.", markup=False)
    if fail_if_stale and any(s.stale for s in found):
        raise typer.Exit(EXIT_FAILED)


def history(
    model: ShownModel,
    versions: Annotated[
        bool, typer.Option("--versions", help="Per champion: its data, code, verdict and time in office.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the champion history, every verdict, decision, request and alert of a model, in order."""
    from retraining.audit.history import events_of
    from retraining.rollout.waiting import waiting

    work = workspace()
    if versions:
        _show_versions(work, model, json)
        return
    events = events_of(work.ledger, model, waiting(work, model))
    if not events:
        work.spec(model)  # raises when there is no such model
    if json:
        print_json([to_dict(e) for e in events])
    else:
        rows = [(e.as_of, e.event, e.id, e.text) for e in events]
        print_table(f"History of {model}", ("as of", "event", "id", "what"), rows)


def explain(
    identity: ModelOrDecision,
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
        _print_origins(record)
        _print_checklist(work, record)
        _print_list("how sure", _how_sure(record))
    _print_list("it would change with", record.would_change)


def _print_checklist(work: Workspace, verdict: Verdict) -> None:
    release = work.ledger.release_of(verdict.id)
    items = (*verdict.checklist, *(release.checklist if release else ()))
    if items:
        rows = [(i.name, i.outcome, i.figure, i.limit) for i in items]
        print_table("Checklist", ("item", "result", "found", "limit"), rows)


def _how_sure(verdict: Verdict) -> tuple[str, ...]:
    from retraining.gate.measured import where_it_holds

    said = where_it_holds(verdict.evaluation)
    return () if said is None else (said,)


def _print_origins(verdict: Verdict) -> None:
    found = verdict.evaluation.replacement
    if found is None or not found.origins:
        return
    rows = [(o.holdout, f"{o.n_rows:,}", _figure(o.candidate), _figure(o.champion)) for o in found.origins]
    print_table("Origins", ("holdout", "rows", "challenger's recipe", "champion's recipe"), rows)
    _print_list("left out", found.left_out)


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _show_versions(work: Workspace, model: str, json: bool) -> None:
    from retraining.audit.history import versions_of

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
        _verdict(verdict, s) if verdict else None,
        f"{decision.outcome} {decision.as_of:%Y-%m-%d}" if decision else None,
        len(s.requests),
        s.stale,
    )


def _verdict(verdict: Verdict, s: Status) -> str:
    waits = any(w.verdict_id == verdict.id for w in s.waiting)
    return f"{verdict.decision} {short(verdict.id)}{', waiting' if waits else ''}"


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
    """Return what people said, or are asked, about a verdict: an answer, an override, what it waits for."""
    from retraining.rollout.waiting import waits_for

    if not isinstance(record, Verdict):
        return {}
    answer = work.ledger.approval_of(record.id)
    made = work.ledger.override_of(record.id)
    return {
        "approval": None if answer is None else to_dict(answer),
        "override": None if made is None else to_dict(made),
        "waiting": None if (waits := waits_for(work, record)) is None else to_dict(waits),
    }


def _said(work: Workspace, record: Verdict | TriggerDecision) -> list[str]:
    from retraining.audit.history import describe_answer, describe_override, describe_probation
    from retraining.rollout.waiting import waits_for

    if not isinstance(record, Verdict):
        return []
    answer = work.ledger.approval_of(record.id)
    made = work.ledger.override_of(record.id)
    outcome = work.ledger.outcome(record.id)
    own = work.ledger.verdict_instead_of(record)
    found = [f"in its place, the champion's own recipe: {own.decision} {short(own.id)}"] if own else []
    found += [f"{outcome.outcome}: {outcome.detail}"] if outcome else []
    forward = describe_probation(work.ledger, record.id)
    found += [forward] if forward else []
    found += [describe_answer(answer)] if answer else []
    waits = waits_for(work, record)
    found += [f"waiting {waits.what}. {waits.how}"] if waits else []
    return found + ([describe_override(made)] if made else [])


def _print_list(title: str, items: tuple[str, ...]) -> None:
    if items:
        console.print(f"{title}:", markup=False)
        for item in items:
            console.print(f"  - {item}", markup=False)


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (status, history, explain):
        app.command()(command)
