"""Probation: look at the newest release beside the one it replaced, and have it taken back where it is worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from retraining.data import plan
from retraining.errors import NotEnoughData, RetrainingError
from retraining.gate import probation as rules
from retraining.gate.champion import loss_allowed
from retraining.gate.probation import Trial
from retraining.gate.rivals import MIN_DAYS
from retraining.records import Champion, Estimate, Probation, Window, digest_of
from retraining.rollout.forward import Labelled, Met, days_of, labelled_sets, met
from retraining.rollout.returning import question, take_back
from retraining.spec import FrozenSpec
from retraining.stats.blocks import block_days, block_index, block_length
from retraining.stats.bootstrap import paired_spread
from retraining.stats.metrics import find_metric, value
from retraining.workspace import Workspace

By = Literal["monitor", "retrain"]
_Figures = tuple[float | None, float | None]
_NO_FIGURES: _Figures = (None, None)


def judge(workspace: Workspace, frozen: FrozenSpec, as_of: datetime, by: By) -> Probation | None:
    """Look at the release on probation as of a time, and act; doing so again has no second effect.

    Returns
    -------
    The newest look, also that of a release which was just taken back; None where nothing was looked at.
    """
    history = workspace.ledger.champions(frozen.model)
    if not history:
        return None
    if history[-1].kind == "return":
        found = _newest(workspace, frozen.model, history[-1].sequence - 1)
    else:
        found = _look(workspace, frozen, history, as_of, by)
    if found is None:
        return None
    if found.returns:
        take_back(workspace, found)
    elif found.outcome in ("worse", "unknown") or (found.gain is None and _published(workspace, found)):
        workspace.ledger.add_alert(question(found, history, frozen.spec))
    return found


# --- the look -----------------------------------------------------------------------------------------------------


def _look(
    workspace: Workspace, frozen: FrozenSpec, history: list[Champion], as_of: datetime, by: By
) -> Probation | None:
    """Look, where there is a further day to see; else return the look before."""
    trial = rules.trial_of(history, frozen.spec)
    if trial is None:
        return None
    before = _newest(workspace, frozen.model, trial.release.sequence)
    if as_of < trial.release.as_of or (before is not None and before.over):
        return before
    sets = labelled_sets(workspace, frozen, trial.window, as_of)
    last = _is_last(trial, sets, plan.mature_end(frozen.spec.data, as_of))
    done = () if before is None else before.shares
    most_rows = sum(s.labels.n_labelled for s in sets)
    most_days = days_of((s.published for s in sets), trial.window.start)
    due = rules.is_due(most_rows, most_days, frozen.spec.gate.min_rows)
    if not last and not (due and rules.share_of(trial, most_days, last=False) > (done[-1] if done else 0.0)):
        return before  # nothing to decide: nothing is predicted either
    start = empty(trial, as_of, by, done, frozen.spec.training.metric)
    try:
        rows = met(workspace, frozen, trial, sets) if sets else None
    except RetrainingError as error:
        found: Probation | None = _unknown(start, str(error), last=last)
    else:
        found = look_at(frozen, trial, rows, start, last=last)
    if found is None:
        return before
    returns = found.outcome == "worse" and rules.why_not_returned(history, frozen.spec) is None
    return _recorded(workspace, replace(found, returns=returns))


def _is_last(trial: Trial, sets: Sequence[Labelled], mature: datetime) -> bool:
    """Tell whether no further day will come: all are there, or a day went by for scoring them."""
    there = bool(sets) and sets[-1].published.window.end >= trial.window.end
    return mature >= trial.window.end + (timedelta(0) if there else timedelta(days=1))


def empty(trial: Trial, as_of: datetime, by: By, shares: tuple[float, ...], metric: str) -> Probation:
    """Return a look that has seen nothing yet; `shares` are what the looks before it had seen."""
    return Probation(
        model=trial.release.model,
        sequence=trial.release.sequence,
        release_id=trial.release.release_id,
        against=trial.against.sequence,
        against_release_id=trial.against.release_id,
        as_of=as_of,
        window=trial.window,
        by=by,
        outcome="open",
        shares=shares,
        n_rows=0,
        n_days=0,
        metric=metric,
        figure=None,
        against_figure=None,
        gain=None,
        sentence="",
    )


def look_at(frozen: FrozenSpec, trial: Trial, rows: Met | None, start: Probation, *, last: bool) -> Probation | None:
    """Judge the rows that a release met so far.

    Parameters
    ----------
    start
        The look with nothing seen; its `shares` are what the looks before it had seen.
    last
        Whether no further day will come.

    Returns
    -------
    None where there is too little to look at, and more to come: nothing of the error is spent.
    """
    gate = frozen.spec.gate
    n_rows, n_days = (0, 0) if rows is None else (len(rows.y), rows.n_days)
    share = rules.share_of(trial, n_days, last=last)
    errors = rules.errors_of(gate.confidence, start.shares, share)
    due = rules.is_due(n_rows, n_days, gate.min_rows)
    gain, figures, allowed = None, _NO_FIGURES, gate.margin
    if rows is not None and due and errors is not None:
        gain, figures, allowed = _compared(frozen, rows, trial.window, errors)
    if gain is None and not last:
        return None
    problem = f"{start.metric} has no error on {n_rows:,} rows of {n_days} days" if due and gain is None else ""
    outcome = rules.outcome_of(gain, allowed, last=last)
    found = replace(start, outcome=outcome, shares=(*start.shares, share), n_rows=n_rows, n_days=n_days, gain=gain)
    found = replace(found, figure=figures[0], against_figure=figures[1])
    return replace(found, sentence=rules.sentence_of(found, gate.min_rows, allowed, problem))


def _compared(
    frozen: FrozenSpec, rows: Met, window: Window, errors: tuple[float, float]
) -> tuple[Estimate | None, _Figures, float]:
    """Return the gain with its two bounds, both figures, and the largest loss that is accepted: as the gate does."""
    gate, training = frozen.spec.gate, frozen.spec.training
    metric, length = find_metric(training.metric, training.task), block_length(gate)
    try:
        mine, theirs, without = (value(metric, rows.y, p) for p in (rows.new, rows.old, rows.baseline))
    except NotEnoughData:  # one class only
        return None, _NO_FIGURES, gate.margin
    allowed = loss_allowed(gate.margin, theirs, without, greater_is_better=metric.greater_is_better)
    blocks, days = block_index(rows.times, window.start, length), block_days(rows.times, window.start, length)
    spread = paired_spread(metric, rows.y, rows.new, rows.old, blocks, seed=training.seed, days=days)
    worse, holds = (spread.at(error) for error in errors)
    if not (np.isfinite(worse.standard_error) and np.isfinite(holds.standard_error)):
        return None, (mine, theirs), allowed
    return replace(worse, lower=holds.lower), (mine, theirs), allowed


def _unknown(start: Probation, problem: str, *, last: bool) -> Probation:
    """Return a look that could not be computed; at the end of the probation that is how it ended."""
    found = replace(
        start, outcome="not_shown" if last else "unknown", shares=(*start.shares, 1.0) if last else start.shares
    )
    return replace(found, sentence=rules.sentence_of(found, 0, 0.0, f"the two could not be compared: {problem}"))


def _published(workspace: Workspace, look: Probation) -> bool:
    """Tell whether enough was published to decide: where a model is hardly scored here, nobody need be told of it."""
    return days_of(workspace.ledger.predictions(look.model, look.window), look.window.start) >= MIN_DAYS


def _newest(workspace: Workspace, model: str, sequence: int) -> Probation | None:
    found = workspace.ledger.newest(Probation, model, "probation")
    return found if found is not None and found.sequence == sequence else None


def _recorded(workspace: Workspace, look: Probation) -> Probation:
    """Record a look; of two at once over the same days the first stands, so that no error is spent twice."""
    what = look.sentence if look.outcome == "unknown" else f"{look.share:.6f}"
    key = digest_of([look.sequence, what])
    workspace.ledger.finish(look.model, "probation", key, look)
    return workspace.ledger.finished(Probation, look.model, "probation", key) or look
