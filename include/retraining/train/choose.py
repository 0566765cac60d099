"""Choose among the candidates, and fit the chosen one up to the holdout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from retraining.artifacts import stored
from retraining.artifacts.environment import environment_id
from retraining.ledger.work import Stage
from retraining.records import Trained, Tried, digest_of
from retraining.stats.blocks import block_length
from retraining.train import recovery
from retraining.train.candidates import is_kept, out_of_fold, try_candidate
from retraining.train.choice import Comparison, best_of_the_windows
from retraining.train.fitting import fit
from retraining.train.folds import newest_fold
from retraining.train.job import Job
from retraining.train.recipe import make_card
from retraining.train.rows import learnt, require_learnable, smoke_rows

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
    key = choice_key(frozen.id, job.snapshot.id, job.since)
    done = workspace.ledger.finished(Trained, frozen.model, STAGE, key)
    if done is not None and stored.is_stored(workspace.store, done.artifact_id):
        return done  # an old candidate may have been freed; fitted again it has the same id
    known = {t.index: t for t in tried if _is_of(job, t)}
    all_tried = [known.get(index) or try_candidate(job, index) for index in range(job.n_candidates)]
    outs = [out_of_fold(workspace.store, t) for t in all_tried]
    compare = Comparison(job.metric, job.data.y, job.data.times, block_length(frozen.spec.gate))
    index, why = best_of_the_windows(all_tried, outs, compare, lambda rows: newest_fold(frozen, job.data, rows))
    said, chosen = [why, *_cut_short(all_tried)], all_tried[index]
    if job.since is not None:
        found = recovery.attempt(job, job.since, chosen, outs[index], compare)
        chosen, all_tried = found.chosen or chosen, [*all_tried, *found.tried]
        said.insert(0, found.why)
    trained = _fit_chosen(job, all_tried, chosen, "; ".join(said))
    workspace.ledger.finish(frozen.model, STAGE, key, trained)
    return trained


def choice_key(spec_id: str, snapshot_id: str, since: datetime | None = None) -> str:
    """Return the key under which a choice is recorded in this environment; `since` is what came after a collapse."""
    return digest_of([STAGE, spec_id, snapshot_id, environment_id(), *([] if since is None else [since.isoformat()])])


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


def _fit_chosen(job: Job, tried: Sequence[Tried], chosen: Tried, why: str) -> Trained:
    frozen, registry = job.frozen, job.workspace.registry
    params, run_id = chosen.score.params, chosen.score.run_id
    data = learnt(job.data, chosen.reach, job.snapshot.window.end)
    require_learnable(frozen, job.snapshot, data)
    pipeline = fit(frozen, chosen.estimator, params, job.plan, data)
    card = make_card(frozen, chosen.estimator, params, job.snapshot, data, job.plan, {}, chosen.reach)
    artifact = stored.save(job.workspace.store, card, pipeline, smoke_rows(data))
    registry.log_dataset(run_id, job.snapshot, f"{frozen.model}-train")
    tags = {"chosen": why, "artifact": artifact, "recipe": card.recipe_id}
    registry.add_to_run(run_id, {"n_rows": len(data.y)}, tags)
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
        reach=chosen.reach,
        since=job.since,
    )
