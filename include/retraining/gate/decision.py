"""The decision: may the candidate replace the champion? Pure, over an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from retraining.gate.settling import settle
from retraining.records import Decision, Estimate, Evaluation, Verdict, digest_of
from retraining.spec import Spec
from retraining.windows import format_duration, nominal

_SAME = "the candidate predicts exactly as the champion does"
"""The usual case of a refresh one holdout after the champion: same recipe, same training rows."""


@dataclass(frozen=True)
class Policy:
    """What the YAML's gate group asks for; `margin` is in the metric's unit."""

    margin: float
    min_rows: int
    min_blocks: int
    holdout: timedelta
    label_delay: timedelta
    partition: timedelta

    @classmethod
    def of(cls, spec: Spec) -> Policy:
        """Take the policy from a spec."""
        data, gate = spec.data, spec.gate
        return cls(gate.margin, gate.min_rows, gate.min_blocks, gate.holdout, data.label_delay, nominal(data.partition))


@dataclass(frozen=True)
class Judgement:
    """A decision, why, and what would have to be different for another one."""

    decision: Decision
    reasons: tuple[str, ...]
    would_change: tuple[str, ...] = ()


def decide(evaluation: Evaluation, policy: Policy) -> Judgement:
    """Decide whether the candidate may replace the champion.

    `refresh` must be not worse by the margin, `replace` must be better; both at the evaluation's one-sided
    confidence. The trivial baseline must be beaten in either case. Whatever is missing blocks.
    """
    return (
        _cannot_be_compared(evaluation, policy)
        or _not_better_than_baseline(evaluation)
        or _against_champion(evaluation, policy)
    )


def make_verdict(evaluation: Evaluation, policy: Policy, *, dry_run: bool) -> Verdict:
    """Decide, and bind the decision to everything it was based on."""
    judgement = decide(evaluation, policy)
    identity = verdict_id(evaluation, judgement.decision, dry_run=dry_run)
    return Verdict(
        identity, evaluation.model, judgement.decision, judgement.reasons, judgement.would_change, evaluation, dry_run
    )


def verdict_id(evaluation: Evaluation, decision: Decision, *, dry_run: bool) -> str:
    """Return the digest that binds recipe, candidate, champion, holdout and spec to a decision.

    The number of earlier looks is left out, so that judging the very same things again is the same verdict.
    """
    e = evaluation
    bound = [e.model, e.recipe_id, e.candidate_id, e.champion_release_id, e.champion_sequence, e.holdout_id, e.spec_id]
    return digest_of([*bound, e.as_of.isoformat(), decision, dry_run])


def earliest_as_of(evaluation: Evaluation, policy: Policy) -> datetime:
    """Return the first as-of time at which a whole holdout is newer than the champion and mature."""
    base = evaluation.champion_cutoff or evaluation.window.start
    return base + policy.holdout + policy.label_delay


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
    if e.n_rows == 0 and e.champion_cutoff is not None:
        return Judgement(
            "nothing_new", (f"no mature row is newer than the champion's {_day(e.champion_cutoff)}",), (when,)
        )
    if e.leaked_rows:
        return Judgement(
            "reject",
            (f"{e.leaked_rows:,} holdout rows were in the training data of the candidate or the champion",),
            ("a source in which a key names one row for ever",),
        )
    if e.n_rows < policy.min_rows or e.n_blocks < policy.min_blocks:
        reason = (
            f"the holdout has {e.n_rows:,} rows in {e.n_blocks} blocks; it takes {policy.min_rows:,} rows "
            f"and {policy.min_blocks} blocks to decide"
        )
        return Judgement("inconclusive", (reason,), (when, "or a longer gate.holdout"))
    if e.n_classes is not None and e.n_classes < 2:
        return Judgement(
            "inconclusive", ("the holdout has rows of one class only",), (when, "or a longer gate.holdout")
        )
    if e.candidate is None or e.over_baseline is None or (e.champion_release_id and e.over_champion is None):
        return Judgement("reject", (f"{e.metric} could not be computed on the holdout; what is missing blocks",))
    return None


def _not_better_than_baseline(e: Evaluation) -> Judgement | None:
    over = e.over_baseline
    if over is None:
        return Judgement("reject", ("there is no comparison with the trivial baseline; what is missing blocks",))
    if over.lower > 0:
        return None
    return Judgement(
        "reject",
        (
            f"not better than a model without features: {e.metric} {e.candidate:.4f} against {e.baseline:.4f}, "
            f"lower bound of the gain {over.lower:+.4f}",
        ),
        ("features that say something about the target, or more rows",),
    )


def _against_champion(e: Evaluation, policy: Policy) -> Judgement:
    beats = f"beats the trivial baseline: {e.metric} {e.candidate:.4f} against {e.baseline:.4f}{_order(e)}"
    if e.over_champion is None:
        return Judgement("promote", (beats, "there is no champion yet"))
    over, figures = e.over_champion, _figures(e, e.over_champion)
    bar = -policy.margin if e.rule == "refresh" else 0.0
    if over.lower > bar:
        claim = f"not worse by {policy.margin:g}" if e.rule == "refresh" else "better"
        same = (_SAME,) if over.value == over.standard_error == 0 else ()
        return Judgement("promote", (beats, *same, f"{e.rule}: {claim} at {_confidence(e)}: {figures}"))
    hopeless = over.upper < (0.0 if e.rule == "refresh" else policy.margin)
    if hopeless:
        what = "worse than the champion" if over.upper < 0 else f"not better by as much as {policy.margin:g}"
        return Judgement("reject", (f"{e.rule}: {what}: {figures}",), (_needed(over, bar),))
    reason = f"{e.rule}: the holdout cannot tell: {figures}; the lower bound must be above {bar:+.4f}"
    return Judgement("inconclusive", (reason,), (_needed(over, bar), _more_rows(e, policy, over, bar)))


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
    rows = f"about {found.n_rows:,} rows in {found.n_blocks} blocks that nobody judged before, if the gain stays"
    if not e.time_ordered:
        return f"or {rows}"
    longer = f" with gate.holdout: {format_duration(found.holdout)}" if found.holdout > policy.holdout else ""
    return f"or a run as of {found.as_of:%Y-%m-%d %H:%M} UTC or later{longer}: {rows}"


def _confidence(e: Evaluation) -> str:
    return f"{e.confidence:.0%} confidence"


def _order(e: Evaluation) -> str:
    return "" if e.time_ordered else " (on a keyed-hash holdout: not time-ordered)"


def _day(time: datetime) -> str:
    return f"cut-off {time:%Y-%m-%d %H:%M}"
