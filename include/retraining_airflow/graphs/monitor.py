"""`monitor__M`: collect > measure > probation > decide > request (skipped unless asked) > announce."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, Param, TriggerRule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from retraining.spec import FrozenSpec, Spec
from retraining.windows import format_duration
from retraining_airflow import boundary
from retraining_airflow.graphs.common import as_of_param, cron, dag_arguments, with_params
from retraining_airflow.names import MONITOR, dag_id, request_asset
from retraining_airflow.pages import page

Ids = dict[str, Any]

_TRIGGERS = """- the schedule `{schedule}` (UTC), after scoring
- a person

It asks for a retraining when performance really fell, or when columns that matter drifted on {k} of {n} days and
performance is unknown (or `retrain.on_drift` is `always`). Otherwise `request` is skipped and nothing is woken.

{probation}"""
_PROBATION = """`probation` compares a new champion for {length} with the one before it, on the rows that were published
since, as their labels come. Worse: it is taken back, with an alert ({mode}). Holds: its probation ends. `history` shows
which."""
_NO_PROBATION = "New champions are on no probation (`deploy.probation` is null)."


def build(frozen: FrozenSpec) -> DAG | None:
    """Build a model's monitor DAG; none where rows have no time, so that there is no day to watch."""
    model, spec = frozen.model, frozen.spec
    if not spec.data.time_ordered:
        return None
    drift = spec.monitor.drift
    triggers = _TRIGGERS.format(
        schedule=spec.monitor.schedule or "none", k=drift.k, n=drift.n, probation=_probation_text(spec)
    )

    @dag(
        dag_id=dag_id(MONITOR, model),
        schedule=cron(spec.monitor.schedule),
        description=f"Watch {model}: drift, data health and realised performance",
        doc_md=page(
            frozen,
            "daily watch",
            triggers,
            "- `as_of`: the time the run is about\n- `html`: keep Evidently's page even on a quiet day",
        ),
        **dag_arguments(frozen, MONITOR),
    )
    def graph() -> None:
        collected = collect(model)
        measured = measure(model)
        judged = probation(model)
        decision = decide(model)
        asked = _request_task(model)(model)
        collected >> measured >> judged >> decision >> asked
        asked >> announce(decision, judged)

    return with_params(
        graph(),
        {
            "as_of": as_of_param(),
            "html": Param(False, type="boolean", title="HTML report", description="Keep Evidently's page."),
        },
    )


@task
def collect(model: str) -> int:
    """Read the day's rows and the labels that became final."""
    from retraining.pipeline import monitor

    when = boundary.as_of(get_current_context())
    with boundary.stage() as work:
        boundary.skip_without_champion(work, model)
        return monitor.collect(work, work.spec(model), when)


@task
def measure(model: str) -> str:
    """Compare the day with the champion's training data, and realised performance with its reference."""
    from retraining.monitor.measure import summary
    from retraining.pipeline import monitor

    context = get_current_context()
    with boundary.stage() as work:
        html = bool(context["params"].get("html"))
        found = monitor.measure(work, work.spec(model), boundary.as_of(context), html=html)
    text = summary(found)
    print(text)
    return text


@task
def probation(model: str) -> str | None:
    """Judge the newest release beside the one before it on what it met since, and take it back where it is worse."""
    from retraining.pipeline import monitor

    with boundary.stage() as work:
        found = monitor.probation(work, work.spec(model), boundary.as_of(get_current_context()))
    print(found or "no release is on probation")
    return found


@task
def decide(model: str) -> Ids:
    """Decide whether to ask, and write decision and request to the ledger."""
    from retraining.pipeline import monitor

    when = boundary.as_of(get_current_context())
    with boundary.stage() as work:
        frozen = work.spec(model)
        decision = monitor.decide(work, frozen, monitor.measure(work, frozen, when))
    print("\n".join([f"{decision.outcome}: {decision.reason}", *decision.reasons, *decision.would_change]))
    return {"model": decision.model, "decision": decision.id, "outcome": decision.outcome}


def _probation_text(spec: Spec) -> str:
    length = spec.deploy.probation
    if length is None:
        return _NO_PROBATION
    mode = "by itself, as mode is auto" if spec.mode == "auto" else f"a person is asked, as mode is {spec.mode}"
    return _PROBATION.format(length=format_duration(length), mode=mode)


def _request_task(model: str) -> Any:
    """The only task with the asset as outlet: an outlet emits on every success, so on other days it is skipped."""

    @task(task_id="request", outlets=[Asset(request_asset(model))])
    def request(model: str) -> str:
        """Wake the retraining as long as a request is open; the ledger, not the event, says what it is about."""
        from retraining.pipeline import monitor

        with boundary.stage() as work:
            if not monitor.must_wake(work, work.spec(model)):
                raise AirflowSkipException("no request is open that a retraining may serve")
        return request_asset(model)

    return request


@task(trigger_rule=TriggerRule.NONE_FAILED)
def announce(decision: Ids | None, judged: str | None) -> str:
    """Say in a sentence what was decided, and what became of a release on probation."""
    if decision is None:
        return "there is no champion yet"
    with boundary.stage() as work:
        made = work.ledger.decision_by_id(decision["decision"])
    if made is None:
        raise AirflowFailException(f"the ledger has no decision {decision['decision']}. Was it restored from a backup?")
    text = f"{made.outcome}: {made.reason or '; '.join(made.reasons)}"
    text = f"{text}; {judged}" if judged else text
    print(text)
    return text
