"""One candidate: search its settings, keep the best one's out-of-fold predictions, and write its MLflow run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa

from retraining.artifacts.environment import environment_id
from retraining.data import parquet
from retraining.records import CandidateScore, Reach, Tried, digest_of, shown_day
from retraining.spec.training import Candidate
from retraining.store import Store, sha256
from retraining.train.folds import Fold, OutOfFold, cross_validate, predict_folds
from retraining.train.job import Job
from retraining.train.search import Budget, settings_of
from retraining.windows import format_duration

STAGE: Final = "candidate"


def try_candidate(job: Job, index: int) -> Tried:
    """Find a candidate's best setting; finished work is reused.

    Raises
    ------
    TrainingFailed
        When a setting cannot be fitted: it names estimator, parameters and cause.
    """
    frozen, ledger = job.frozen, job.workspace.ledger
    key = candidate_key(frozen.id, job.snapshot.id, index)
    done = ledger.finished(Tried, frozen.model, STAGE, key)
    if done is not None and is_kept(job.workspace.store, done):
        return done
    tried = run_candidate(job, index, key, Reach(window=frozen.spec.training.candidates[index].window), None)
    ledger.finish(frozen.model, STAGE, key, tried)
    return tried


def candidate_key(spec_id: str, snapshot_id: str, index: int, since: datetime | None = None) -> str:
    """Return the key under which a candidate's work is recorded in this environment."""
    return digest_of([STAGE, spec_id, snapshot_id, environment_id(), index, *([since.isoformat()] if since else [])])


def is_kept(store: Store, tried: Tried) -> bool:
    """Tell whether a candidate's predictions are still in the store."""
    return store.exists(tried.predictions_key)


def out_of_fold(store: Store, tried: Tried) -> OutOfFold:
    """Read a candidate's out-of-fold predictions.

    Raises
    ------
    Damaged
        When they are missing or not what was stored.
    """
    table = parquet.from_bytes(store.read(tried.predictions_key, tried.predictions_id))
    columns = [table[name].to_numpy() for name in table.column_names[1:]]
    p = columns[0] if len(columns) == 1 else np.column_stack(columns)
    return OutOfFold(tried.score.params, tried.score.folds, table["row"].to_numpy(), p)


def describe(tried: Tried, metric: str) -> str:
    """Say in a line how a candidate did."""
    score = tried.score
    searched = "" if tried.n_settings == 1 else f", best of {tried.n_tried} settings {score.params}"
    return f"{score.name}: {metric} {score.mean:.4f} over {len(score.folds)} folds{searched}"


def name_of(candidate: Candidate, reach: Reach) -> str:
    """Return what people call a candidate: its estimator, and what it learns where that is not all."""
    since = "" if reach.since is None else f" since {shown_day(reach.since)}"
    window = "" if reach.window is None else f" on the newest {format_duration(reach.window)}"
    return candidate.estimator.rpartition(".")[2] + window + since


def best_setting(job: Job, candidate: Candidate, folds: Sequence[Fold] | None = None) -> tuple[OutOfFold, int, int]:
    """Return the best setting's predictions, how many settings were tried, and of how many.

    Parameters
    ----------
    folds
        What is learnt and predicted; without it the folds of the candidate's window.
    """

    def predicted(params: dict[str, Any]) -> OutOfFold:
        if folds is None:
            return cross_validate(job, candidate.estimator, params, candidate.window)
        return predict_folds(job, candidate.estimator, params, folds)

    training, sign = job.frozen.spec.training, 1.0 if job.metric.greater_is_better else -1.0
    budget, settings = Budget.of(training), settings_of(candidate, training)
    best = predicted(settings[0])
    n_tried = 1
    for params in settings[1:]:
        if budget.is_spent:
            break
        found = predicted(params)
        best = found if sign * found.mean > sign * best.mean else best
        n_tried += 1
    return best, n_tried, len(settings)


def run_candidate(job: Job, index: int, key: str, reach: Reach, folds: Sequence[Fold] | None) -> Tried:
    """Try a candidate and write its MLflow run; `folds` where they are not those of its window."""
    frozen, registry = job.frozen, job.workspace.registry
    candidate = frozen.spec.training.candidates[index]
    name = name_of(candidate, reach)
    job.require()
    tags = {"model": frozen.model, "spec": frozen.id, "snapshot": job.snapshot.id, "environment": environment_id()}
    with registry.run(frozen.model, key, f"candidate {name}", {**tags, "stage": "train"}) as run:
        best, n_tried, n_settings = best_setting(job, candidate, folds)
        run.params = {"estimator": candidate.estimator, "seed": frozen.spec.training.seed, **best.params}
        run.metrics = {f"cv_{job.metric.name}": best.mean, f"cv_{job.metric.name}_se": best.standard_error}
        run.metrics |= {"settings_tried": n_tried, "settings": n_settings}
        return Tried(
            model=frozen.model,
            spec_id=frozen.id,
            snapshot_id=job.snapshot.id,
            index=index,
            estimator=candidate.estimator,
            score=CandidateScore(name, best.params, best.folds, best.mean, best.standard_error, run.id),
            predictions_id=_keep(job.workspace.store, best),
            n_tried=n_tried,
            n_settings=n_settings,
            reach=reach,
        )


def _keep(store: Store, found: OutOfFold) -> str:
    """Store predictions by content. Rows are numbers into the snapshot's labelled rows: nobody's values are copied."""
    columns = [found.p] if found.p.ndim == 1 else list(found.p.T)
    named = {f"p{i}": pa.array(np.ascontiguousarray(column)) for i, column in enumerate(columns)}
    data = parquet.to_bytes(pa.table({"row": pa.array(found.rows), **named}))
    identity = sha256(data)
    store.write_once(Tried.key_of(identity), data)
    return identity
