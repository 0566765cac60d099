"""Monitor: collect the day, measure it, decide whether to ask for a retraining."""

from __future__ import annotations

from datetime import datetime

from retraining.data import ingest, plan
from retraining.errors import MonitorFailed, RetrainingError
from retraining.monitor import triggers
from retraining.pipeline.common import Report, admissible, needs_time, silent
from retraining.records import Alert, Measurement, TriggerDecision, Window
from retraining.spec import FrozenSpec
from retraining.windows import floor, step
from retraining.workspace import Workspace


def collect(workspace: Workspace, frozen: FrozenSpec, as_of: datetime) -> int:
    """Read the newest partition and the labels that became final; return how many partitions were read."""
    admissible(workspace, frozen, as_of)
    data = frozen.spec.data
    mature, end = plan.mature_end(data, as_of), floor(as_of, data.partition)
    start = min(step(end, data.partition, -1), step(mature, data.partition, -1))
    return ingest.read_window(workspace.reader(frozen), Window(start, end), as_of).n_partitions_read


def measure(workspace: Workspace, frozen: FrozenSpec, as_of: datetime, *, html: bool = False) -> Measurement:
    """Measure one day. A monitor that cannot compute leaves an alert and fails."""
    from retraining.monitor.measure import measure as look

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
        situation = triggers.Situation(
            recent=(measurement, *(m for m in earlier if m.window.start >= oldest)),
            last_verdict_as_of=workspace.ledger.last_verdict_time(model, as_of),
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


def run(
    workspace: Workspace, frozen: FrozenSpec, as_of: datetime, report: Report = silent, *, html: bool = False
) -> TriggerDecision:
    """Measure and decide in this process, exactly as the DAG does; nothing is started from here."""
    from retraining.monitor.measure import summary

    needs_time(frozen)
    admissible(workspace, frozen, as_of)
    measurement = measure(workspace, frozen, as_of, html=html)
    report("measure", summary(measurement))
    decision = decide(workspace, frozen, measurement)
    report("decide", f"{decision.outcome}: {'; '.join(decision.reasons)}")
    return decision


def _monitor_alert(decision: TriggerDecision, measurement: Measurement) -> Alert:
    cause = "; ".join(measurement.health) or decision.reason
    todo = (
        f"Trigger retrain__{decision.model} if you agree." if decision.outcome == "suggest" else "Look at the source."
    )
    text = f"{decision.model}: {cause}. Done automatically: {decision.outcome}. {todo}"
    return Alert(decision.model, "data health" if measurement.health else "suggestion", decision.as_of, text)
