"""The item of a replacement: the candidate's recipe must be better than the champion's, where both learn the same."""

from __future__ import annotations

import math

from retraining.gate.policy import Policy
from retraining.gate.rivals import MIN_DAYS
from retraining.records import Estimate, Evaluation, Item, Replacement
from retraining.windows import format_duration

_LIMIT = "lower bound of the gain above 0"
_MOST_HOLDOUTS = 52
"""As many as `gate.origins` can be: a gain that takes longer to prove is, for all purposes, none."""


def is_by_recipe(e: Evaluation) -> bool:
    """Tell whether a replacement was compared recipe against recipe, and not with the artifact in office."""
    return e.rule == "replace" and e.replacement is not None and e.replacement.problem is None


def against_recipe(e: Evaluation, r: Replacement, policy: Policy) -> Item:
    """Compare with the champion's recipe over all origins: better, at the confidence that looking again leaves."""
    if r.gain is None:
        return _not_compared(e, r)
    figures, over = figures_of(e, r, r.gain), r.gain
    if over.lower > 0:
        return Item("champion", "pass", figures, _LIMIT, f"replace: better at {e.confidence:.0%} confidence: {figures}")
    needed = f"a gain of at least {over.value - over.lower:+.4f} over these holdouts"
    if over.upper < policy.margin:
        what = "worse than the champion's recipe" if over.upper < 0 else f"not better by as much as {policy.margin:g}"
        return Item("champion", "block", figures, _LIMIT, f"replace: {what}: {figures}", needed)
    sentence = f"replace: the holdouts cannot tell: {figures}; the lower bound must be above +0.0000"
    return Item("champion", "block", figures, _LIMIT, sentence, f"{needed}; {_more(r, over, policy)}", undecided=True)


def figures_of(e: Evaluation, r: Replacement, over: Estimate) -> str:
    """Say in a line what was compared, on what, and what came out."""
    values = (
        "" if r.candidate is None or r.champion is None else f"{e.metric} {r.candidate:.4f} against {r.champion:.4f}, "
    )
    wear = f"widened for {', '.join(_wear(e, r))}" if _wear(e, r) else ""
    rows = f"{r.n_rows:,} rows of {r.n_days} days"
    span = f" in {holdouts(r)}" + (f", {r.span}" if e.time_ordered else "")
    return f"{values}gain {over.value:+.4f} ({', '.join(filter(None, [_bounds(over), rows + span, wear]))})"


def holdouts(r: Replacement) -> str:
    """Say over how many holdouts."""
    left = f" ({len(r.left_out)} left out)" if r.left_out else ""
    return f"{len(r.origins)} holdout{'' if len(r.origins) == 1 else 's'}{left}"


def as_it_is(e: Evaluation) -> str:
    """Say why the champion is compared as the artifact it is; empty where its recipe is, or nobody knows."""
    if e.replacement is None or e.replacement.problem is None:
        return ""
    return f"; compared as it is, not by its recipe: {e.replacement.problem}"


def _bounds(over: Estimate) -> str:
    return f"{over.lower:+.4f} to {over.upper:+.4f}"


def _wear(e: Evaluation, r: Replacement) -> list[str]:
    settings = f"{r.n_settings} settings that it was chosen among" if r.n_settings > 1 else ""
    return [text for text in (f"{e.looks} earlier looks" if e.looks else "", settings) if text]


def _not_compared(e: Evaluation, r: Replacement) -> Item:
    if e.time_ordered and r.n_days < MIN_DAYS:
        sentence = f"replace: the holdouts' rows are of {r.n_days} days; it takes {MIN_DAYS} distinct ones to decide"
        remedy = f"a gate.holdout of {MIN_DAYS} days or more"
        return Item("champion", "block", f"{r.n_days} days", _LIMIT, sentence, remedy, undecided=True)
    sentence = "there is no comparison with the champion's recipe; what is missing blocks"
    return Item("champion", "block", "not computed", _LIMIT, sentence)


def _more(r: Replacement, over: Estimate, policy: Policy) -> str:
    """Say over how many holdouts this gain would pass: the error falls with the square root of their number."""
    if not over.value > 0:
        return "more holdouts alone will not do: the gain itself is too small"
    count = math.ceil(round(len(r.origins) * ((over.value - over.lower) / over.value) ** 2, 6))
    if not count <= _MOST_HOLDOUTS:
        return "more holdouts alone will not do: it would take more than a year of them"
    room = format_duration(2 * count * policy.holdout)
    return (
        f"or this gain over about {count} holdouts (gate.origins: {count}, and a training.window with room for them: "
        f"about {room})"
    )
