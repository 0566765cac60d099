"""Evaluate: candidate, earlier champions and a trivial baseline on the same holdout rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from retraining.evaluation import evidence, finalist
from retraining.evaluation.comparison import beyond_the_metric, figures_of, n_classes_of
from retraining.evaluation.describe import describe
from retraining.evaluation.footing import footing_of
from retraining.evaluation.holdout import Judged, Scored, judge, leaked_rows
from retraining.evaluation.looking import begins_at, look_of, take_look
from retraining.evaluation.rivals import rivals_of, with_rivals
from retraining.evaluation.rolled import replacement_of
from retraining.evaluation.rule import rule_of
from retraining.evaluation.standin import with_stand_in
from retraining.records import (
    Champion,
    Evaluation,
    Replacement,
    Rolled,
    Snapshot,
    Trained,
    Window,
    digest_of,
    to_dict,
)
from retraining.spec import FrozenSpec
from retraining.stats.metrics import find_metric
from retraining.train.origins import Contest
from retraining.workspace import Workspace


def nothing_new(
    workspace: Workspace,
    frozen: FrozenSpec,
    train: Snapshot,
    window: Window,
    as_of: datetime,
    champion: Champion,
    refit_id: str,
) -> Evaluation:
    """Return the evaluation of a run whose holdout has no row: no candidate is tried, for there is nothing to judge by.

    Parameters
    ----------
    train
        What would have been learnt.
    window
        The empty holdout.
    """
    untried = Trained(
        model=frozen.model,
        recipe_id=finalist.NO_CANDIDATE,
        spec_id=frozen.id,
        snapshot_id=train.id,
        estimator=champion.estimator,
        params={},
        seed=frozen.spec.training.seed,
        artifact_id=finalist.NO_CANDIDATE,
        run_id=finalist.NO_CANDIDATE,
        cutoff=train.window.end,
        scores=(),
        why="",
    )
    return evaluate(workspace, frozen, untried, None, window, as_of, champion, refit_id)


def evaluate(
    workspace: Workspace,
    frozen: FrozenSpec,
    trained: Trained,
    holdout: Snapshot | None,
    window: Window,
    as_of: datetime,
    champion: Champion | None,
    refit_id: str,
    contest: Contest | str | None = None,
    rolled: Sequence[Rolled] = (),
    instead_of: str | None = None,
) -> Evaluation:
    """Judge a candidate; finished work is reused.

    Parameters
    ----------
    holdout
        The snapshot of the holdout window; None when it has no rows.
    champion
        The champion that was in office when the run was admitted.
    refit_id
        The snapshot that the recipe will be fitted on again when it is released.
    contest, rolled
        Of a replacement: how the two recipes are compared, or why they are not, and the work of each origin.
    instead_of
        The verdict on a replacement in whose place the champion's own recipe is judged, as a refresh.

    Raises
    ------
    Damaged
        When the candidate cannot be read back as it was stored. A champion that cannot is recorded as incomparable:
        the gate then refuses, and a person decides.
    """
    sequence = champion.sequence if champion else None
    key = finalist.work_key(trained.artifact_id, sequence, window_id(holdout, window), frozen.id, as_of, instead_of)
    done = workspace.ledger.finished(Evaluation, frozen.model, "evaluate", key)
    if done is not None:
        return done  # above all with its number of earlier looks: a run that is repeated does not look again
    evaluation = _evaluate(
        workspace, frozen, trained, holdout, window, as_of, champion, refit_id, contest, rolled, instead_of
    )
    if evaluation.incomparable is not None:  # recorded, as every evaluation with a verdict must be, but not reused:
        key = finalist.evaluation_key(evaluation)  # a champion that is restored is compared by the next attempt
    workspace.ledger.finish(frozen.model, "evaluate", key, evaluation)
    return evaluation


def window_id(holdout: Snapshot | None, window: Window) -> str:
    """Return the holdout snapshot's id, or for an empty holdout the digest of its window."""
    return holdout.id if holdout else digest_of(["empty holdout", to_dict(window)])


