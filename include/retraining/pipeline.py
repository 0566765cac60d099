"""The stages in order. The DAGs call the same functions, one per task; `run`, `score` and `monitor` call them in a row.

Every stage reads records by id, and running it again has no second effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from retraining import ingest, triggers
from retraining.errors import LedgerError, MonitorFailed, RequestError, RetrainingError
from retraining.records import (
    Admission,
    Alert,
    Champion,
    Deployment,
    Evaluation,
    Ingested,
    Measurement,
    PredictionSet,
    Release,
    Snapshot,
    Trained,
    Tried,
    TriggerDecision,
    Validated,
    Validation,
    Verdict,
    Window,
    short,
    shown_day,
)
from retraining.spec import FrozenSpec
from retraining.windows import floor, step
from retraining.workspace import Workspace

Report = Callable[[str, str], None]
"""Called with a stage's name and a sentence when the stage is done."""


def silent(_stage: str, _text: str) -> None:
    """Report nothing."""


# --- retrain ------------------------------------------------------------------------------------------------------


def ingest_for_training(workspace: Workspace, admission: Admission) -> Ingested:
    """Read the window of a retraining and freeze its train, holdout and refit snapshots."""
    frozen = workspace.frozen(admission.spec_id)
    data, spec = frozen.spec.data, frozen.spec
    champion = _champion(workspace, admission)
    cutoff = champion.cutoff if champion else None
    train, holdout, refit = ingest.plan_windows(data, spec.training.window, spec.gate.holdout, admission.as_of, cutoff)
    reader = workspace.reader(frozen)
    span = Window(min(train.start, refit.start), holdout.end)
    extent = ingest.read_window(reader, span, admission.as_of)

    def freeze(window: Window) -> Snapshot:
        return ingest.snapshot(reader, extent, window, admission.as_of, labels=True)

    known, judged, refitted = freeze(train), freeze(holdout), freeze(refit)
    if champion is not None and not data.time_ordered and _is_of(workspace, champion, frozen, known):
        judged = freeze(Window(holdout.end, holdout.end))  # nothing is newer than what the champion was judged on
    return Ingested(known, judged, refitted, extent.n_partitions_read, extent.n_chunks_written)


def _is_of(workspace: Workspace, champion: Champion, frozen: FrozenSpec, train: Snapshot) -> bool:
    from retraining import artifacts

    card = artifacts.read_card(workspace.store, champion.release_id)
    return (card.snapshot_id, card.learning_id) == (train.id, frozen.learning_id)


def snapshot_ids(ingested: Ingested) -> dict[str, Any]:
    """Return what crosses a task boundary of an ingestion: ids, not chunk lists."""
    return {
        "train": ingested.train.id,
        "holdout": ingested.holdout.id,
        "refit": ingested.refit.id,
        "n_partitions_read": ingested.n_partitions_read,
        "n_chunks_written": ingested.n_chunks_written,
    }


def ingested_from(workspace: Workspace, ids: Mapping[str, Any]) -> Ingested:
    """Read the manifests that `snapshot_ids` named."""
    train, holdout, refit = (ingest.read_manifest(workspace.store, ids[k]) for k in ("train", "holdout", "refit"))
    return Ingested(train, holdout, refit, ids["n_partitions_read"], ids["n_chunks_written"])


def verdict_of(workspace: Workspace, verdict_id: str) -> Verdict:
    """Return a verdict that the ledger must have."""
    verdict = workspace.ledger.verdict(verdict_id)
    if verdict is None:
        raise LedgerError(f"there is no verdict {short(verdict_id)} in the ledger; was it restored from a backup?")
    return verdict


def validate_for_training(workspace: Workspace, admission: Admission, ingested: Ingested) -> Validated:
    """Check every row of the training and holdout windows once, and the refit window, which holds both, as a whole."""
    from retraining.validate import validate, validate_rows

    frozen = workspace.frozen(admission.spec_id)

    def accepted(snapshot: Snapshot) -> Snapshot:
        return validate_rows(workspace.store, workspace.ledger, frozen, snapshot).snapshot

    train = accepted(ingested.train)
    holdout = accepted(ingested.holdout) if ingested.holdout.features else ingested.holdout
    refit = validate(workspace.store, workspace.ledger, frozen, ingested.refit)
    usable = replace(ingested, train=train, holdout=holdout, refit=refit.snapshot)
    return Validated(usable, refit.validation)


