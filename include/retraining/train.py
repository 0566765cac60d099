"""Train: choose a candidate by time-ordered cross-validation, then fit it up to the holdout."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.model_selection import ParameterGrid, ParameterSampler

from retraining import artifacts, ingest
from retraining.artifacts import ModelCard, predict
from retraining.blocks import block_index, block_length
from retraining.bootstrap import paired_difference
from retraining.environment import environment_id
from retraining.errors import NotEnoughData, TrainingFailed, shown
from retraining.features import FeaturePlan, frequent_categories, make_model, matrix, plan_features
from retraining.metrics import Metric, find_metric, value
from retraining.records import CandidateScore, Snapshot, Trained, digest_of, short, shown_day
from retraining.registry import Registry
from retraining.spec import FrozenSpec
from retraining.spec.model import Candidate, Spec
from retraining.windows import nominal
from retraining.workspace import Workspace

MIN_ROWS = 200
"""Fewest labelled rows that can be learnt from and cross-validated."""
MIN_FOLD_ROWS = 100
"""Fewest rows before the oldest fold: half of the least, as the folds lie in the younger half."""


@dataclass(frozen=True)
class Labelled:
    """Rows with final labels: the feature matrix, `y` as class index or value, and when each row happened."""

    rows: pa.Table
    x: Any
    y: NDArray[np.float64]
    times: NDArray[np.datetime64]
    classes: tuple[Any, ...]


@dataclass(frozen=True)
class OutOfFold:
    """A candidate's predictions on rows it was not fitted on, oldest fold first, and its metric per fold."""

    name: str
    params: dict[str, Any]
    folds: tuple[float, ...]
    y: NDArray[np.float64]
    p: NDArray[np.float64]
    times: NDArray[np.datetime64]


def labelled_rows(
    workspace: Workspace, frozen: FrozenSpec, snapshot: Snapshot, plan: FeaturePlan, classes: tuple[Any, ...] | None
) -> Labelled:
    """Load a snapshot's rows that have a label.

    Raises
    ------
    NotEnoughData
        When too large a share of mature rows has no label, or a class is unknown to the model.
    """
    spec, where = frozen.spec, f"{frozen.model}, {snapshot.describe()}"
    rows = ingest.load(workspace.store, snapshot, spec.data)
    target = rows.column(spec.data.target) if spec.data.target in rows.column_names else pa.nulls(rows.num_rows)
    missing = target.null_count / max(1, rows.num_rows)
    if missing > spec.data.max_unlabelled:
        raise NotEnoughData(
            f"{where}: {missing:.1%} of the mature rows have no label, more than data.max_unlabelled "
            f"({spec.data.max_unlabelled:.1%}). Repair the labels' source, or raise label_delay if they come later."
        )
    rows = rows.filter(target.is_valid())
    raw = rows.column(spec.data.target).to_numpy(zero_copy_only=False)
    known = _classes(raw, spec.training.task, where) if classes is None else classes
    y = _encoded(raw, spec.training.task, known, where)
    times = rows.column(spec.data.time).to_numpy().astype("datetime64[us]")
    return Labelled(rows, matrix(rows, plan, where), y, times, known)


def train(workspace: Workspace, frozen: FrozenSpec, snapshot: Snapshot) -> Trained:
    """Fit the best candidate on a training snapshot; finished work is reused.

    Raises
    ------
    NotEnoughData
        When the window has too few rows or one class.
    TrainingFailed
        When an estimator cannot be fitted.
    """
    key = digest_of(["train", frozen.id, snapshot.id, environment_id()])
    done = workspace.ledger.finished(Trained, frozen.model, "train", key)
    if done is not None and artifacts.is_stored(workspace.store, done.artifact_id):
        return done  # an old candidate may have been freed; fitted again it has the same id
    plan = plan_features(frozen.spec, snapshot.columns)
    data = labelled_rows(workspace, frozen, snapshot, plan, None)
    _enough(frozen, snapshot, data)
    metric = find_metric(frozen.spec.training.metric, frozen.spec.training.task)
    tags = {"model": frozen.model, "spec": frozen.id, "snapshot": snapshot.id, "environment": environment_id()}
    tried = [
        _candidate_run(workspace.registry, frozen, c, plan, data, metric, f"{key}-{i}", tags)
        for i, c in enumerate(frozen.spec.training.candidates)
    ]
    scores = [score for score, _ in tried]
    index, why = choose([out for _, out in tried], metric, block_length(frozen.spec.gate))
    candidate = frozen.spec.training.candidates[index]
    trained = _fit_chosen(workspace, frozen, snapshot, plan, data, candidate, scores[index], scores, why)
    workspace.ledger.finish(frozen.model, "train", key, trained)
    return trained


