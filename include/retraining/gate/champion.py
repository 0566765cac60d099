"""The items that compare a candidate with champions: not worse (refresh) or better (replace), at a stated confidence.

Of a refresh three are compared, because each alone can be blind. The opponent is another model than the candidate. The
champion in office is what would be replaced, but may have learnt just what the candidate learnt. The anchor shows a
loss that is too small to be seen at each refresh.
"""

from __future__ import annotations

from retraining.gate.policy import Policy
from retraining.gate.replacing import against_recipe, as_it_is, holdouts, is_by_recipe
from retraining.gate.settling import settle
from retraining.records import Estimate, Evaluation, Item, Rival, shown_day
from retraining.windows import format_duration

_SAME = "the candidate predicts exactly as the champion does; "
"""On a schedule as long as the holdout: same recipe, same training rows."""


def against_champions(e: Evaluation, policy: Policy) -> tuple[Item, ...]:
    """Compare with anchor, champion and opponent; the comparison that the rule is about comes last."""
    if e.champion_release_id is None:
        return (Item("champion", "pass", "no champion", "none", "there is no champion yet"),)
    if e.rule != "refresh" or e.n_days is None:  # without days: a verdict from before there were opponents
        if is_by_recipe(e) and e.replacement is not None:
            return (against_recipe(e, e.replacement, policy),)
        return (_by_rule(e, policy),)
    return (*_anchor(e, policy), *_in_office(e, policy), _opponent(e, policy))


def allowed_loss(e: Evaluation, policy: Policy, figure: float | None) -> float:
    """Return the largest loss that a refresh may have against a model with this figure, in the metric's unit.

    It is the margin, and never more than half of what that model is better than one without features: a margin as wide
    as the metric itself would otherwise turn the gate off.
    """
    return loss_allowed(policy.margin, figure, e.baseline, greater_is_better=e.greater_is_better)


def loss_allowed(margin: float, figure: float | None, baseline: float | None, *, greater_is_better: bool) -> float:
    """Return the margin, but at most half of what a figure is better than the baseline's."""
    if figure is None or baseline is None:
        return margin
    worth = (figure - baseline) * (1 if greater_is_better else -1)
    return min(margin, max(0.0, worth) / 2)


def decisive(e: Evaluation) -> tuple[float | None, Estimate | None]:
    """Return the figure and the gain that the rule is about: of the opponent of a refresh, else of the champion."""
    if e.rule == "refresh" and e.opponent is not None and e.opponent.gain is not None:
        return e.opponent.figure, e.opponent.gain
    if is_by_recipe(e) and e.replacement is not None:
        return e.replacement.champion, e.replacement.gain
    return e.champion, e.over_champion


def bar_of(e: Evaluation, policy: Policy) -> float:
    """Return the gain that the lower bound of the decisive comparison must exceed."""
    return -allowed_loss(e, policy, decisive(e)[0]) if e.rule == "refresh" else 0.0


def comparisons(e: Evaluation) -> tuple[tuple[str, float | None, Estimate | None], ...]:
    """Return everything a candidate was compared with, for people: its name, its figure, the candidate's gain."""
    both = (("opponent", e.opponent), ("anchor", e.anchor))
    rivals = [(f"{what} ({_named(rival)})", rival.figure, rival.gain) for what, rival in both if rival is not None]
    part = f" on {e.n_champion_rows:,} newer rows" if e.n_champion_rows not in (None, e.n_rows) else ""
    champion: list[tuple[str, float | None, Estimate | None]]
    champion = [(f"champion in office{part}", e.champion, e.over_champion)] if e.champion is not None else []
    if is_by_recipe(e) and e.replacement is not None:
        r = e.replacement
        champion = [(f"champion's recipe over {holdouts(r)}", r.champion, r.gain), *champion]
    return (*rivals, *champion, ("model without features", e.baseline, e.over_baseline))


# --- the rule, against the champion or the opponent ---------------------------------------------------------------