def describe_validation(validation: Validation) -> str:
    """Say in a line what the checks found, and where the page is."""
    aside = f"; {validation.n_aside:,} of {validation.n_rows:,} rows set aside" if validation.n_aside else ""
    return f"{validation.n_checks} checks, {len(validation.problems)} warnings{aside}; {validation.report_key}"


def try_candidate(workspace: Workspace, admission: Admission, ingested: Ingested, index: int) -> Tried | None:
    """Try one candidate by time-ordered cross-validation; None where the frozen spec has fewer."""
    from retraining import train as training

    job = training.Job(workspace, workspace.frozen(admission.spec_id), ingested.train)
    return training.try_candidate(job, index) if index < job.n_candidates else None


def choose(workspace: Workspace, admission: Admission, ingested: Ingested, tried: Iterable[Tried]) -> Trained:
    """Choose among the candidates and fit the chosen one up to the holdout; what is missing in `tried` is tried."""
    from retraining import train as training

    return training.choose(training.Job(workspace, workspace.frozen(admission.spec_id), ingested.train), tried)


def train(workspace: Workspace, admission: Admission, ingested: Ingested, report: Report = silent) -> Trained:
    """Try every candidate and choose, on rows that are loaded once."""
    from retraining import train as training

    frozen = workspace.frozen(admission.spec_id)
    job = training.Job(workspace, frozen, ingested.train)
    tried = []
    for index in range(job.n_candidates):
        tried.append(training.try_candidate(job, index))
        report("train", training.describe(tried[-1], frozen.spec.training.metric))
    trained = training.choose(job, tried)
    report("choose", trained.why)
    return trained


def evaluate(workspace: Workspace, admission: Admission, ingested: Ingested, trained: Trained) -> Evaluation:
    """Judge the candidate on the holdout; the result is reused as long as its inputs are the same.

    A deployment that was killed before it set the registry's alias is completed first, and an alias that was moved by
    hand is reported: this is the first stage after which the run may end without a deployment of its own.
    """
    from retraining.deploy import sync_alias
    from retraining.evaluate import evaluate as judge

    sync_alias(workspace, admission.model, admission.as_of)
    holdout = ingested.holdout
    champion = _champion(workspace, admission)
    frozen = workspace.frozen(admission.spec_id)
    present = holdout if holdout.features else None
    return judge(workspace, frozen, trained, present, holdout.window, admission.as_of, champion, ingested.refit.id)


def gate(workspace: Workspace, admission: Admission, evaluation: Evaluation) -> Verdict:
    """Decide, and write the verdict with the requests it serves, and its page."""
    from retraining.gate import Policy, make_verdict
    from retraining.verdicts.page import keep

    policy = Policy.of(workspace.frozen(admission.spec_id).spec)
    verdict = make_verdict(evaluation, policy, dry_run=admission.dry_run)
    stands = workspace.ledger.add_verdict(verdict, admission.requests)
    keep(workspace, stands)
    return stands


def release(
    workspace: Workspace, admission: Admission, ingested: Ingested, trained: Trained, verdict: Verdict
) -> Release:
    """Refit the promoted recipe and bind the release to the verdict."""
    from retraining.release import release as refit

    frozen = workspace.frozen(admission.spec_id)
    return refit(workspace, frozen, trained, verdict, ingested.holdout, ingested.refit)


def deploy(workspace: Workspace, verdict: Verdict, release_id: str, by: str) -> Deployment:
    """Make the release the champion, unless the YAML wants a person's answer first."""
    from retraining.approval import has_warning, needs_approval
    from retraining.deploy import deploy as move

    spec = workspace.frozen(verdict.evaluation.spec_id).spec
    wait = needs_approval(spec, warned=has_warning(verdict))
    return move(workspace, verdict, release_id, wait_for_approval=wait, by=by)


