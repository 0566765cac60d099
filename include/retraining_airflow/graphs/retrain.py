"""`retrain__M`: admit > ingest > validate > train > choose > origins > roll > evaluate > gate > ... > announce; ask.

`train` is mapped over the candidates, `roll` over the origins of a replacement; a refresh has none.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, Param, TriggerRule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from retraining.records import Admission, Evaluation, Rolled, Trained, Tried
from retraining.spec import FrozenSpec
from retraining_airflow import boundary
from retraining_airflow.graphs.approve import OpenQuestion
from retraining_airflow.graphs.common import as_of_param, cron, dag_arguments, with_params
from retraining_airflow.names import RETRAIN, dag_id, model_asset, request_asset, snapshot_asset
from retraining_airflow.pages import page

Ids = dict[str, Any]

_TRIGGERS = """- the schedule `{schedule}` (UTC)
- a request of the monitor (an event on the asset `retrain-request/{model}`; the ledger's open request decides)
- a person, with the form behind *Trigger*

A champion on probation is looked at first: if it is worse than the one before it, it is taken back and the run ends so.
The gate is never skipped, whoever starts it. Where a promotion waits for a person, `ask` starts a run of `approve`."""
_PARAMETERS = """- `as_of`: the time the run is about
- `reason`: kept with the verdict
- `dry_run`: everything up to the verdict, which is flagged and deploys nothing"""


def build(frozen: FrozenSpec) -> DAG:
    """Build a model's retraining DAG."""
    model, spec = frozen.model, frozen.spec
    request = Asset(request_asset(model))
    timetable = cron(spec.retrain.schedule)
    schedule = AssetOrTimeSchedule(timetable=timetable, assets=[request]) if timetable else [request]

    @dag(
        dag_id=dag_id(RETRAIN, model),
        schedule=schedule,
        description=f"Retrain {model}: {spec.description}"[:200],
        doc_md=page(
            frozen,
            "retraining",
            _TRIGGERS.format(schedule=spec.retrain.schedule or "none", model=model),
            _PARAMETERS,
        ),
        **dag_arguments(frozen, RETRAIN, start_at_once=True),
    )
    def graph() -> None:
        admission = admit(model)
        snapshots = ingest(admission)
        accepted = validate.override(outlets=[Asset(snapshot_asset(model))])(admission, snapshots)
        # Candidates are counted from the YAML as it is parsed; what a run froze may differ, and `choose` sees to that.
        indices = list(range(len(spec.training.candidates)))
        tried = train.partial(admission=admission, snapshots=accepted).expand(index=indices)
        trained = choose(admission, accepted, tried)
        planned = origins(admission, accepted, trained)
        rolled = roll.partial(admission=admission, snapshots=accepted, trained=trained).expand(index=planned)
        evaluation = evaluate(admission, accepted, trained, rolled)
        verdict = gate(admission, accepted, evaluation)
        released = release(admission, accepted, trained, verdict)
        deployed = deploy.override(outlets=[Asset(model_asset(model))])(verdict, released)
        OpenQuestion(task_id="ask", verdict=verdict, deployed=deployed)
        announce(admission, verdict, deployed)

    return with_params(
        graph(),
        {
            "as_of": as_of_param(),
            "reason": Param("", type="string", title="Reason", description="Why; it is kept with the verdict."),
            "dry_run": Param(False, type="boolean", title="Dry run", description="Stop after the verdict."),
        },
    )


@task
def admit(model: str) -> Ids:
    """Freeze spec, as-of time, champion and the requests this run serves."""
    from retraining.pipeline.admission import admit as freeze
    from retraining.pipeline.crossing import ids_of

    context = get_current_context()
    with boundary.stage() as work:
        admission = freeze(
            work,
            work.spec(model),
            as_of=boundary.given_as_of(context),
            fallback=boundary.fallback_as_of(context),
            trigger=boundary.trigger_of(context),
            reason=str(context["params"].get("reason") or ""),
            dry_run=bool(context["params"].get("dry_run")),
            by=boundary.triggering_user(context),
        )
    return ids_of(admission)


@task
def ingest(admission: Ids) -> Ids:
    """Read what is not known yet and freeze the train, holdout and refit snapshots."""
    from retraining.pipeline import retrain
    from retraining.pipeline.crossing import recall

    with boundary.stage() as work:
        admitted = recall(work, Admission, admission)
        if admitted.skip:
            raise AirflowSkipException(admitted.skip)
        return retrain.snapshot_ids(retrain.ingest(work, admitted))


@task
def validate(admission: Ids, snapshots: Ids) -> Ids:
    """Check the new rows and the window, set bad rows aside; what was checked before is not checked again."""
    from retraining.pipeline import retrain
    from retraining.pipeline.crossing import recall

    with boundary.stage() as work:
        admitted = recall(work, Admission, admission)
        found = retrain.validate(work, admitted, retrain.ingested_from(work, admitted, snapshots))
    for problem in found.validation.problems:
        print(f"{problem.severity}: {problem.check}: {problem.observed}")
    print(retrain.describe_validation(found.validation))
    ids, data = retrain.snapshot_ids(found.ingested), found.ingested.refit
    counts = {"n_rows": data.n_rows, "n_aside": found.validation.n_aside, "window": str(data.window)}
    names = {key: ids[key] for key in ("train", "holdout", "refit")}
    boundary.emit(snapshot_asset(admission["model"]), **names, **counts, report=found.validation.report_key)
    return {**ids, "report": found.validation.report_key}


@task(map_index_template="{{ candidate }}")
def train(admission: Ids, snapshots: Ids, index: int) -> Ids:
    """Try one candidate by time-ordered cross-validation; its out-of-fold predictions go into the store."""
    from retraining.pipeline import retrain
    from retraining.pipeline.crossing import ids_of, recall

    with boundary.stage() as work:
        admitted = recall(work, Admission, admission)
        ingested = retrain.ingested_from(work, admitted, snapshots)
        known = retrain.nothing_new(admitted, ingested)
        if known is not None:
            raise AirflowSkipException(known)
        tried = retrain.try_candidate(work, admitted, ingested, index)
        if tried is None:
            raise AirflowSkipException(f"the spec of this run has no candidate {index}")
        boundary.name_in_grid("candidate", tried.score.name)
        print(f"{tried.score.name}: {tried.score.mean:.4f}, {tried.n_tried} of {tried.n_settings} settings tried")
        return ids_of(tried)


@task(trigger_rule=TriggerRule.NONE_FAILED)
def choose(admission: Ids, snapshots: Ids, tried: list[Ids]) -> Ids:
    """Choose the simplest candidate within one standard error of the best, and fit it up to the holdout."""
    from retraining.pipeline import retrain
    from retraining.pipeline.crossing import ids_of, recall

    with boundary.stage() as work:
        admitted = recall(work, Admission, admission)
        if admitted.skip:
            raise AirflowSkipException(admitted.skip)
        ingested = retrain.ingested_from(work, admitted, snapshots)
        known = retrain.nothing_new(admitted, ingested)
        if known is not None:
            raise AirflowSkipException(known)
        found = [recall(work, Tried, one) for one in tried if one]
        trained = retrain.choose(work, admitted, ingested, found)
        print(trained.why)
        return ids_of(trained)


@task
def origins(admission: Ids, snapshots: Ids, trained: Ids) -> list[int]:
    """Say at which origins a replacement is judged; a refresh has none, and `roll` is skipped."""
    from retraining.pipeline import replacing, retrain
    from retraining.pipeline.crossing import recall

    with boundary.stage() as work:
        admitted = recall(work, Admission, admission)
        ingested = retrain.ingested_from(work, admitted, snapshots)
        return replacing.origins(work, admitted, ingested, recall(work, Trained, trained))


@task(map_index_template="{{ origin }}")
def roll(admission: Ids, snapshots: Ids, trained: Ids, index: int) -> Ids:
    """Learn the candidate's recipe and the champion's before one origin; both predict the holdout after it."""
    from retraining.pipeline import replacing, retrain
    from retraining.pipeline.crossing import ids_of, recall
    from retraining.train.origins import describe

    with boundary.stage() as work:
        admitted = recall(work, Admission, admission)
        ingested = retrain.ingested_from(work, admitted, snapshots)
        rolled = replacing.roll(work, admitted, ingested, recall(work, Trained, trained), index)
        if rolled is None:
            raise AirflowSkipException(f"there is no origin {index}")
        boundary.name_in_grid("origin", str(rolled.holdout))
        print(describe(rolled))
        return ids_of(rolled)


@task(trigger_rule=TriggerRule.NONE_FAILED)
def evaluate(admission: Ids, snapshots: Ids, trained: Ids | None, rolled: list[Ids] | None) -> Ids:
    """Judge candidate, champion and baseline on the same holdout rows; a replacement over all of its origins."""
    from retraining.pipeline import retrain
    from retraining.pipeline.crossing import ids_of, recall

    with boundary.stage() as work:
        admitted = recall(work, Admission, admission)
        if admitted.skip:
            raise AirflowSkipException(admitted.skip)
        ingested = retrain.ingested_from(work, admitted, snapshots)
        candidate = recall(work, Trained, trained) if trained else None
        found = [recall(work, Rolled, one) for one in rolled or [] if one]
        return ids_of(retrain.evaluate(work, admitted, ingested, candidate, found))


@task
def gate(admission: Ids, snapshots: Ids, evaluation: Ids) -> Ids:
    """Decide; where a replacement does not pass, the champion's own recipe is judged in its place, as a refresh."""
    from retraining.pipeline import replacing, retrain
    from retraining.pipeline.crossing import ids_of, recall

    with boundary.stage() as work:
        admitted = recall(work, Admission, admission)
        verdict = retrain.gate(work, admitted, recall(work, Evaluation, evaluation))
        print("\n".join([f"verdict {verdict.id}: {verdict.decision}", *verdict.reasons, *verdict.would_change]))
        ingested = retrain.ingested_from(work, admitted, snapshots)
        other = replacing.fall_back(work, admitted, ingested, verdict)
        if not isinstance(other, replacing.Instead):
            return {"verdict": verdict.id, "decision": verdict.decision, "instead": other}
        own, theirs = other.verdict, ids_of(other.trained)
    print("\n".join([f"in its place, verdict {own.id}: {own.decision}", *own.reasons, *own.would_change]))
    return {"verdict": own.id, "decision": own.decision, "replacement": verdict.id, "trained": theirs}


@task
def release(admission: Ids, snapshots: Ids, trained: Ids, verdict: Ids) -> Ids:
    """Refit the promoted recipe through the holdout and bind the release to the verdict."""
    from retraining.pipeline import retrain
    from retraining.pipeline.crossing import recall

    with boundary.stage() as work:
        admitted = recall(work, Admission, admission)
        found = retrain.verdict_of(work, verdict["verdict"])
        if found.decision != "promote" or admitted.dry_run:
            raise AirflowSkipException("; ".join(found.reasons))
        made = retrain.release(
            work,
            admitted,
            retrain.ingested_from(work, admitted, snapshots),
            recall(work, Trained, verdict.get("trained") or trained),
            found,
        )
    return {"release": made.id, "n_rows": made.n_rows}


@task
def deploy(verdict: Ids, released: Ids) -> Ids:
    """Preflight, champion history, registry alias. Refused without a promote verdict bound to this release."""
    from retraining.pipeline import retrain

    with boundary.stage() as work:
        found = retrain.verdict_of(work, verdict["verdict"])
        deployment = retrain.deploy(work, found, released["release"], by="gate")
    print(deployment.detail)
    place = {"outcome": deployment.outcome, "sequence": deployment.sequence, "version": deployment.version}
    boundary.emit(model_asset(found.model), release=released["release"], verdict=found.id, **place)
    return {"verdict": found.id, "detail": deployment.detail, **place}


@task(trigger_rule=TriggerRule.NONE_FAILED)
def announce(admission: Ids, verdict: Ids | None, deployed: Ids | None) -> str:
    """Say in a sentence what the run came to."""
    from retraining.pipeline import retrain, whole
    from retraining.pipeline.crossing import recall

    with boundary.stage() as work:
        found = retrain.verdict_of(work, verdict["verdict"]) if verdict else None
        other = verdict.get("instead") if verdict else None
        if verdict and verdict.get("replacement"):
            found, other = retrain.verdict_of(work, verdict["replacement"]), found
        detail = deployed["detail"] if deployed else None
        text = whole.announce(recall(work, Admission, admission), found, detail, other)
    print(text)
    return text
