"""Monitor: collect the day, measure it, judge a release on probation, decide whether to ask for a retraining."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from retraining.data import ingest, plan
from retraining.errors import MonitorFailed, RetrainingError, Unavailable, said
from retraining.gate.probation import taken_back_at
from retraining.monitor import triggers
from retraining.pipeline import probation as forward
from retraining.pipeline.common import Report, admissible, needs_time, silent
from retraining.pipeline.requests import end_requests
from retraining.records import Alert, Measurement, TriggerDecision, Window
from retraining.spec import FrozenSpec
from retraining.windows import floor, nominal, step
from retraining.workspace import Workspace


def collect(workspace: Workspace, frozen: FrozenSpec, as_of: datetime) -> int:
    """Read the newest partition and the labels that became final; return how many partitions were read."""
    admissible(workspace, frozen, as_of)
    data = frozen.spec.data
    mature, end = plan.mature_end(data, as_of), floor(as_of, data.partition)
    start = min(step(end, data.partition, -1), step(mature, data.partition, -1))
    with _alarmed(workspace, frozen, as_of):
        return ingest.read_window(workspace.reader(frozen), Window(start, end), as_of).n_partitions_read


def measure(workspace: Workspace, frozen: FrozenSpec, as_of: datetime, *, html: bool = False) -> Measurement:
    """Measure one day. A monitor that cannot compute leaves an alert and fails."""
    from retraining.monitor.measure import measure as look

    with _alarmed(workspace, frozen, as_of):
        return look(workspace, frozen, as_of, html=html)


def probation(workspace: Workspace, frozen: FrozenSpec, as_of: datetime) -> str | None:
    """Judge the newest release on the rows it met since; return what it came to, None where none is on probation.

    A release that is shown to be worse than the one before it is taken back. Doing so again changes nothing.
    """
    with _alarmed(workspace, frozen, as_of):
        return forward.judge(workspace, frozen, as_of, "monitor")


def decide(workspace: Workspace, frozen: FrozenSpec, measurement: Measurement) -> TriggerDecision:
    """Decide whether a measurement asks for a retraining, and write the decision and its request down.

    Deciding again changes nothing: the decision of an as-of time, with the measurement it was made from, stands.
    """
    with _alarmed(workspace, frozen, measurement.as_of):
        measured = workspace.ledger.measurement(frozen.model, measurement.as_of) or measurement
        if frozen.spec.mode == "observe":
            end_requests(workspace, frozen.model, measured.as_of, "mode is observe: nothing is retrained by itself")
        known = workspace.ledger.decision(frozen.model, measured.as_of) or _decided(workspace, frozen, measured)
        for kind, text in _worth_telling(known, measured):
            workspace.ledger.add_alert(_alert(workspace, frozen, measured.as_of, kind, text))
        return known


def must_wake(workspace: Workspace, frozen: FrozenSpec) -> bool:
    """Tell whether the retraining must be woken: as long as a request is open, whoever opened it, that it may serve."""
    return frozen.spec.mode != "observe" and bool(workspace.ledger.open_requests(frozen.model))


def run(
    workspace: Workspace, frozen: FrozenSpec, as_of: datetime, report: Report = silent, *, html: bool = False
) -> TriggerDecision:
    """Measure, judge and decide in this process, exactly as the DAG does; nothing is started from here."""
    from retraining.monitor.measure import summary

    needs_time(frozen)
    try:
        admissible(workspace, frozen, as_of)
        measurement = measure(workspace, frozen, as_of, html=html)
        report("measure", summary(measurement))
        judged = probation(workspace, frozen, as_of)
        if judged is not None:
            report("probation", judged)
        decision = decide(workspace, frozen, measurement)
    except Unavailable as error:
        _alarm(workspace, frozen.model, as_of, error)  # nobody tries again after this process
        raise
    report("decide", f"{decision.outcome}: {'; '.join(decision.reasons)}")
    return decision


def _decided(workspace: Workspace, frozen: FrozenSpec, measured: Measurement) -> TriggerDecision:
    """Decide, and record the decision together with the request it opens."""
    ledger, model, policy = workspace.ledger, frozen.model, triggers.Policy.of(frozen.spec)
    oldest = step(measured.window.end, frozen.spec.data.partition, 1 - policy.n)
    is_open = bool(ledger.open_requests(model))
    situation = triggers.Situation(
        recent=(measured, *ledger.measurements(model, oldest, measured.as_of)),
        last_verdict_as_of=ledger.last_verdict_time(model, measured.as_of),
        taken_back_as_of=taken_back_at(ledger.champion(model), measured.as_of),
        open_request=is_open,
    )
    made = triggers.decide(situation, policy)
    asks = triggers.make_request(made) if made.outcome == "ask" and not is_open else None
    return ledger.add_decision(made, asks)


@contextmanager
def _alarmed(workspace: Workspace, frozen: FrozenSpec, as_of: datetime) -> Iterator[None]:
    """Make whatever stops the monitor an alert and a failure.

    Raises
    ------
    MonitorFailed
        With the cause, whatever its type.
    Unavailable
        As it is: a scheduler tries again, and its last failure is the alert.
    """
    try:
        yield
    except Unavailable:
        raise
    except Exception as error:  # a defect of ours or of a library is no quiet day either
        _alarm(workspace, frozen.model, as_of, error)
        raise MonitorFailed(_cause(frozen.model, error)) from error


def _alarm(workspace: Workspace, model: str, as_of: datetime, error: Exception) -> None:
    text = (
        f"{_cause(model, error).removesuffix('.')}. The monitor could not compute; that is an alarm, not a quiet day."
    )
    with suppress(Unavailable):  # the ledger may be what is away: then the failure itself has to do
        workspace.ledger.add_alert(Alert(model, "monitor failed", as_of, text))


def _cause(model: str, error: Exception) -> str:
    return str(error) if isinstance(error, RetrainingError) and str(error) else f"{model}: {said(error)}"


def _worth_telling(decision: TriggerDecision, measured: Measurement) -> Iterator[tuple[str, str]]:
    """Yield the kinds of alerts a day gives, each with what it says."""
    done = f"Done automatically: {decision.outcome}."
    if measured.health:
        yield "data health", f"{'; '.join(measured.health)}. {done} Look at the source."
    if measured.unknown:
        yield "not computable", f"{'; '.join(measured.unknown)}. {done} Look at the labels and at monitor.business.sql."
    if decision.outcome == "suggest":
        yield "suggestion", f"{decision.reason}. {done} Trigger retrain__{decision.model} if you agree."


def _alert(workspace: Workspace, frozen: FrozenSpec, when: datetime, kind: str, text: str) -> Alert:
    """Return an alert about a day; of days in a row it is one alert that goes on."""
    pause = 2 * nominal(frozen.spec.data.partition)  # the next partition's run may come at any hour of it
    incident = workspace.ledger.incident(frozen.model, kind, when, pause)
    return Alert(frozen.model, kind, when, f"{frozen.model}: {text}", incident)