def announce(admission: Admission, verdict: Verdict | None, deployment: Deployment | None) -> str:
    """Say in a sentence what a retraining run came to."""
    if admission.skip:
        return f"{admission.model}: skipped: {admission.skip}"
    if verdict is None:
        return f"{admission.model}: ended without a verdict; see the failed task"
    head = f"{admission.model}, as of {admission.as_of:%Y-%m-%d %H:%M}: {verdict.decision} ({short(verdict.id)})"
    parts = [head + (" [dry run]" if verdict.dry_run else ""), *verdict.reasons]
    return "; ".join([*parts, *([deployment.detail] if deployment else [])])


@dataclass(frozen=True)
class RunResult:
    """What one retraining in one process came to."""

    admission: Admission
    verdict: Verdict | None
    deployment: Deployment | None

    @property
    def text(self) -> str:
        """The sentence the run ends with."""
        return announce(self.admission, self.verdict, self.deployment)


def retrain(workspace: Workspace, admission: Admission, report: Report = silent) -> RunResult:
    """Run every stage of a retraining in this process, exactly as the DAG does."""
    if admission.skip:
        return RunResult(admission, None, None)
    ingested = ingest_for_training(workspace, admission)
    report("ingest", f"{ingested.refit.describe()}; {ingested.n_partitions_read} partitions read")
    validated = validate_for_training(workspace, admission, ingested)
    report("validate", describe_validation(validated.validation))
    ingested = validated.ingested
    trained = train(workspace, admission, ingested, report)
    evaluation = evaluate(workspace, admission, ingested, trained)
    report("evaluate", f"{evaluation.n_rows:,} holdout rows in {evaluation.n_blocks} blocks, rule {evaluation.rule}")
    verdict = gate(workspace, admission, evaluation)
    report("gate", f"{verdict.decision}: {verdict.reasons[-1]}")
    if verdict.decision != "promote" or verdict.dry_run:
        return RunResult(admission, verdict, None)
    made = release(workspace, admission, ingested, trained, verdict)
    report("release", f"{short(made.id)}, trained through {shown_day(made.cutoff)}")
    deployment = deploy(workspace, verdict, made.id, by="gate")
    report("deploy", deployment.detail)
    return RunResult(admission, verdict, deployment)


# --- score --------------------------------------------------------------------------------------------------------


def score(workspace: Workspace, frozen: FrozenSpec, as_of: datetime, report: Report = silent) -> list[PredictionSet]:
    """Score every whole partition that nobody scored yet."""
    from retraining.score import pin_champion, predict, publish

    _needs_time(frozen)
    champion = pin_champion(workspace, frozen.model)
    windows = ingest_for_scoring(workspace, frozen, champion, as_of)
    validate_for_scoring(workspace, frozen, windows, as_of)
    report("validate", f"{len(windows)} partitions to score with champion {champion.sequence}")
    found = publish(workspace, predict(workspace, frozen, champion, windows, as_of))
    report("publish", f"{sum(p.n_rows for p in found):,} predictions in {len(found)} partitions")
    return found


def ingest_for_scoring(workspace: Workspace, frozen: FrozenSpec, champion: Champion, as_of: datetime) -> list[Window]:
    """Read the partitions that nobody scored yet; return their windows."""
    from retraining.score import windows_to_score

    windows = windows_to_score(workspace, frozen, champion, as_of)
    if windows:
        ingest.read_window(workspace.reader(frozen), Window(windows[0].start, windows[-1].end), as_of)
    return windows


def validate_for_scoring(workspace: Workspace, frozen: FrozenSpec, windows: list[Window], as_of: datetime) -> int:
    """Check the rows to be scored, also against what the champion was trained on; return how many there are."""
    from retraining.validate import check_skew, validate_rows

    if not windows:
        return 0
    reader = workspace.reader(frozen)
    span = Window(windows[0].start, windows[-1].end)
    extent = ingest.read_window(reader, span, as_of)
    if not any(extent.chunks.values()):
        return 0
    snapshot = ingest.snapshot(reader, extent, span, as_of, labels=False)
    accepted = validate_rows(workspace.store, workspace.ledger, frozen, snapshot).snapshot
    check_skew(workspace.store, workspace.ledger, frozen, accepted)
    return accepted.n_rows


