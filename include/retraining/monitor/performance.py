"""Realised performance: what the published predictions turned out to be worth, day by day, and whether it fell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
from scipy import stats

from retraining.artifacts import stored
from retraining.artifacts.outputs import PREDICTION
from retraining.artifacts.stored import StoredModel
from retraining.data import chunks, ingest, plan
from retraining.data.joins import join
from retraining.errors import MonitorFailed, NotEnoughData, shown
from retraining.predictions import batch
from retraining.records import Champion, Change, Chunk, DayPerformance, PredictionSet, Window, digest_of, from_dict
from retraining.sources import confined
from retraining.spec import FrozenSpec
from retraining.spec.model import Business
from retraining.spec.queries import figure_query
from retraining.stats.metrics import Array, find_metric, value
from retraining.windows import floor, nominal, step
from retraining.workspace import Workspace

_STAGE: Final = "performance"
MIN_DAYS = 5
"""Fewest days on each side of a comparison: below, a t interval on day values says nothing."""


_STRIDE = 28
"""Partitions that are counted at a time where labels are rare: a few queries each."""


@dataclass(frozen=True)
class Series:
    """A figure per day, oldest first; `greater_is_better` says which way is worse."""

    name: str
    values: tuple[float, ...]
    greater_is_better: bool


@dataclass(frozen=True)
class Realised:
    """What the newest days were worth against those before.

    `note` says what keeps a figure from being compared, "" when all are; `unknown` what ought to be known and is not.
    """

    changes: tuple[Change, ...]
    note: str
    n_new_labels: int
    unknown: tuple[str, ...]


def realised(workspace: Workspace, frozen: FrozenSpec, window: Window, as_of: datetime) -> list[DayPerformance]:
    """Return realised performance of the published sets whose labels are mature; each day is computed once.

    Raises
    ------
    MonitorFailed
        When the business metric's SQL fails.
    """
    mature = plan.mature_end(frozen.spec.data, as_of)
    sets = [p for p in workspace.ledger.predictions(frozen.model, window) if p.window.end <= mature]
    if not sets:
        return []
    span = Window(sets[0].window.start, sets[-1].window.end)
    extent = ingest.read_window(workspace.reader(frozen), span, as_of)
    labels = {c.start: c for parts in extent.chunks.values() for c in parts if c.kind == "labels"}
    days = {day_key(frozen, s, labels[s.window.start]): s for s in sets if s.window.start in labels}
    done = workspace.ledger.finished_keys(frozen.model, _STAGE, list(days))
    return [
        from_dict(DayPerformance, done[key]) if key in done else _day(workspace, frozen, key, s, labels[s.window.start])
        for key, s in days.items()
    ]


def fallen(series: Series, split: int, margin: float, confidence: float) -> Change | None:
    """Compare the days from `split` on with those before it.

    One day is one observation: rows of a day share their weather. Welch's t test (Welch 1947) on day values gives a
    one-sided bound; the figure is worse when even the optimistic bound is a loss, and the loss exceeds the margin.

    Returns
    -------
    None when either side has fewer than `MIN_DAYS` days, or a bound is not a finite number: neither holds nor falls.
    """
    reference, current = np.array(series.values[:split]), np.array(series.values[split:])
    if len(reference) < MIN_DAYS or len(current) < MIN_DAYS:
        return None
    sign = 1.0 if series.greater_is_better else -1.0
    gain = sign * float(current.mean() - reference.mean())
    parts = np.array([current.var(ddof=1) / len(current), reference.var(ddof=1) / len(reference)])
    error = float(np.sqrt(parts.sum()))
    degrees = parts.sum() ** 2 / (parts**2 / np.array([len(current) - 1, len(reference) - 1])).sum() if error else 1.0
    reach = float(stats.t.ppf(confidence, degrees)) * error
    if not (isfinite(gain) and isfinite(reach)):
        return None
    return Change(
        name=series.name,
        current=float(current.mean()),
        reference=float(reference.mean()),
        lower=gain - reach,
        upper=gain + reach,
        margin=margin,
        n_days=len(current),
        n_reference_days=len(reference),
        worse=gain + reach < 0 and gain < -margin,
    )


def compare(workspace: Workspace, frozen: FrozenSpec, champion: Champion, as_of: datetime) -> Realised:
    """Compare the newest days with those around the champion's promotion.

    The newest days are the champion's own; until it has `MIN_DAYS` of them, those of the service as a whole, so that
    a fall does not vanish from sight on the day of a promotion.

    `n_new_labels` are labelled rows newer than the champion; from `retrain.min_new_labels` on they are not counted.
    """
    monitor, data = frozen.spec.monitor, frozen.spec.data
    end = plan.mature_end(data, as_of)
    count = max(1, round(monitor.window / nominal(data.partition)))
    first = step(floor(end, data.partition), data.partition, -count)
    days = _days_that_matter(workspace, frozen, champion, first, as_of)
    recent = [d for d in days if d.start >= first]
    own = [d for d in recent if d.release_id == champion.release_id]
    new = own if len(own) >= MIN_DAYS else recent
    before = min(first, champion.cutoff + monitor.reference)
    old = [d for d in days if d.start < before]
    n_labels = _n_labels(days, champion)
    found = [(name, _fallen_days(name, old, new, margin, frozen)) for name, margin in _watched(frozen)]
    changes = tuple(change for _, change in found if change)
    labelled = [sum(d.n_rows > 0 for d in side) for side in (old, new)]
    unknown = _undefined(new)
    if min(labelled) < MIN_DAYS:
        note = (
            f"realised performance needs {MIN_DAYS} labelled days before and within the last {count} "
            f"{data.partition}s; there are {labelled[0]} and {labelled[1]}"
        )
        return Realised(changes, note, n_labels, tuple(unknown))
    lost = [name for name, change in found if change is None]
    unknown += [f"{name}: is defined on too few of {sum(labelled)} labelled days to be compared" for name in lost]
    return Realised(changes, "not all of realised performance is known" if unknown else "", n_labels, tuple(unknown))


def _undefined(days: list[DayPerformance]) -> list[str]:
    """Say which figures ought to have a value on a day and have none, each with how often."""
    said = [(text, d.start) for d in days for text in d.unknown]
    found = {text: sorted(start for other, start in said if other == text) for text, _ in said}
    return [f"{text} (on {len(when)} of {len(days)} days, last on {when[-1]:%Y-%m-%d})" for text, when in found.items()]


def _days_that_matter(
    workspace: Workspace, frozen: FrozenSpec, champion: Champion, first: datetime, as_of: datetime
) -> list[DayPerformance]:
    """Return the days around the champion's promotion and the newest, from `first` on; of those between, a few.

    Between them nothing but labels is counted, and only until there are enough to ask for a retraining: however long
    a champion is in office, a day's monitor looks at no more of it.
    """
    retrain, reference, unit = frozen.spec.retrain, frozen.spec.monitor.reference, frozen.spec.data.partition

    def looked_at(start: datetime, stop: datetime) -> list[DayPerformance]:
        return realised(workspace, frozen, Window(start, stop), as_of) if stop > start else []

    since, end = floor(champion.cutoff - reference, unit), plan.mature_end(frozen.spec.data, as_of)
    early = step(floor(champion.cutoff + reference, unit), unit, 1)
    if first <= early:
        return looked_at(since, end)
    old, new = looked_at(since, early), looked_at(first, end)
    while first > early and _n_labels((*old, *new), champion) < retrain.min_new_labels:
        first, until = max(floor(first - _STRIDE * nominal(unit), unit), early), first
        new = [*looked_at(first, until), *new]
    return [*old, *new]


def _n_labels(days: Iterable[DayPerformance], champion: Champion) -> int:
    return sum(d.n_rows for d in days if d.start >= champion.cutoff)


def _watched(frozen: FrozenSpec) -> list[tuple[str, float]]:
    training, monitor = frozen.spec.training, frozen.spec.monitor
    named = [(training.metric, monitor.margin or frozen.spec.gate.margin)]
    return [*named, *([(monitor.business.name, monitor.business.margin)] if monitor.business else [])]


def _fallen_days(
    name: str, old: list[DayPerformance], new: list[DayPerformance], margin: float, frozen: FrozenSpec
) -> Change | None:
    training, monitor = frozen.spec.training, frozen.spec.monitor
    business = monitor.business is not None and name == monitor.business.name

    def known(days: list[DayPerformance]) -> list[float]:
        values = [d.business if business else d.metric for d in days]
        return [v for v in values if v is not None and isfinite(v)]

    greater = (
        monitor.business.greater_is_better
        if business and monitor.business
        else find_metric(training.metric, training.task).greater_is_better
    )
    before, after = known(old), known(new)
    series = Series(name, (*before, *after), greater)
    return fallen(series, len(before), margin, monitor.confidence)


def day_key(frozen: FrozenSpec, record: PredictionSet, labels: Chunk) -> str:
    """Return the key under which a day's performance is recorded: of its predictions, its labels and the YAML."""
    return digest_of([_STAGE, record.file_sha256, labels.id, frozen.spec.monitor.model_dump(mode="json")])