def _evaluate(
    workspace: Workspace,
    frozen: FrozenSpec,
    trained: Trained,
    holdout: Snapshot | None,
    window: Window,
    as_of: datetime,
    champion: Champion | None,
    refit_id: str,
    contest: Contest | str | None,
    rolled: Sequence[Rolled],
    instead_of: str | None,
) -> Evaluation:
    rule = "refresh" if instead_of is not None else rule_of(workspace, frozen, trained.estimator, champion)
    judged = None if holdout is None else judge(workspace, frozen, trained, holdout)
    metric = find_metric(frozen.spec.training.metric, frozen.spec.training.task)
    looks, taken, leaked, footing = 0, None, 0, None
    if judged is not None and holdout is not None:
        look = look_of(frozen, trained, champion, holdout, as_of, rule, begins_at(window, rolled))
        looks, taken = take_look(workspace, frozen, judged, look, champion, as_of)  # before any figure is there
        where = f"{frozen.model}, {holdout.describe()}"
        judged = _with_champions(workspace, frozen, judged, champion, window, where, refresh=rule == "refresh")
        leaked = _leaked(workspace, frozen, holdout, trained, judged)
        footing = footing_of(workspace, frozen, judged, metric, looks, window, where)
    figures = figures_of(frozen, judged, metric, looks)
    replacement = None if rule != "replace" else _replacement(contest, rolled, judged, looks)
    evaluation = Evaluation(
        **_about(frozen, trained, champion, holdout, window),
        as_of=as_of,
        rule=rule,
        metric=metric.name,
        greater_is_better=metric.greater_is_better,
        n_rows=len(judged.data.y) if judged else 0,
        n_unlabelled=(holdout.n_rows - len(judged.data.y)) if holdout and judged else 0,
        n_blocks=int(judged.blocks.max()) + 1 if judged and len(judged.blocks) else 0,
        n_classes=n_classes_of(frozen, judged),
        looks=looks,
        incomparable=judged.champion.problem if judged and judged.champion else None,
        leaked_rows=leaked,
        footing=footing,
        refit_id=refit_id,
        validated=evidence.validated(workspace.ledger, frozen.model, _judged_on(trained, holdout)),
        locked=evidence.locked(workspace.settings.lock),
        replacement=replacement,
        instead_of=instead_of,
        look=taken,
        **figures,
        **beyond_the_metric(frozen, judged, metric, looks),
    )
    if judged is not None and figures["candidate"] is not None:
        _show(workspace, frozen, trained, evaluation, judged)
    return evaluation


def _about(
    frozen: FrozenSpec, trained: Trained, champion: Champion | None, holdout: Snapshot | None, window: Window
) -> dict[str, Any]:
    """Return the fields of an evaluation that say what it is about."""
    return {
        "model": frozen.model,
        "recipe_id": trained.recipe_id,
        "candidate_id": trained.artifact_id,
        "champion_release_id": champion.release_id if champion else None,
        "champion_sequence": champion.sequence if champion else None,
        "champion_as_of": champion.as_of if champion else None,
        "champion_cutoff": champion.cutoff if champion else None,
        "holdout_id": window_id(holdout, window),
        "spec_id": frozen.id,
        "window": window,
        "time_ordered": frozen.spec.data.time_ordered,
        "confidence": frozen.spec.gate.confidence,
        "chosen": trained.why,
    }


def _with_champions(
    workspace: Workspace,
    frozen: FrozenSpec,
    judged: Judged,
    champion: Champion | None,
    window: Window,
    where: str,
    *,
    refresh: bool,
) -> Judged:
    """Score the holdout with whom the candidate faces."""
    if not frozen.spec.data.time_ordered:
        return with_stand_in(workspace, frozen, judged, champion, where, refresh=refresh)
    rivals = rivals_of(workspace, frozen, champion, window)
    return with_rivals(workspace, judged, champion, rivals, where, refresh=refresh)


def _replacement(
    contest: Contest | str | None, rolled: Sequence[Rolled], judged: Judged | None, looks: int
) -> Replacement | None:
    if contest is None or judged is None or len(judged.data.y) == 0:
        return None
    if isinstance(contest, str):
        return Replacement(problem=contest)
    return replacement_of(contest, rolled, judged, looks)


def _leaked(workspace: Workspace, frozen: FrozenSpec, holdout: Snapshot, trained: Trained, judged: Judged) -> int:
    """Count holdout rows that the candidate learnt, or whoever it faces on them; the champion on its newer ones.

    Without a time the champion is faced on rows that were found not to be among those it learnt, by their keys.
    """
    if not frozen.spec.data.time_ordered:
        return leaked_rows(workspace, frozen, holdout, [trained.snapshot_id], None)
    faced = [scored for scored in (judged.opponent, judged.anchor) if scored is not None]
    whole = [trained.snapshot_id, *_learnt(faced)]
    found = leaked_rows(workspace, frozen, holdout, whole, None)
    if judged.champion is None or judged.champion in faced:
        return found
    return found + leaked_rows(workspace, frozen, holdout, _learnt([judged.champion]), judged.champion.entry.cutoff)


def _learnt(scored: Iterable[Scored]) -> list[str]:
    return [one.model.card.snapshot_id for one in scored if one.model is not None]


def _judged_on(trained: Trained, holdout: Snapshot | None) -> tuple[str, ...]:
    return (trained.snapshot_id, *([holdout.id] if holdout else []))


def _show(workspace: Workspace, frozen: FrozenSpec, trained: Trained, evaluation: Evaluation, judged: Judged) -> None:
    """Keep the finalist's figures for the page, and log them with the metrics to the candidate's run."""
    metrics = {
        f"holdout_{name}_{evaluation.metric}": number
        for name in ("candidate", "champion", "baseline")
        if (number := getattr(evaluation, name)) is not None
    }
    tags = {"holdout": evaluation.holdout_id, "rule": evaluation.rule}
    theirs = None if judged.reference is None else judged.reference.predictions
    made, flipped, pictures = describe(frozen, evaluation, judged.model, judged.data, judged.candidate, theirs)
    finalist.keep(workspace.store, evaluation, made, flipped)
    workspace.registry.add_to_run(trained.run_id, metrics, tags)
    workspace.registry.log_files(trained.run_id, {f"plots/{p.name}.png": p.png() for p in pictures})
