"""Monitor: one day's inputs and predictions against the champion's own training data, and what they were worth.

Measuring is separate from deciding (`triggers`). A monitor that cannot compute raises: that is an alarm, never a
quiet day.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

import pyarrow as pa

from retraining.artifacts import stored
from retraining.artifacts.features import FeaturePlan
from retraining.artifacts.outputs import PREDICTION, prediction_columns
from retraining.artifacts.stored import StoredModel
from retraining.data import chunks, ingest, readings, snapshots
from retraining.data.joins import join
from retraining.errors import MonitorFailed, shown
from retraining.monitor import health, performance
from retraining.monitor.drift import comparable, distance, method_of
from retraining.predictions import batch
from retraining.records import Champion, Chunk, ColumnDrift, Measurement, Window, digest_of, short
from retraining.spec import FrozenSpec
from retraining.validation import partitions
from retraining.windows import floor, step
from retraining.workspace import Workspace

_ROUNDING = 1e-9
"""Evidently's distances equal ours to 4e-12; a day that only repeats the largest distance (every Sunday is a Sunday)
must not count as larger."""


@dataclass(frozen=True)
class Calibration:
    """Past daily distances per column, oldest first: what is usual for the champion's own training days."""

    scores: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Watch:
    """What a monitor run looks at, loaded."""

    model: StoredModel
    plan: FeaturePlan
    reference: pa.Table
    current: pa.Table
    window: Window


def measure(workspace: Workspace, frozen: FrozenSpec, as_of: datetime, *, html: bool = False) -> Measurement:
    """Measure the newest whole partition before the as-of time; a measurement that exists is returned as it is.

    Raises
    ------
    MonitorFailed
        When there is no champion, no rows, or no predictions for the day, or a distance cannot be computed.
    """
    known = workspace.ledger.measurement(frozen.model, as_of)
    if known is not None:
        return known
    champion = workspace.ledger.champion(frozen.model)
    if champion is None:
        raise MonitorFailed(f"{frozen.model}: has no champion, so there is nothing to watch. Run the retrain first.")
    watch = _collect(workspace, frozen, champion, as_of)
    calibration = calibrate(workspace, frozen, watch.model)
    columns, unknown = _comparable_columns(frozen, watch, calibration)
    report = _evidently(watch, columns, calibration)
    prefix = f"reports/monitor/{frozen.model}/{as_of:%Y-%m-%dT%H%M}"
    scores = _scores(workspace, frozen, report, columns, f"{prefix}.json")
    unknown += [f"{c}: its distance from the training rows is {s}" for c, s in scores.items() if not isfinite(s)]
    drift = tuple(_judge_column(watch.model, calibration, c, s) for c, s in scores.items() if isfinite(s))
    wanted = html or any(d.drifted for d in drift)
    report_key = _keep_html(workspace, report, f"{prefix}.html") if wanted else None
    realised = performance.compare(workspace, frozen, champion, as_of)
    return workspace.ledger.add_measurement(
        Measurement(
            model=frozen.model,
            as_of=as_of,
            window=watch.window,
            sequence=champion.sequence,
            release_id=champion.release_id,
            n_rows=watch.current.num_rows,
            drift=drift,
            health=tuple(health.findings(watch.model.card.plan, watch.current, watch.reference)),
            performance=realised.changes,
            performance_note=realised.note,
            n_new_labels=realised.n_new_labels,
            report_key=report_key,
            unknown=(*unknown, *realised.unknown),
        )
    )


def watched_columns(frozen: FrozenSpec, plan: FeaturePlan) -> list[str]:
    """Return the columns watched for drift, and the prediction."""
    return [*(frozen.spec.monitor.columns or plan.columns), PREDICTION]


def with_prediction(plan: FeaturePlan, task: str) -> FeaturePlan:
    """Count the prediction among the numbers, or for several classes among the categories."""
    if task == "multiclass":
        return FeaturePlan(plan.numeric, (*plan.categorical, PREDICTION))
    return FeaturePlan((*plan.numeric, PREDICTION), plan.categorical)


def calibrate(workspace: Workspace, frozen: FrozenSpec, model: StoredModel) -> Calibration:
    """Return the distances of the champion's last training days from its reference; computed once per release."""
    settings = frozen.spec.monitor
    key = digest_of(["calibration", model.id, settings.drift.history, sorted(settings.columns)])
    done = workspace.ledger.finished(Calibration, frozen.model, "calibration", key)
    if done is not None:
        return done
    reference = model.drift_reference()
    manifest = snapshots.read_manifest(workspace.store, model.card.snapshot_id)
    plan = with_prediction(model.card.plan, model.card.task)
    columns = watched_columns(frozen, model.card.plan)
    scores: dict[str, list[float]] = {c: [] for c in columns}
    for chunk in readings.present(workspace.ledger, manifest.features)[-settings.drift.history :]:
        day = _scored_day(workspace, model, chunk)
        for column in columns:
            found = distance(plan, column, day.column(column), reference.column(column))
            if found is not None and isfinite(found):
                scores[column].append(found)
    calibration = Calibration({c: tuple(s) for c, s in scores.items()})
    workspace.ledger.finish(frozen.model, "calibration", key, calibration)
    return calibration


def threshold(calibration: Calibration, column: str) -> float | None:
    """Return the largest of a column's past daily distances; None when it has no past, so that nothing is usual."""
    return max((score for score in calibration.scores[column] if isfinite(score)), default=None)


def _scored_day(workspace: Workspace, model: StoredModel, chunk: Chunk) -> pa.Table:
    rows = chunks.read(workspace.store, chunk)
    outputs = model.predict(rows, f"{model.card.model}, {chunk.start:%Y-%m-%d}")
    return rows.append_column(PREDICTION, prediction_columns(model, outputs)[PREDICTION])


