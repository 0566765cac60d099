"""Forward: published rows whose labels came, with the predictions of a release and of its predecessor.

A published set knows the chunk that it was made of. Who scored it is read back as it was published; who did not,
predicts the set's own rows, in one pass. Nothing of that is published, kept, or counted by the monitor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from retraining.artifacts import stored
from retraining.artifacts.outputs import outputs_of
from retraining.artifacts.stored import StoredModel
from retraining.data import chunks, ingest, plan, readings
from retraining.data.joins import join
from retraining.errors import NotEnoughData
from retraining.evaluation.holdout import aligned, baseline_prediction
from retraining.gate.probation import Trial
from retraining.predictions import batch
from retraining.predictions.ids import ID
from retraining.records import Chunk, PredictionSet, Window
from retraining.spec import FrozenSpec
from retraining.stats.metrics import Array, find_metric
from retraining.train.rows import encoded
from retraining.workspace import Workspace

_DAY = timedelta(days=1)
_SCORED_BY = "release that published"
"""A column of our own among the rows; no source names one so."""


@dataclass(frozen=True)
class Labelled:
    """A published set with the labels that came for it."""

    published: PredictionSet
    labels: Chunk


@dataclass(frozen=True)
class Met:
    """Rows that a release met: truth, its predictions, its predecessor's, and those of a model without features.

    `start` is where the probation begins, from which its days are counted.
    """

    y: Array
    new: Array
    old: Array
    baseline: Array
    times: NDArray[np.datetime64]
    start: datetime

    @property
    def n_days(self) -> int:
        """Distinct days of the rows: those of the figures' error, which begin when the probation does."""
        since = self.times - np.datetime64(self.start.replace(tzinfo=None), "us")
        return len(np.unique(since // np.timedelta64(1, "D")))


def labelled_sets(workspace: Workspace, frozen: FrozenSpec, window: Window, as_of: datetime) -> list[Labelled]:
    """Return the published sets of a window whose labels are final and there, oldest first.

    A set of which more rows than `data.max_unlabelled` have no label is left out: those that have one are no sample. Of
    hours only whole days count: an hour of a day would be taken for one.
    """
    data = frozen.spec.data
    whole = (plan.mature_end(data, as_of) - window.start) // _DAY
    sets = [
        p for p in workspace.ledger.predictions(frozen.model, window) if p.window.end <= window.start + whole * _DAY
    ]
    if not sets:
        return []
    extent = ingest.read_window(workspace.reader(frozen), Window(sets[0].window.start, sets[-1].window.end), as_of)
    labels = {c.start: c for parts in extent.chunks.values() for c in parts if c.kind == "labels"}
    known = [Labelled(s, labels[s.window.start]) for s in sets if s.window.start in labels]
    return [k for k in known if k.labels.n_rows - k.labels.n_labelled <= data.max_unlabelled * k.labels.n_rows]


def days_of(sets: Iterable[PredictionSet], start: datetime) -> int:
    """Return of how many distinct days, counted from a start, the rows of published sets can be, before any is read."""
    found = set()
    for window in (s.window for s in sets):
        first = (window.start - start) // _DAY
        found |= {first + n for n in range(max(1, round((window.end - window.start) / _DAY)))}
    return len(found)


def met(workspace: Workspace, frozen: FrozenSpec, trial: Trial, sets: Sequence[Labelled]) -> Met:
    """Load the rows of sets, and let who did not score them predict them now.

    Raises
    ------
    RetrainingError
        When a set, its rows or a release cannot be read as it was stored, or a release cannot predict the rows.
    """
    spec, where = frozen.spec, f"{frozen.model}, published rows of {trial.window}"
    release = stored.load(workspace.store, trial.release.release_id)
    before = stored.load(workspace.store, trial.against.release_id)
    for model in (release, before):
        if model.card.task != spec.training.task:
            raise NotEnoughData(
                f"{where}: training.task is {spec.training.task}, that of a release {model.card.task}. Set it back."
            )
    order = dict.fromkeys([spec.data.time, *spec.data.keys])
    try:
        rows = pa.concat_tables([_rows(workspace, frozen, s) for s in sets], promote_options="permissive")
        rows = chunks.with_types(rows).sort_by([(name, "ascending") for name in order])
    except (KeyError, pa.ArrowInvalid) as error:  # a time, key or target that was renamed since
        raise NotEnoughData(
            f"{where}: they were published with other columns than data.time_column, data.key and data.target name "
            f"now: {str(error).splitlines()[0]}"
        ) from error
    raw = rows.column(spec.data.target).to_numpy(zero_copy_only=False)
    return Met(
        y=encoded(raw, spec.training.task, release.card.classes, where),
        new=_predicted(release, rows, where),
        old=aligned(_predicted(before, rows, where), before.card, release.card.classes, where),
        baseline=baseline_prediction(release, find_metric(spec.training.metric, spec.training.task), rows.num_rows),
        times=rows.column(spec.data.time).to_numpy().astype("datetime64[us]"),
        start=trial.window.start,
    )


def _rows(workspace: Workspace, frozen: FrozenSpec, one: Labelled) -> pa.Table:
    """Return a set's rows with what was published and the label; rows without one are left out."""
    data, made = frozen.spec.data, one.published
    published = batch.read_predictions(workspace.store, made)
    own = [name for name in published.column_names if name not in (data.time, ID)]
    truth = chunks.with_types(chunks.read(workspace.store, one.labels))
    rows = join(chunks.with_types(_features(workspace, made.chunk_id)), truth, data.keys, "inner")
    rows = join(rows.filter(rows.column(data.target).is_valid()), published.select(own), data.keys, "inner")
    return rows.append_column(_SCORED_BY, pa.array([made.release_id] * rows.num_rows, pa.string()))


def _features(workspace: Workspace, identity: str) -> pa.Table:
    """Return the rows that a set was made of; where a person was erased from them, the others."""
    try:
        cleaned = readings.standing_in(workspace.ledger, identity)
    except KeyError:
        return chunks.read_rows(workspace.store, identity)
    if cleaned is None:
        raise NotEnoughData(f"chunk {identity[:8]}: every row of it was erased.")
    return chunks.read(workspace.store, cleaned)


def _predicted(model: StoredModel, rows: pa.Table, where: str) -> Array:
    """Return a model's predictions: as they were published where it scored, else made now, all in one pass."""
    mine = rows.column(_SCORED_BY).to_numpy(zero_copy_only=False) == model.id
    if mine.all():
        return outputs_of(model, rows)
    made = model.predict(rows.filter(pa.array(~mine)), where)
    if not mine.any():
        return made
    found = np.empty((rows.num_rows, *made.shape[1:]))
    found[mine], found[~mine] = outputs_of(model, rows.filter(pa.array(mine))), made
    return found