def choose(outs: list[OutOfFold], metric: Metric, length: timedelta) -> tuple[int, str]:
    """Choose the first, that is simplest, candidate within one standard error of the best.

    The standard error is that of the paired difference on the same out-of-fold rows, by blocks of time: candidates
    err on the same days, so their difference is known far better than either score.
    Source: Breiman, Friedman, Olshen and Stone, Classification and Regression Trees (1984), section 3.4.3.

    Returns
    -------
    The candidate's index and why it was chosen.
    """
    sign = 1.0 if metric.greater_is_better else -1.0
    best = max(range(len(outs)), key=lambda i: sign * float(np.mean(outs[i].folds)))
    top = outs[best]
    for index, out in enumerate(outs[:best]):
        lead = sign * (float(np.mean(top.folds)) - float(np.mean(out.folds)))
        blocks = block_index(top.times, top.times.min().astype(datetime).replace(tzinfo=UTC), length)
        error = paired_difference(metric, top.y, top.p, out.p, blocks, alpha=0.05, seed=0).standard_error
        if lead <= error:
            return index, (
                f"{out.name}: {metric.name} {np.mean(out.folds):.4f}, within one standard error ({error:.4f}) of "
                f"{top.name} ({np.mean(top.folds):.4f}) and simpler"
            )
    return best, f"{top.name}: best {metric.name} {np.mean(top.folds):.4f} of {len(outs)} candidates"


def fit(frozen: FrozenSpec, estimator: str, params: dict[str, Any], plan: FeaturePlan, x: Any, y: Any) -> Any:
    """Fit one pipeline.

    Raises
    ------
    TrainingFailed
        With the estimator, its parameters and what it said.
    """
    model = make_model(estimator, params, plan, frozen.spec.training.seed, frequent_categories(x, plan))
    try:
        return model.fit(x, y)
    except (ValueError, TypeError, ArithmeticError, MemoryError) as error:
        text = str(error).strip().splitlines()[0][:300]
        raise TrainingFailed(f"{frozen.model}: {estimator} with {params} cannot be fitted: {text}") from error


def make_card(
    frozen: FrozenSpec,
    estimator: str,
    params: dict[str, Any],
    snapshot: Snapshot,
    data: Labelled,
    plan: FeaturePlan,
    importance: dict[str, float],
) -> ModelCard:
    """Describe a fitted model for its artifact."""
    spec = frozen.spec
    if spec.training.task == "regression":
        prior: tuple[float, ...] = (float(data.y.mean()), float(np.median(data.y)))
    else:
        prior = tuple(float(np.mean(data.y == i)) for i in range(len(data.classes)))
    return ModelCard(
        model=frozen.model,
        task=spec.training.task,
        estimator=estimator,
        params=params,
        seed=spec.training.seed,
        recipe_id=recipe_id(frozen.id, estimator, params, spec.training.seed),
        spec_id=frozen.id,
        learning_id=frozen.learning_id,
        snapshot_id=snapshot.id,
        cutoff=snapshot.window.end,
        environment_id=environment_id(),
        classes=data.classes,
        prior=prior,
        plan=plan,
        importance=importance,
    )


def recipe_id(spec_id: str, estimator: str, params: dict[str, Any], seed: int) -> str:
    """Return the digest of what is refitted on promotion: spec, estimator, chosen parameters and seed."""
    return digest_of([spec_id, estimator, params, seed])


def smoke_rows(data: Labelled) -> pa.Table:
    """Return rows spread evenly over the window, to be scored again before each deployment."""
    return data.rows.take(np.linspace(0, data.rows.num_rows - 1, artifacts.N_SMOKE_ROWS).astype(int))


def _classes(raw: NDArray[Any], task: str, where: str) -> tuple[Any, ...]:
    if task == "regression":
        return ()
    classes = tuple(v.item() if hasattr(v, "item") else v for v in sorted(set(raw.tolist())))
    if len(classes) < 2:
        raise NotEnoughData(
            f"{where}: the target has one class only ({shown(classes)}); nothing can be learnt. "
            "Check data.target, or use a longer training.window."
        )
    if task == "binary" and len(classes) > 2:
        raise NotEnoughData(
            f"{where}: the target has {len(classes)} classes ({shown(classes)}). Set training.task to multiclass."
        )
    return classes


def _encoded(raw: NDArray[Any], task: str, classes: tuple[Any, ...], where: str) -> NDArray[np.float64]:
    if task == "regression":
        try:
            return raw.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise NotEnoughData(
                f"{where}: the target holds text; regression needs numbers. Check data.target and training.task."
            ) from error
    index = {c: i for i, c in enumerate(classes)}
    unknown = sorted({str(v) for v in raw.tolist() if v not in index})
    if unknown:
        raise NotEnoughData(f"{where}: the target has classes the model does not know: {shown(unknown)}.")
    return np.array([index[v] for v in raw.tolist()], dtype=np.float64)


def _enough(frozen: FrozenSpec, snapshot: Snapshot, data: Labelled) -> None:
    if len(data.y) < MIN_ROWS:
        raise NotEnoughData(
            f"{frozen.model}, {snapshot.describe()}: {len(data.y)} labelled rows; at least {MIN_ROWS} are needed. "
            "Use a longer training.window or wait for labels."
        )


