"""The decision: may the candidate replace the champion? Pure, over an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from retraining.gate.checklist import checklist
from retraining.gate.policy import Policy
from retraining.gate.rivals import MIN_DAYS
from retraining.records import Decision, Evaluation, Item, Verdict, digest_of, short


@dataclass(frozen=True)
class Judgement:
    """A decision, why, what would have to change for another one, and the checklist if it came to one."""

    decision: Decision
    reasons: tuple[str, ...]
    would_change: tuple[str, ...] = ()
    checklist: tuple[Item, ...] = ()


def decide(evaluation: Evaluation, policy: Policy) -> Judgement:
    """Decide whether the candidate may replace the champion: every item of the checklist must let it.

    A candidate that cannot be compared at all (too few rows, nothing new, an older run) is told so without a list.
    Whatever is missing blocks.
    """
    found = _cannot_be_compared(evaluation, policy) or _by_checklist(checklist(evaluation, policy))
    if evaluation.instead_of is None:
        return found
    first = short(evaluation.instead_of)
    why = f"the champion's own recipe on newer rows, because the replacement did not pass (verdict {first})"
    return replace(found, reasons=(why, *found.reasons))


def make_verdict(evaluation: Evaluation, policy: Policy, *, dry_run: bool) -> Verdict:
    """Decide, and bind the decision to everything it was based on."""
    found = decide(evaluation, policy)
    return Verdict(
        id=verdict_id(evaluation, found.decision, dry_run=dry_run),
        model=evaluation.model,
        decision=found.decision,
        reasons=found.reasons,
        would_change=found.would_change,
        evaluation=evaluation,
        dry_run=dry_run,
        checklist=found.checklist,
    )


def verdict_id(evaluation: Evaluation, decision: Decision, *, dry_run: bool) -> str:
    """Return the digest that binds recipe, candidate, champion, holdout and spec to a decision.

    The number of earlier looks is left out, so that judging the very same things again is the same verdict.
    """
    e = evaluation
    bound = [e.model, e.recipe_id, e.candidate_id, e.champion_release_id, e.champion_sequence, e.holdout_id, e.spec_id]
    rivals = [rival.release_id for rival in (e.opponent, e.anchor) if rival is not None]
    if e.replacement is not None and e.replacement.recipe_id is not None:
        rivals.append(e.replacement.recipe_id)
    return digest_of([*bound, e.as_of.isoformat(), decision, dry_run, *rivals])


def earliest_as_of(evaluation: Evaluation, policy: Policy) -> datetime:
    """Return the first as-of time at which rows newer than those judged here, and than the champion, fill a holdout."""
    known = max(evaluation.champion_cutoff or evaluation.window.end, evaluation.window.end)
    return known + policy.holdout + policy.label_delay


_SAID = ("baseline", "anchor", "champion", "opponent")
"""Items whose sentence is a reason of a promotion; the others pass in silence."""


def _by_checklist(items: tuple[Item, ...]) -> Judgement:
    blocking = [item for item in items if item.outcome == "block"]
    warnings = tuple(item.sentence for item in items if item.outcome == "warn")
    if not blocking:
        said = tuple(i.sentence for i in items if i.outcome == "pass" and i.name in _SAID)
        return Judgement("promote", (said[0], *warnings, *said[1:]), (), items)
    decision: Decision = "inconclusive" if all(item.undecided for item in blocking) else "reject"
    remedies = tuple(item.remedy for item in blocking if item.remedy)
    return Judgement(decision, tuple(item.sentence for item in blocking), remedies, items)


def lacking(
    n_rows: int, n_blocks: int, n_days: int | None, n_classes: int | None, policy: Policy, *, time: bool
) -> Literal["rows", "days", "classes"] | None:
    """Return what a holdout lacks to decide, which is known before any of its figures; None where it can.

    Parameters
    ----------
    n_days
        None in a verdict from before days were counted.
    n_classes
        None for a regression.
    time
        Whether rows have a time; those without have no days.
    """
    if n_rows < policy.min_rows or n_blocks < policy.min_blocks:
        return "rows"
    if time and n_days is not None and n_days < MIN_DAYS:
        return "days"
    return "classes" if n_classes is not None and n_classes < 2 else None


def _cannot_be_compared(e: Evaluation, policy: Policy) -> Judgement | None:
    if e.champion_as_of is not None and e.as_of < e.champion_as_of:
        return Judgement(
            "superseded",
            (f"this run is as of {e.as_of:%Y-%m-%d %H:%M}, the champion as of {e.champion_as_of:%Y-%m-%d %H:%M}",),
            ("a run as of a later time than the champion's",),
        )
    when = "more rows"
    if e.time_ordered:
        when = f"a run as of {earliest_as_of(e, policy):%Y-%m-%d %H:%M} UTC or later"
    if e.n_rows == 0 and e.champion_cutoff is not None and not e.time_ordered:
        return Judgement(
            "nothing_new",
            ("the source has the very rows that the champion was trained and judged on",),
            ("a source with other rows, or a changed spec",),
        )
    if e.champion_cutoff is not None and e.time_ordered and (e.n_rows == 0 or e.window.end <= e.champion_cutoff):
        return Judgement(
            "nothing_new", (f"no mature row is newer than the champion's {_day(e.champion_cutoff)}",), (when,)
        )
    if e.leaked_rows:
        return Judgement(
            "reject",
            (f"{e.leaked_rows:,} holdout rows were in the training data of the candidate or the champion",),
            ("a source in which a key names one row for ever",),
        )
    lack = lacking(e.n_rows, e.n_blocks, e.n_days, e.n_classes, policy, time=e.time_ordered)
    if lack == "rows":
        reason = (
            f"the holdout has {e.n_rows:,} rows in {e.n_blocks} blocks; it takes {policy.min_rows:,} rows "
            f"and {policy.min_blocks} blocks to decide"
        )
        return Judgement("inconclusive", (reason,), (when, "or a longer gate.holdout"))
    if lack == "days":
        reason = f"the holdout's rows are of {e.n_days} days; it takes {MIN_DAYS} distinct ones to decide"
        return Judgement("inconclusive", (reason,), ("a gate.holdout of four days or more",))
    if lack == "classes":
        return Judgement(
            "inconclusive", ("the holdout has rows of one class only",), (when, "or a longer gate.holdout")
        )
    if e.candidate is None:
        return Judgement("reject", (f"{e.metric} could not be computed on the holdout; what is missing blocks",))
    return None


def _day(time: datetime) -> str:
    return f"cut-off {time:%Y-%m-%d %H:%M}"