def _day(workspace: Workspace, frozen: FrozenSpec, key: str, record: PredictionSet, labels: Chunk) -> DayPerformance:
    model = stored.load(workspace.store, record.release_id)
    day = measure_day(workspace, frozen, model, record, labels)
    workspace.ledger.finish(frozen.model, _STAGE, key, day)
    return day


def measure_day(
    workspace: Workspace, frozen: FrozenSpec, model: StoredModel, record: PredictionSet, labels: Chunk
) -> DayPerformance:
    """Join one day's predictions with its labels and compute the metric and the business metric."""
    data = frozen.spec.data
    predictions = batch.read_predictions(workspace.store, record)
    truth = chunks.with_types(chunks.read(workspace.store, labels))
    rows = join(predictions, truth, data.keys, "inner")
    rows = rows.filter(rows.column(data.target).is_valid())
    business = frozen.spec.monitor.business
    number = _metric(frozen, model, rows)
    worth = _business(business, rows, frozen.model) if business and rows.num_rows else None
    figures = [(frozen.spec.training.metric, number), (business.name if business else "", worth)]
    unknown = tuple(f"{name} is {found}" for name, found in figures if found is not None and not isfinite(found))
    return DayPerformance(
        start=record.window.start,
        n_rows=rows.num_rows,
        n_unlabelled=record.n_rows - rows.num_rows,
        metric=_finite(number),
        business=_finite(worth),
        release_id=record.release_id,
        unknown=unknown,
    )


