"""The item that compares candidate and champion: not worse (refresh) or better (replace), with stated confidence."""

from __future__ import annotations

from retraining.gate.policy import Policy
from retraining.gate.settling import settle
from retraining.records import Estimate, Evaluation, Item
from retraining.windows import format_duration

_SAME = "the candidate predicts exactly as the champion does; "
"""The usual case of a refresh one holdout after the champion: same recipe, same training rows."""


def against_champion(e: Evaluation, policy: Policy) -> tuple[Item, ...]:
    """`refresh` must be not worse by the margin, `replace` must be better; both at the evaluation's confidence."""
    allowed = allowed_loss(e, policy)
    bar = -allowed if e.rule == "refresh" else 0.0
    limit = f"lower bound of the gain above {bar:+.4f}"
    if e.champion_release_id is None:
        return (Item("champion", "pass", "no champion", "none", "there is no champion yet"),)
    over = e.over_champion
    if e.incomparable is not None:
        sentence = (
            f"the champion cannot score these rows, so nothing says that the candidate is as good: {e.incomparable}"
        )
        remedy = "data and release as the champion needs them, a rollback, or the override of a named person"
        return (Item("champion", "block", "not comparable", limit, sentence, remedy),)
    if over is None:
        sentence = "there is no comparison with the champion; what is missing blocks"
        return (Item("champion", "block", "not computed", limit, sentence),)
    figures = _figures(e, over)
    if over.lower > bar:
        claim = f"not worse by {allowed:g}" if e.rule == "refresh" else "better"
        same = _SAME if over.value == over.standard_error == 0 else ""
        sentence = f"{same}{e.rule}: {claim} at {e.confidence:.0%} confidence: {figures}"
        return (Item("champion", "pass", figures, limit, sentence),)
    if over.upper < (0.0 if e.rule == "refresh" else policy.margin):
        what = "worse than the champion" if over.upper < 0 else f"not better by as much as {policy.margin:g}"
        return (Item("champion", "block", figures, limit, f"{e.rule}: {what}: {figures}", _needed(over, bar)),)
    sentence = f"{e.rule}: the holdout cannot tell: {figures}; the lower bound must be above {bar:+.4f}"
    remedy = f"{_needed(over, bar)}; {_more_rows(e, policy, over, bar)}"
    return (Item("champion", "block", figures, limit, sentence, remedy, undecided=True),)


def allowed_loss(e: Evaluation, policy: Policy) -> float:
    """Return the largest loss that a refresh may have, in the metric's unit.

    It is the margin, and never more than half of what the champion is better than a model without features: a margin as
    wide as the metric itself would otherwise turn the gate off.
    """
    if e.champion is None or e.baseline is None:
        return policy.margin
    worth = (e.champion - e.baseline) * (1 if e.greater_is_better else -1)
    return min(policy.margin, max(0.0, worth) / 2)


def _figures(e: Evaluation, over: Estimate) -> str:
    wear = f", widened for {e.looks} earlier looks" if e.looks else ""
    return (
        f"{e.metric} {e.candidate:.4f} against {e.champion:.4f}, gain {over.value:+.4f} "
        f"({over.lower:+.4f} to {over.upper:+.4f}, {e.n_rows:,} rows, {e.n_blocks} blocks{wear})"
    )


def _needed(over: Estimate, bar: float) -> str:
    return f"a gain of at least {bar + over.value - over.lower:+.4f} on these rows"


def _more_rows(e: Evaluation, policy: Policy, over: Estimate, bar: float) -> str:
    if not over.value > bar:
        return "more rows alone will not do: the gain itself is too small"
    found = settle(e, over, bar, policy.holdout, policy.label_delay, policy.partition)
    if found is None:
        return "more rows alone will not do: it would take more than a year of them"
    if not e.time_ordered:
        return "or more rows: those that were judged before are judged again with them"
    rows = f"about {found.n_rows:,} rows in {found.n_blocks} blocks that nobody judged before, if the gain stays"
    longer = f" with gate.holdout: {format_duration(found.holdout)}" if found.holdout > policy.holdout else ""
    return f"or a run as of {found.as_of:%Y-%m-%d %H:%M} UTC or later{longer}: {rows}"