def _by_rule(e: Evaluation, policy: Policy) -> Item:
    bar = bar_of(e, policy)
    limit = f"lower bound of the gain above {bar:+.4f}"
    if e.incomparable is not None:
        return _incomparable(e, limit)
    if e.over_champion is None:
        return _too_few(e, policy, limit)
    n_rows = e.n_rows if e.n_champion_rows is None else e.n_champion_rows
    figures = _figures(e, e.candidate, e.champion, e.over_champion, n_rows) + as_it_is(e)
    return _decided("champion", "the champion", e, policy, e.over_champion, figures)


def _opponent(e: Evaluation, policy: Policy) -> Item:
    rival = e.opponent
    if rival is None or rival.problem is not None:
        why = "none of them learnt a holdout less" if rival is None or rival.problem is None else rival.problem
        sentence = (
            f"refresh: nothing older could be compared with the candidate, among the champions before it: {why}. What "
            "is shown is that it beats a model without features"
        )
        return Item("opponent", "warn", "none", "a champion that learnt a holdout less", sentence)
    if rival.gain is None:
        limit = "a gain with its error"
        return Item(
            "opponent",
            "block",
            "not computed",
            limit,
            "there is no comparison with the opponent; what is missing blocks",
        )
    who = _named(rival)
    figures = _figures(e, rival.candidate, rival.figure, rival.gain, rival.n_rows)
    return _decided("opponent", who, e, policy, rival.gain, f"{who}: {figures}")


def _decided(name: str, who: str, e: Evaluation, policy: Policy, over: Estimate, figures: str) -> Item:
    bar = bar_of(e, policy)
    limit = f"lower bound of the gain above {bar:+.4f}"
    if over.lower > bar:
        claim = f"not worse by {-bar:g}" if e.rule == "refresh" else "better"
        return Item(name, "pass", figures, limit, f"{e.rule}: {claim} at {e.confidence:.0%} confidence: {figures}")
    if over.upper < (0.0 if e.rule == "refresh" else policy.margin):
        what = f"worse than {who}" if over.upper < 0 else f"not better by as much as {policy.margin:g}"
        return Item(name, "block", figures, limit, f"{e.rule}: {what}: {figures}", _needed(over, bar))
    sentence = f"{e.rule}: the holdout cannot tell: {figures}; the lower bound must be above {bar:+.4f}"
    remedy = f"{_needed(over, bar)}; {_more_rows(e, policy, over, bar)}"
    return Item(name, "block", figures, limit, sentence, remedy, undecided=True)


def _incomparable(e: Evaluation, limit: str) -> Item:
    sentence = (
        "the champion cannot score these rows, so nothing says that the candidate is as good: "
        f"{e.incomparable}{as_it_is(e)}"
    )
    remedy = "data and release as the champion needs them, a rollback, or the override of a named person"
    return Item("champion", "block", "not comparable", limit, sentence, remedy)


def _too_few(e: Evaluation, policy: Policy, limit: str) -> Item:
    """Rows newer than the champion's cut-off may be too few yet; anything else that is missing blocks for good."""
    if e.n_champion_rows is None or e.n_champion_rows == e.n_rows or e.champion_cutoff is None:
        sentence = "there is no comparison with the champion; what is missing blocks"
        return Item("champion", "block", "not computed", limit, sentence)
    when = e.champion_cutoff + policy.holdout + policy.label_delay
    sentence = (
        f"{e.rule}: only {e.n_champion_rows:,} of {e.n_rows:,} holdout rows are newer than the champion's cut-off "
        f"({shown_day(e.champion_cutoff)}), too few days to compare on"
    )
    remedy = f"a run as of {when:%Y-%m-%d %H:%M} UTC or later"
    return Item("champion", "block", f"{e.n_champion_rows:,} rows", limit, sentence, remedy, undecided=True)


# --- what a refresh must not be shown to lose ---------------------------------------------------------------------