def _finite(number: float | None) -> float | None:
    return number if number is not None and isfinite(number) else None


def _metric(frozen: FrozenSpec, model: StoredModel, rows: pa.Table) -> float | None:
    """Return the metric of a day's rows; None where one class, or none, says nothing about it."""
    metric = find_metric(frozen.spec.training.metric, frozen.spec.training.task)
    y, p = _truth_and_prediction(rows, frozen.spec.data.target, model)
    if not (np.isfinite(y).all() and np.isfinite(p).all()):
        return float("nan")
    try:
        return value(metric, y, p)
    except NotEnoughData:
        return None  # one class on a quiet day: the day says nothing about ranking


def _truth_and_prediction(rows: pa.Table, target: str, model: StoredModel) -> tuple[Array, Array]:
    raw = rows.column(target).to_pylist()
    if model.card.task == "regression":
        y = np.array(raw, dtype=np.float64)
    else:
        index = {c: i for i, c in enumerate(model.card.classes)}
        foreign = {v for v in raw if v not in index}
        if foreign:
            raise MonitorFailed(
                f"{model.card.model}: labels hold classes that the champion was not trained on: {shown(foreign)}. "
                "Mend the labels, or retrain."
            )
        y = np.array([index[v] for v in raw], dtype=np.float64)
    if model.card.task == "multiclass":
        names = [f"{PREDICTION}_{c}" for c in model.card.classes]
        return y, np.column_stack([rows.column(n).to_numpy() for n in names])
    return y, rows.column(PREDICTION).to_numpy()


def _business(business: Business, scored: pa.Table, model: str) -> float | None:
    try:
        with confined.connect() as connection:
            connection.register("scored", scored)
            found = confined.fetch(connection, figure_query(business.sql)).fetchone()
    except duckdb.Error as error:
        text = str(error).splitlines()[0][:300]
        raise MonitorFailed(
            f"{model}: monitor.business.sql failed: {text}. It may use {', '.join(scored.column_names)}."
        ) from error
    return None if found is None or found[0] is None else float(found[0])