# --- monitor ------------------------------------------------------------------------------------------------------


def collect_for_monitor(workspace: Workspace, frozen: FrozenSpec, as_of: datetime) -> int:
    """Read the newest partition and the labels that became final; return how many partitions were read."""
    data = frozen.spec.data
    mature, end = ingest.mature_end(data, as_of), floor(as_of, data.partition)
    start = min(step(end, data.partition, -1), step(mature, data.partition, -1))
    return ingest.read_window(workspace.reader(frozen), Window(start, end), as_of).n_partitions_read


def measure(workspace: Workspace, frozen: FrozenSpec, as_of: datetime, *, html: bool = False) -> Measurement:
    """Measure one day. A monitor that cannot compute leaves an alert and fails."""
    from retraining.monitor import measure as look

    try:
        return look(workspace, frozen, as_of, html=html)
    except RetrainingError as error:
        text = f"{error} The monitor could not compute; that is an alarm, not a quiet day."
        workspace.ledger.add_alert(Alert(frozen.model, "monitor failed", as_of, text))
        raise MonitorFailed(str(error)) from error


def decide(workspace: Workspace, frozen: FrozenSpec, measurement: Measurement) -> TriggerDecision:
    """Decide whether a measurement asks for a retraining, and write the decision and its request down."""
    model, as_of = frozen.model, measurement.as_of
    known = workspace.ledger.decision(model, as_of)
    if known is None:
        policy = triggers.Policy.of(frozen.spec)
        oldest = step(measurement.window.start, frozen.spec.data.partition, 1 - policy.n)
        earlier = workspace.ledger.measurements(model, as_of, policy.n - 1)
        verdicts = [v.evaluation.as_of for v in workspace.ledger.verdicts(model) if not v.dry_run]
        situation = triggers.Situation(
            recent=(measurement, *(m for m in earlier if m.window.start >= oldest)),
            last_verdict_as_of=max((v for v in verdicts if v <= as_of), default=None),
            open_request=bool(workspace.ledger.open_requests(model)),
        )
        known = workspace.ledger.add_decision(triggers.decide(situation, policy))
    if known.outcome == "ask" and not workspace.ledger.open_requests(model):
        workspace.ledger.add_request(triggers.make_request(known))
    if known.outcome == "suggest" or measurement.health:
        workspace.ledger.add_alert(_monitor_alert(known, measurement))
    return known


def must_wake(workspace: Workspace, model: str) -> bool:
    """Tell whether the retraining must be woken: as long as a request is open, whoever opened it."""
    return bool(workspace.ledger.open_requests(model))


def monitor(
    workspace: Workspace, frozen: FrozenSpec, as_of: datetime, report: Report = silent, *, html: bool = False
) -> TriggerDecision:
    """Measure and decide in this process, exactly as the DAG does; nothing is started from here."""
    from retraining.monitor import summary

    _needs_time(frozen)
    measurement = measure(workspace, frozen, as_of, html=html)
    report("measure", summary(measurement))
    decision = decide(workspace, frozen, measurement)
    report("decide", f"{decision.outcome}: {'; '.join(decision.reasons)}")
    return decision


def _needs_time(frozen: FrozenSpec) -> None:
    if not frozen.spec.data.time_ordered:
        raise RequestError(
            f"{frozen.model}: its rows have no time, so there is no day to score or to watch. Name data.time_column, "
            "or score rows with the model version in MLflow."
        )


def _monitor_alert(decision: TriggerDecision, measurement: Measurement) -> Alert:
    cause = "; ".join(measurement.health) or decision.reason
    todo = (
        f"Trigger retrain__{decision.model} if you agree." if decision.outcome == "suggest" else "Look at the source."
    )
    text = f"{decision.model}: {cause}. Done automatically: {decision.outcome}. {todo}"
    return Alert(decision.model, "data health" if measurement.health else "suggestion", decision.as_of, text)


def _champion(workspace: Workspace, admission: Admission) -> Champion | None:
    return None if admission.champion is None else workspace.ledger.champion(admission.model, admission.champion)
