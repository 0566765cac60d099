"""Adopt: a model that a team already runs becomes the champion, is watched at once, and competes from then on.

Nobody here knows what it was trained on. So its cut-off is the end of the newest mature window at its adoption: the
first holdout starts after it, and no challenger is judged on rows that the adopted model may have seen.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sklearn.base import is_classifier, is_regressor

from retraining.artifacts import stored
from retraining.artifacts.features import FeaturePlan
from retraining.artifacts.foreign import ForeignModel, other_version, read_foreign
from retraining.artifacts.preflight import preflight
from retraining.artifacts.stored import UNKNOWN, UNKNOWN_SEED, ModelCard, predict
from retraining.data import ingest, plan, snapshots
from retraining.errors import RequestError, TrainingFailed, shown
from retraining.records import Champion, Column, Snapshot, digest_of
from retraining.rollout.alias import sync_alias
from retraining.spec import FrozenSpec
from retraining.spec.data import Data
from retraining.train import Labelled, labelled_rows, make_card, smoke_rows
from retraining.train.importance import column_importance
from retraining.train.reference import reference_rows
from retraining.validation.validate import validate
from retraining.windows import refuse_future
from retraining.workspace import Workspace

_URI = re.compile(r"models:/([^/@]+)/(\d+)")
_KIND = {"number": "number", "integer": "number", "boolean": "number", "string": "text"}
"""What a column of a snapshot can be for a model; times are none of it, and an empty column can be either."""


def adopt(
    workspace: Workspace,
    model: str,
    uri: str,
    *,
    as_of: datetime,
    by: str,
    reason: str = "",
    trust_pickle: bool = False,
    expected_sha256: str | None = None,
) -> Champion:
    """Make a registered version of somebody's scikit-learn model the first champion; twice has no second effect.

    Parameters
    ----------
    uri
        `models:/NAME/VERSION`. An alias is refused: it may name another version tomorrow.
    trust_pickle, expected_sha256
        Both are needed to read a pickle: whether its maker is trusted, and the digest of the model file.

    Raises
    ------
    RequestError
        When the model has a champion, there is no such version, or it does not fit the model's YAML.
    TrainingFailed
        When it cannot be read, or cannot predict the source's rows.
    ValidationFailed
        When the rows it is to be watched against break a check.
    DeployRefused
        When a new process cannot load it with the same outputs.
    """
    refuse_future(model, as_of, datetime.now(UTC))
    frozen = workspace.spec(model)
    name, version = _parse(uri)
    known = workspace.ledger.champion(model)
    if known is not None:
        return _completed(workspace, known, uri, as_of)
    if not workspace.registry.version_exists(name, version):
        raise RequestError(f"{model}: there is no version {version} of {name} in MLflow. Check MLFLOW_TRACKING_URI.")
    with tempfile.TemporaryDirectory() as folder:
        files = workspace.registry.download(name, version, Path(folder))
        foreign = read_foreign(files, uri, trust_pickle=trust_pickle, expected_sha256=expected_sha256)
    workspace.freeze(frozen)
    snapshot = _reference_snapshot(workspace, frozen, as_of)
    plan = plan_of(foreign, snapshot.columns, frozen.spec.data)
    data = _rows(workspace, frozen, snapshot, foreign, plan)
    card = _card(frozen, snapshot, foreign, plan, data)
    reference = reference_rows(frozen, foreign.estimator, plan, data)
    release_id = stored.save(workspace.store, card, foreign.estimator, smoke_rows(data), reference)
    preflight(workspace.store, release_id)
    ours = _register(workspace, frozen, foreign, (name, version), release_id, data)
    notes = [f"provenance unknown: {uri}", other_version(foreign), reason]
    champion = Champion(
        model=model,
        sequence=1,
        kind="adoption",
        release_id=release_id,
        verdict_id=None,
        spec_id=frozen.id,
        recipe_id=card.recipe_id,
        estimator=card.estimator,
        version=ours,
        as_of=as_of,
        cutoff=card.cutoff,
        by=by,
        reason="; ".join(note for note in notes if note),
        created_at=datetime.now(UTC),  # when it happened, for the record; no decision reads it
    )
    if not workspace.ledger.move_champion(champion):
        raise RequestError(f"{model}: got a champion while {uri} was being adopted. Look at `history {model}`.")
    sync_alias(workspace, model, as_of)
    return champion


def plan_of(foreign: ForeignModel, columns: tuple[Column, ...], data: Data) -> FeaturePlan:
    """Return which columns of the source an adopted model takes, in its own order.

    Raises
    ------
    RequestError
        When it does not say, or the source does not have them, or has them with another type.
    """
    own = getattr(foreign.estimator, "feature_names_in_", None)
    names = [str(n) for n in own] if own is not None else list(foreign.signature)
    if not names:
        raise RequestError(
            f"{foreign.uri}: does not say which columns it takes. Log it with a signature of named columns."
        )
    there = {c.name: c.type for c in columns}
    missing = [n for n in names if n not in there]
    leaking = sorted({data.time, *data.known_late}.intersection(names))
    if missing or leaking:
        what = f"the source does not have {shown(missing)}" if missing else f"{shown(leaking)} is known only later"
        raise RequestError(f"{foreign.uri}: takes columns that it cannot have: {what}. Change the query or the YAML.")
    kinds = {n: _kind(n, foreign, there[n]) for n in names}
    return FeaturePlan(
        numeric=tuple(n for n in names if kinds[n] == "number"),
        categorical=tuple(n for n in names if kinds[n] == "text"),
        order=tuple(names),
    )


def _parse(uri: str) -> tuple[str, int]:
    match = _URI.fullmatch(uri)
    if match is None:
        raise RequestError(f"{uri!r} is not the address of a registered version. Give models:/NAME/VERSION.")
    return match[1], int(match[2])


def _completed(workspace: Workspace, champion: Champion, uri: str, as_of: datetime) -> Champion:
    """Finish an adoption that was killed before the alias was set; any other champion came by a verdict and stays."""
    model = champion.model
    if champion.sequence == 1 and stored.read_card(workspace.store, champion.release_id).provenance == uri:
        sync_alias(workspace, model, as_of)
        return champion
    raise RequestError(
        f"{model}: has a champion (version {champion.version}); only a model without a history can adopt one. Use "
        f"`registry adopt {model}` for an earlier champion, or a retraining, through whose gate a better model comes."
    )


def _reference_snapshot(workspace: Workspace, frozen: FrozenSpec, as_of: datetime) -> Snapshot:
    """Freeze and check the newest mature rows, as many as a model of the YAML would be trained on."""
    spec = frozen.spec
    _, _, window = plan.plan_windows(spec.data, spec.training.window, spec.gate.holdout, as_of)
    reader = workspace.reader(frozen)
    extent = ingest.read_window(reader, window, as_of)
    snapshot = snapshots.freeze(reader, extent, window, as_of, labels=True)
    return validate(workspace.store, workspace.ledger, frozen, snapshot).snapshot


def _kind(name: str, foreign: ForeignModel, column_type: str) -> str:
    there, wanted = _KIND.get(column_type), foreign.signature.get(name)
    kind = wanted or there
    if kind is None or (there is None and column_type != "null") or (there is not None and there != kind):
        raise RequestError(
            f"{foreign.uri}: takes {name} as {wanted or 'number or text'}, the source gives {column_type}. "
            "Cast it in the query."
        )
    return kind


def _rows(
    workspace: Workspace, frozen: FrozenSpec, snapshot: Snapshot, foreign: ForeignModel, plan: FeaturePlan
) -> Labelled:
    """Load the rows and let the model predict them, so that what does not fit is found before anything is stored."""
    task, target = frozen.spec.training.task, frozen.spec.data.target
    data = labelled_rows(workspace, frozen, snapshot, plan, _classes(foreign, task))
    try:
        predict(foreign.estimator, task, data.x)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        text = (str(error).splitlines() or [""])[0][:300].rstrip(".")
        raise TrainingFailed(
            f"{foreign.uri}: cannot predict the source's rows ({snapshot.describe()}): {text}. Nothing was adopted."
        ) from error
    # the source's own values (1.0 for 1), by which the next candidates will name the same classes
    values = {v: v for v in data.rows.column(target).to_numpy(zero_copy_only=False).tolist()}
    return replace(data, classes=tuple(values.get(c, c) for c in data.classes))


def _classes(foreign: ForeignModel, task: str) -> tuple[Any, ...]:
    estimator, uri = foreign.estimator, foreign.uri
    if task == "regression":
        if not is_regressor(estimator):
            raise RequestError(f"{uri}: is not a regressor, but training.task is regression.")
        return ()
    if not is_classifier(estimator) or not hasattr(estimator, "predict_proba"):
        raise RequestError(f"{uri}: gives no probabilities (predict_proba), which training.task {task} needs.")
    classes = tuple(c.item() if hasattr(c, "item") else c for c in estimator.classes_)
    if task == "binary" and len(classes) != 2:
        raise RequestError(f"{uri}: has {len(classes)} classes ({shown(classes)}), but training.task is binary.")
    return classes


def _card(
    frozen: FrozenSpec, snapshot: Snapshot, foreign: ForeignModel, plan: FeaturePlan, data: Labelled
) -> ModelCard:
    importance = column_importance(frozen, foreign.estimator, data)
    card = make_card(frozen, _class_path(foreign.estimator), {}, snapshot, data, plan, importance)
    return replace(card, seed=UNKNOWN_SEED, recipe_id=foreign.sha256, learning_id=UNKNOWN, provenance=foreign.uri)


def _class_path(estimator: Any) -> str:
    """Return the public import path of the last step's class, as a YAML would name it."""
    steps = getattr(estimator, "steps", None)
    cls = type(steps[-1][1] if steps else estimator)
    return ".".join([*(p for p in cls.__module__.split(".") if not p.startswith("_")), cls.__qualname__])


def _register(
    workspace: Workspace,
    frozen: FrozenSpec,
    foreign: ForeignModel,
    address: tuple[str, int],
    release_id: str,
    data: Labelled,
) -> int:
    """Return the version of our own registered model: the adopted one itself, or its copy when it has another name."""
    name, version = address
    model, registry = frozen.model, workspace.registry
    if name == model:
        registry.mark_release(model, version, release_id)
        return version
    tags = {"stage": "adopt", "adopted": foreign.uri, "spec": frozen.id, "model": model}
    with registry.run(model, digest_of(["adopt", release_id]), "adopt", tags) as run:
        example = data.x.head(5)
        outputs = predict(foreign.estimator, frozen.spec.training.task, example)
        run.params = {"estimator": _class_path(foreign.estimator)}
        run.tags = {"release": release_id}
        run.tags["model_uri"] = registry.log_model(run.id, foreign.estimator, example, outputs)
    uri = registry.model_uri(run.id)
    return registry.register(model, release_id, run.id, uri, {"adopted": foreign.uri, "spec": frozen.id})