def _collect(workspace: Workspace, frozen: FrozenSpec, champion: Champion, as_of: datetime) -> Watch:
    data = frozen.spec.data
    end = floor(as_of, data.partition)
    window = Window(step(end, data.partition, -1), end)
    extent = ingest.read_window(workspace.reader(frozen), window, as_of)
    features = [c for c in extent.chunks[window.start] if c.kind == "features"]
    if not features:
        raise MonitorFailed(
            f"{frozen.model}: the source has no rows for {window}. Is the feed late? "
            f"Champion {champion.sequence} goes on predicting; nothing was asked for."
        )
    published = workspace.ledger.predictions(frozen.model, window)
    if not published:
        raise MonitorFailed(
            f"{frozen.model}: there are no published predictions for {window}. Did `score__{frozen.model}` run? "
            "Run it for this day, then the monitor again."
        )
    model = stored.load(workspace.store, champion.release_id)
    _require_watched(frozen, model)
    rows = _accepted(workspace, frozen, features[0])
    made = batch.read_predictions(workspace.store, published[0]).select([*data.keys, PREDICTION])
    current = join(chunks.with_types(rows), made, data.keys, "left outer")
    plan = with_prediction(model.card.plan, model.card.task)
    return Watch(model, plan, model.drift_reference(), current, window)


def _require_watched(frozen: FrozenSpec, model: StoredModel) -> None:
    lost = sorted(set(frozen.spec.monitor.columns) - set(model.card.plan.columns))
    if lost:
        raise MonitorFailed(
            f"{frozen.model}: monitor.columns names {shown(lost)}, which the champion was not trained on. It has: "
            f"{shown(model.card.plan.columns, 30)}. Correct the names, or retrain."
        )


def _accepted(workspace: Workspace, frozen: FrozenSpec, features: Chunk) -> pa.Table:
    """Return a day's rows without those that were set aside when it was scored: they had no prediction either."""
    result = partitions.results(workspace.store, workspace.ledger, frozen, [partitions.Pair(features, None)])[0]
    kept = features if result.aside is None or result.aside.features is None else result.aside.features
    return chunks.read(workspace.store, kept)


def _comparable_columns(frozen: FrozenSpec, watch: Watch, calibration: Calibration) -> tuple[list[str], list[str]]:
    """Return the columns Evidently can compare, and what keeps others from it.

    It fails on a column without values; that is a matter of health.
    """
    found = [c for c in watched_columns(frozen, watch.model.card.plan) if _has_values(watch, c)]
    columns = [c for c in found if threshold(calibration, c) is not None]
    if not columns:
        raise MonitorFailed(f"{frozen.model}: no watched column has a value in {watch.window} and in its past.")
    unknown = [
        f"{c}: had no value on any of its training days, so no distance is usual" for c in found if c not in columns
    ]
    return columns, unknown


def _scores(workspace: Workspace, frozen: FrozenSpec, report: Any, columns: list[str], key: str) -> dict[str, float]:
    """Keep Evidently's JSON and return the score per column."""
    found = json.loads(report.json())
    workspace.store.write_json_once(key, found)
    scores = {m["config"]["column"]: float(m["value"]) for m in found["metrics"] if m["config"].get("column")}
    missing = sorted(set(columns) - set(scores))
    if missing:
        raise MonitorFailed(f"{frozen.model}: Evidently gave no score for {', '.join(missing)}.")
    return scores


def _keep_html(workspace: Workspace, report: Any, key: str) -> str:
    """Keep Evidently's page, 4 MB: on days with an alarm and on request only."""
    workspace.store.write_once(key, report.get_html_str(as_iframe=False).encode())
    return key


def _evidently(watch: Watch, columns: list[str], calibration: Calibration) -> Any:
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(
        numerical_columns=[c for c in columns if c in watch.plan.numeric],
        categorical_columns=[c for c in columns if c in watch.plan.categorical],
    )
    metrics = [
        ValueDrift(column=c, method=method_of(watch.plan, c), threshold=threshold(calibration, c)) for c in columns
    ]
    sides = [
        Dataset.from_pandas(_as_trained(watch.plan, table, columns).to_pandas(), data_definition=definition)
        for table in (watch.current, watch.reference)
    ]
    return Report(metrics).run(*sides)


def _as_trained(plan: FeaturePlan, table: pa.Table, columns: list[str]) -> pa.Table:
    """Return columns as numbers or text: Evidently fails on booleans."""
    return pa.table({name: comparable(plan, name, table.column(name)) for name in columns})


def _has_values(watch: Watch, column: str) -> bool:
    return all(t.column(column).null_count < t.num_rows for t in (watch.current, watch.reference))


def _judge_column(model: StoredModel, calibration: Calibration, column: str, found: float) -> ColumnDrift:
    limit = threshold(calibration, column)
    if limit is None:
        raise MonitorFailed(f"{model.card.model}: {column} has no threshold to be judged by.")
    usual = limit * (1 + _ROUNDING)
    plan = with_prediction(model.card.plan, model.card.task)
    weight = 1.0 if column == PREDICTION else model.card.importance.get(column, 0.0)
    return ColumnDrift(column, method_of(plan, column), found, limit, weight, found > usual)


def summary(found: Measurement) -> str:
    """Say in a line what a measurement found."""
    out = [d.column for d in found.drift if d.drifted]
    worse = [c.name for c in found.performance if c.worse]
    unknown = f"; not computable: {'; '.join(found.unknown)}" if found.unknown else ""
    return (
        f"{found.window}: {found.n_rows:,} rows, champion {found.sequence} ({short(found.release_id)}); "
        f"drifted: {', '.join(out) or 'none'}; worse: {', '.join(worse) or found.performance_note or 'none'}{unknown}"
    )