def _in_office(e: Evaluation, policy: Policy) -> tuple[Item, ...]:
    """The champion itself, where it is not the opponent: the candidate must not be shown worse by the margin."""
    allowed = allowed_loss(e, policy, e.champion)
    limit = f"upper bound of the gain above {-allowed:+.4f}"
    if e.incomparable is not None:
        return (_incomparable(e, limit),)
    if e.opponent is not None and e.opponent.release_id == e.champion_release_id and e.opponent.gain is not None:
        return ()
    if e.over_champion is None:
        figure = f"{e.n_champion_rows or 0:,} rows"
        if e.n_champion_rows == e.n_rows:
            return (_too_few(e, policy, limit),)
        sentence = f"champion in office: {figure} are newer than its cut-off, of too few days to compare on"
        return (Item("champion", "pass", figure, limit, sentence),)
    over = e.over_champion
    figures = _figures(e, None, e.champion, over, e.n_champion_rows or 0)
    if over.upper < -allowed:
        sentence = f"worse than the champion by more than {allowed:g}: {figures}"
        return (Item("champion", "block", figures, limit, sentence, f"a loss of at most {allowed:g}"),)
    same = _SAME if over.value == over.standard_error == 0 else ""
    sentence = f"{same}champion in office: not shown to be worse by {allowed:g}: {figures}"
    return (Item("champion", "pass", figures, limit, sentence),)


def _anchor(e: Evaluation, policy: Policy) -> tuple[Item, ...]:
    """Where the run of refreshes began: many small losses add up to one that can be shown."""
    rival = e.anchor
    if rival is None or (e.opponent is not None and rival.release_id == e.opponent.release_id):
        return ()
    allowed = allowed_loss(e, policy, rival.figure)
    limit = f"upper bound of the gain above {-allowed:+.4f}"
    if rival.gain is None:
        sentence = f"the anchor, {_named(rival)}, could not be compared: {rival.problem}"
        return (Item("anchor", "warn", "not compared", limit, sentence),)
    figures = f"{_named(rival)}: {_figures(e, rival.candidate, rival.figure, rival.gain, rival.n_rows)}"
    if rival.gain.upper < -allowed:
        sentence = f"crept down: worse than the anchor by more than {allowed:g}: {figures}"
        remedy = f"a loss of at most {allowed:g}, a rollback to {rival.sequence}, or a replacement"
        return (Item("anchor", "block", figures, limit, sentence, remedy),)
    return (Item("anchor", "pass", figures, limit, f"anchor: not shown to be worse by {allowed:g}: {figures}"),)


# --- in words -----------------------------------------------------------------------------------------------------


def _named(rival: Rival) -> str:
    if rival.how:
        return f"champion {rival.sequence}, {rival.how}"
    return f"champion {rival.sequence}, trained to {shown_day(rival.cutoff)}"


def _figures(e: Evaluation, mine: float | None, theirs: float | None, over: Estimate, n_rows: int) -> str:
    wear = f", widened for {e.looks} earlier looks" if e.looks else ""
    values = "" if mine is None or theirs is None else f"{e.metric} {mine:.4f} against {theirs:.4f}, "
    part = f"{n_rows:,} rows, {e.n_blocks} blocks" if n_rows == e.n_rows else f"{n_rows:,} of {e.n_rows:,} rows"
    return f"{values}gain {over.value:+.4f} ({over.lower:+.4f} to {over.upper:+.4f}, {part}{wear})"


def _needed(over: Estimate, bar: float) -> str:
    return f"a gain of at least {bar + over.value - over.lower:+.4f} on these rows"


def _more_rows(e: Evaluation, policy: Policy, over: Estimate, bar: float) -> str:
    if not over.value > bar:
        return "more rows alone will not do: the gain itself is too small"
    found = settle(e, over, bar, policy.holdout, policy.label_delay, policy.partition)
    if found is None:
        return "more rows alone will not do: it would take more than a year of them"
    if not e.time_ordered:
        return "or another version of the table, with more rows: it is split anew"
    rows = f"about {found.n_rows:,} rows in {found.n_blocks} blocks that nobody judged before, if the gain stays"
    longer = f" with gate.holdout: {format_duration(found.holdout)}" if found.holdout > policy.holdout else ""
    return f"or a run as of {found.as_of:%Y-%m-%d %H:%M} UTC or later{longer}: {rows}"