def _candidate_run(
    registry: Registry,
    frozen: FrozenSpec,
    candidate: Candidate,
    plan: FeaturePlan,
    data: Labelled,
    metric: Metric,
    key: str,
    tags: dict[str, str],
) -> tuple[CandidateScore, OutOfFold]:
    name = candidate.estimator.rpartition(".")[2]
    with registry.run(frozen.model, key, f"candidate {name}", {**tags, "stage": "train"}) as run:
        out = _best_setting(frozen, candidate, plan, data, metric)
        error = float(np.std(out.folds, ddof=1) / np.sqrt(len(out.folds)))
        mean = float(np.mean(out.folds))
        run.params = {"estimator": candidate.estimator, "seed": frozen.spec.training.seed, **out.params}
        run.metrics = {f"cv_{metric.name}": mean, f"cv_{metric.name}_se": error}
        return CandidateScore(name, out.params, out.folds, mean, error, run.id), out


def _best_setting(
    frozen: FrozenSpec, candidate: Candidate, plan: FeaturePlan, data: Labelled, metric: Metric
) -> OutOfFold:
    sign = 1.0 if metric.greater_is_better else -1.0
    tried = [
        _cross_validate(frozen, candidate.estimator, params, plan, data, metric)
        for params in _settings(candidate, frozen.spec)
    ]
    return max(tried, key=lambda out: sign * float(np.mean(out.folds)))


def _settings(candidate: Candidate, spec: Spec) -> list[dict[str, Any]]:
    if not candidate.search:
        return [candidate.params]
    grid = ParameterGrid(candidate.search)
    if len(grid) > spec.training.trials:
        grid = ParameterSampler(candidate.search, spec.training.trials, random_state=spec.training.seed)
    return [{**candidate.params, **setting} for setting in grid]


def _cross_validate(
    frozen: FrozenSpec, estimator: str, params: dict[str, Any], plan: FeaturePlan, data: Labelled, metric: Metric
) -> OutOfFold:
    """Rolling origin: each fold is as long as the holdout, and only rows before it are learnt from.

    Rows without a time are in hashed order, so no fold is older than another; shorter ones leave more to learn from.
    """
    spec = frozen.spec
    length = max(spec.gate.holdout, nominal(spec.data.partition))
    if not spec.data.time_ordered:
        length = timedelta(days=spec.training.window.days // (spec.training.folds + 2))
    end = data.times.max() + np.timedelta64(1, "us")
    scores, predictions, folds = [], [], []
    for back in range(spec.training.folds, 0, -1):
        start = end - np.timedelta64(length) * back
        past, fold = data.times < start, (data.times >= start) & (data.times < start + np.timedelta64(length))
        if past.sum() < MIN_FOLD_ROWS or not fold.any():
            raise NotEnoughData(
                f"{frozen.model}: the training window is too short for {spec.training.folds} folds of the "
                "holdout's length. Use a longer training.window, a shorter gate.holdout or fewer training.folds."
            )
        model = fit(frozen, estimator, params, plan, data.x[past], data.y[past])
        predictions.append(predict(model, spec.training.task, data.x[fold]))
        scores.append(value(metric, data.y[fold], predictions[-1]))
        folds.append(np.flatnonzero(fold))
    rows = np.concatenate(folds)
    name = estimator.rpartition(".")[2]
    return OutOfFold(name, params, tuple(scores), data.y[rows], np.concatenate(predictions), data.times[rows])


def _fit_chosen(
    workspace: Workspace,
    frozen: FrozenSpec,
    snapshot: Snapshot,
    plan: FeaturePlan,
    data: Labelled,
    candidate: Candidate,
    chosen: CandidateScore,
    scores: list[CandidateScore],
    why: str,
) -> Trained:
    pipeline = fit(frozen, candidate.estimator, chosen.params, plan, data.x, data.y)
    card = make_card(frozen, candidate.estimator, chosen.params, snapshot, data, plan, {})
    artifact = artifacts.save(workspace.store, card, pipeline, smoke_rows(data))
    workspace.registry.log_dataset(chosen.run_id, snapshot, f"{frozen.model}-train")
    workspace.registry.add_to_run(
        chosen.run_id, {"n_rows": len(data.y)}, {"chosen": why, "artifact": artifact, "recipe": card.recipe_id}
    )
    return Trained(
        model=frozen.model,
        recipe_id=card.recipe_id,
        spec_id=frozen.id,
        snapshot_id=snapshot.id,
        estimator=candidate.estimator,
        params=chosen.params,
        seed=card.seed,
        artifact_id=artifact,
        run_id=chosen.run_id,
        cutoff=card.cutoff,
        scores=tuple(scores),
        why=why,
    )


def describe(trained: Trained) -> str:
    """Say what was trained in a line."""
    return f"{trained.why}; recipe {short(trained.recipe_id)}, trained to {shown_day(trained.cutoff)}"
