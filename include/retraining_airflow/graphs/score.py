"""`score__M`: pin champion > ingest > validate > predict > publish."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, dag, get_current_context, task

from retraining.records import PredictionSet, Window, from_dict, to_dict
from retraining.spec import FrozenSpec
from retraining.windows import format_duration
from retraining_airflow import boundary
from retraining_airflow.graphs.common import as_of_param, cron, dag_arguments, with_params
from retraining_airflow.names import SCORE, dag_id, predictions_asset
from retraining_airflow.pages import page

Ids = dict[str, Any]

_TRIGGERS = """- the schedule `{schedule}` (UTC)
- a person

Each run scores every whole partition of the last {catch_up} that nobody scored yet; a published set stays."""


def build(frozen: FrozenSpec) -> DAG | None:
    """Build a model's scoring DAG; none where rows have no time, so that there is no day to score."""
    model, spec = frozen.model, frozen.spec
    if not spec.data.time_ordered:
        return None
    triggers = _TRIGGERS.format(schedule=spec.score.schedule or "none", catch_up=format_duration(spec.score.catch_up))

    @dag(
        dag_id=dag_id(SCORE, model),
        schedule=cron(spec.score.schedule),
        description=f"Daily predictions of {model}",
        doc_md=page(frozen, "daily predictions", triggers, "- `as_of`: the time the run is about"),
        **dag_arguments(frozen, SCORE),
    )
    def graph() -> None:
        pinned = pin_champion(model)
        windows = ingest(model, pinned)
        checked = validate(model, pinned, windows)
        predicted = predict(model, pinned, windows)
        checked >> predicted
        publish.override(outlets=[Asset(predictions_asset(model))])(model, predicted)

    return with_params(graph(), {"as_of": as_of_param()})


@task
def pin_champion(model: str) -> Ids:
    """Choose the champion that this run uses from start to end."""
    from retraining.pipeline.crossing import champion_ids
    from retraining.predictions.batch import pin_champion as pin

    with boundary.stage() as work:
        boundary.skip_without_champion(work, model)
        return champion_ids(pin(work, model))


@task
def ingest(model: str, pinned: Ids) -> list[Ids]:
    """Read the partitions that nobody scored yet."""
    from retraining.pipeline import score
    from retraining.pipeline.crossing import recall_champion

    when = boundary.as_of(get_current_context())
    with boundary.stage() as work:
        windows = score.ingest(work, work.spec(model), recall_champion(work, pinned), when)
    print(f"{len(windows)} partitions to score")
    return [to_dict(w) for w in windows]


@task
def validate(model: str, pinned: Ids, windows: list[Ids]) -> int:
    """Check the rows before they are scored, also against what the pinned champion was trained on."""
    from retraining.pipeline import score
    from retraining.pipeline.crossing import recall_champion

    when = boundary.as_of(get_current_context())
    with boundary.stage() as work:
        champion = recall_champion(work, pinned)
        return score.validate(work, work.spec(model), champion, [from_dict(Window, w) for w in windows], when)


@task
def predict(model: str, pinned: Ids, windows: list[Ids]) -> list[Ids]:
    """Predict, and write the rows to the store; nothing is published yet."""
    from retraining.pipeline.crossing import ids_of, recall_champion
    from retraining.predictions.batch import predict as make

    when = boundary.as_of(get_current_context())
    with boundary.stage() as work:
        champion = recall_champion(work, pinned)
        made = make(work, work.spec(model), champion, [from_dict(Window, w) for w in windows], when)
    return [ids_of(p) for p in made]


@task
def publish(model: str, predicted: list[Ids]) -> int:
    """Record the sets in the ledger: the first one for a partition stays."""
    from retraining.pipeline.crossing import recall
    from retraining.predictions.batch import publish as record

    with boundary.stage() as work:
        found = record(work, [recall(work, PredictionSet, p) for p in predicted])
    n_rows = sum(p.n_rows for p in found)
    print(f"{n_rows:,} predictions in {len(found)} partitions")
    releases = sorted({p.release_id for p in found})
    boundary.emit(predictions_asset(model), n_rows=n_rows, releases=releases, keys=[p.key for p in found])
    return n_rows
