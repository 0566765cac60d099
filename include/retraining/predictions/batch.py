"""Score: the champion's predictions for each whole partition, published once, with ids that a rerun repeats."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from retraining.artifacts import stored
from retraining.artifacts.outputs import prediction_columns
from retraining.artifacts.stored import StoredModel
from retraining.data import ingest, parquet, snapshots
from retraining.errors import RequestError, how_to_retrain
from retraining.ledger.work import Stage
from retraining.predictions.ids import ID, prediction_ids
from retraining.records import Champion, PredictionSet, Snapshot, Window, digest_of
from retraining.spec import FrozenSpec
from retraining.store import Store, sha256
from retraining.validation.validate import validate_rows
from retraining.windows import ceil, floor, nominal, partitions, step
from retraining.workspace import Workspace


def pin_champion(workspace: Workspace, model: str) -> Champion:
    """Return the champion that a scoring run will use from start to end.

    Raises
    ------
    RequestError
        When the model has no champion yet.
    """
    champion = workspace.ledger.champion(model)
    if champion is None:
        raise RequestError(f"{model}: has no champion yet, so nothing can be scored. {how_to_retrain(model)}")
    return champion


def windows_to_score(workspace: Workspace, frozen: FrozenSpec, champion: Champion, as_of: datetime) -> list[Window]:
    """Return the whole partitions before the as-of time that nobody scored yet, newest `score.catch_up` of them.

    Partitions that begin before the champion's cut-off are left out: it was trained on their rows.
    """
    data = frozen.spec.data
    end = floor(as_of, data.partition)
    count = max(1, round(frozen.spec.score.catch_up / nominal(data.partition)))
    start = max(step(end, data.partition, -count), ceil(champion.cutoff, data.partition))
    if start >= end:
        return []
    window = Window(start, end)
    done = {p.window.start for p in workspace.ledger.predictions(frozen.model, window)}
    return [part for part in partitions(window, data.partition) if part.start not in done]


def why_nothing(workspace: Workspace, frozen: FrozenSpec, champion: Champion, as_of: datetime) -> str:
    """Say why there is no partition to score, or none of those to score had a row."""
    data = frozen.spec.data
    end = floor(as_of, data.partition)
    if end <= ceil(champion.cutoff, data.partition):
        return (
            f"nothing to score before {end:%Y-%m-%d %H:%M}: champion {champion.sequence} was trained on all rows "
            f"before its cut-off, {champion.cutoff:%Y-%m-%d %H:%M}"
        )
    left = windows_to_score(workspace, frozen, champion, as_of)
    if not left:
        return f"every {data.partition} before {end:%Y-%m-%d %H:%M} was scored before; a published prediction stays"
    return f"the source has no rows from {left[0].start:%Y-%m-%d %H:%M} to {left[-1].end:%Y-%m-%d %H:%M}"


def predict(
    workspace: Workspace, frozen: FrozenSpec, champion: Champion, windows: list[Window], as_of: datetime
) -> list[PredictionSet]:
    """Predict partitions, write their rows to the store and note the sets; nothing is published yet.

    Raises
    ------
    Damaged
        When the champion's release is not what was deployed.
    SourceError
        When the rows do not have the columns or types the champion was trained on.
    ValidationFailed
        When the rows break a check beyond the quarantine's budget.
    """
    if not windows:
        return []
    model = stored.load(workspace.store, champion.release_id)
    reader = workspace.reader(frozen)
    made = []
    for window in windows:
        extent = ingest.read_window(reader, window, as_of)
        if not extent.chunks[window.start]:
            continue  # an empty partition is a fact; the monitor's volume checks speak about it
        manifest = snapshots.freeze(reader, extent, window, as_of, labels=False)
        manifest = validate_rows(workspace.store, workspace.ledger, frozen, manifest).snapshot
        record = _write(workspace, frozen, model, champion, manifest)
        workspace.ledger.finish(frozen.model, *place(record), record)
        made.append(record)
    return made


def place(record: PredictionSet) -> tuple[Stage, str]:
    """Return the stage and key under which the ledger notes a set before it is published."""
    return "predict", digest_of([record.key, record.as_of.isoformat()])


def publish(workspace: Workspace, made: list[PredictionSet]) -> list[PredictionSet]:
    """Record prediction sets; for each partition the first one stays, and is returned."""
    return [workspace.ledger.add_predictions(record) for record in made]


def read_predictions(store: Store, record: PredictionSet) -> pa.Table:
    """Return a published set's rows (key, time, prediction, id) after checking the file's digest."""
    return parquet.from_bytes(store.read(record.key, record.file_sha256))


def _write(
    workspace: Workspace, frozen: FrozenSpec, model: StoredModel, champion: Champion, manifest: Snapshot
) -> PredictionSet:
    data = frozen.spec.data
    rows = snapshots.load(workspace.store, manifest, data)
    outputs = model.predict(rows, f"{frozen.model}, {manifest.describe()}")
    keys = rows.select(list(data.keys))
    wanted = list(dict.fromkeys([*data.keys, data.time]))
    table = rows.select(wanted).append_column(ID, pa.array(prediction_ids(manifest.window, champion.release_id, keys)))
    for name, column in prediction_columns(model, outputs).items():
        table = table.append_column(name, column)
    day = f"{manifest.window.start:%Y-%m-%dT%H}"
    key = f"predictions/{frozen.model}/{day}/{champion.release_id[:16]}-{manifest.id[:16]}.parquet"
    workspace.store.write_once(key, parquet.to_bytes(table))
    digest = sha256(workspace.store.read(key))
    return PredictionSet(
        model=frozen.model,
        window=manifest.window,
        release_id=champion.release_id,
        sequence=champion.sequence,
        chunk_id=manifest.features[0].id,
        as_of=manifest.as_of,
        key=key,
        n_rows=rows.num_rows,
        file_sha256=digest,
    )
