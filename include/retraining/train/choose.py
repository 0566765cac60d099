"""Choose among the candidates, and fit the chosen one up to the holdout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from retraining.artifacts import stored
from retraining.artifacts.environment import environment_id
from retraining.ledger.work import Stage
from retraining.records import Trained, Tried, digest_of
from retraining.stats.blocks import block_index, block_length
from retraining.stats.bootstrap import paired_difference
from retraining.stats.metrics import Array, Metric
from retraining.train.candidates import is_kept, out_of_fold, try_candidate
from retraining.train.fitting import fit
from retraining.train.folds import OutOfFold
from retraining.train.job import Job
from retraining.train.recipe import make_card
from retraining.train.rows import smoke_rows

STAGE: Stage = "train"


def choose(job: Job, tried: Iterable[Tried]) -> Trained:
    """Choose a candidate by its out-of-fold predictions and fit it on the whole snapshot; finished work is reused.

    Parameters
    ----------
    tried
        What tasks of their own found, wherever they ran. Those of another spec or snapshot are left aside, and what
        is missing is made up for here: the frozen spec may have other candidates than the YAML had when the DAG was
        parsed.

    Raises
    ------
    NotEnoughData
        When the window has too few rows or one class.
    TrainingFailed
        When an estimator cannot be fitted.
    """
    frozen, workspace = job.frozen, job.workspace
    key = choice_key(frozen.id, job.snapshot.id)
    done = workspace.ledger.finished(Trained, frozen.model, STAGE, key)
    if done is not None and stored.is_stored(workspace.store, done.artifact_id):
        return done  # an old candidate may have been freed; fitted again it has the same id
    known = {t.index: t for t in tried if _is_of(job, t)}
    all_tried = [known.get(index) or try_candidate(job, index) for index in range(job.n_candidates)]
    outs = [out_of_fold(workspace.store, t) for t in all_tried]
    compare = Comparison(job.metric, job.data.y, job.data.times, block_length(frozen.spec.gate))
    index, why = simplest_of_the_best([t.score.name for t in all_tried], outs, compare)
    trained = _fit_chosen(job, all_tried, index, "; ".join([why, *_cut_short(all_tried)]))
    workspace.ledger.finish(frozen.model, STAGE, key, trained)
    return trained


def choice_key(spec_id: str, snapshot_id: str) -> str:
    """Return the key under which a choice is recorded in this environment."""
    return digest_of([STAGE, spec_id, snapshot_id, environment_id()])


class Comparison:
    """Compares predictions on the same out-of-fold rows."""

    def __init__(self, metric: Metric, y: Array, times: NDArray[np.datetime64], length: timedelta) -> None:
        self.metric, self._y, self._times, self._length = metric, y, times, length

    def standard_error(self, new: OutOfFold, old: OutOfFold) -> float:
        """Return the standard error of the difference in the metric, by blocks of time."""
        y, times = self._y[new.rows], self._times[new.rows]
        blocks = block_index(times, times.min().astype(datetime).replace(tzinfo=UTC), self._length)
        return paired_difference(self.metric, y, new.p, old.p, blocks, alpha=0.05, seed=0).standard_error


def simplest_of_the_best(names: Sequence[str], outs: Sequence[OutOfFold], compare: Comparison) -> tuple[int, str]:
    """Return the first, that is simplest, candidate within one standard error of the best, and why it is chosen.

    The standard error is that of the paired difference on the same out-of-fold rows, by blocks of time: candidates
    err on the same days, so their difference is known far better than either score.
    Source: Breiman, Friedman, Olshen and Stone, Classification and Regression Trees (1984), section 3.4.3.
    """
    metric, sign = compare.metric.name, 1.0 if compare.metric.greater_is_better else -1.0
    best = max(range(len(outs)), key=lambda i: sign * outs[i].mean)
    for index, out in enumerate(outs[:best]):
        error = compare.standard_error(outs[best], out)
        if sign * (outs[best].mean - out.mean) <= error:
            return index, (
                f"{names[index]}: {metric} {out.mean:.4f}, within one standard error ({error:.4f}) of "
                f"{names[best]} ({outs[best].mean:.4f}) and simpler"
            )
    return best, f"{names[best]}: best {metric} {outs[best].mean:.4f} of {len(outs)} candidates"


def _is_of(job: Job, tried: Tried) -> bool:
    return (
        (tried.spec_id, tried.snapshot_id) == (job.frozen.id, job.snapshot.id)
        and tried.index < job.n_candidates
        and is_kept(job.workspace.store, tried)
    )


def _cut_short(tried: Iterable[Tried]) -> list[str]:
    """Say which searches the clock stopped: another candidate might have won with more time."""
    return [
        f"training.seconds stopped the search of {t.score.name} after {t.n_tried} of {t.n_settings} settings"
        for t in tried
        if t.n_tried < t.n_settings
    ]


def _fit_chosen(job: Job, tried: Sequence[Tried], index: int, why: str) -> Trained:
    frozen, registry, chosen = job.frozen, job.workspace.registry, tried[index]
    params, run_id = chosen.score.params, chosen.score.run_id
    pipeline = fit(frozen, chosen.estimator, params, job.plan, job.data)
    card = make_card(frozen, chosen.estimator, params, job.snapshot, job.data, job.plan, {})
    artifact = stored.save(job.workspace.store, card, pipeline, smoke_rows(job.data))
    registry.log_dataset(run_id, job.snapshot, f"{frozen.model}-train")
    tags = {"chosen": why, "artifact": artifact, "recipe": card.recipe_id}
    registry.add_to_run(run_id, {"n_rows": len(job.data.y)}, tags)
    return Trained(
        model=frozen.model,
        recipe_id=card.recipe_id,
        spec_id=frozen.id,
        snapshot_id=job.snapshot.id,
        estimator=chosen.estimator,
        params=params,
        seed=card.seed,
        artifact_id=artifact,
        run_id=run_id,
        cutoff=card.cutoff,
        scores=tuple(t.score for t in tried),
        why=why,
    )
