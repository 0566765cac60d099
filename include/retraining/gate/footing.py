"""The champion's footing: did its own figure on the newest holdout collapse? It warns, whatever a comparison says.

On a schedule as long as the holdout the candidate has learnt what the champion has, so that a week in which both are
useless is a tie. Only the champion's own past shows it, and what it promises. A collapse is large *and* beyond chance,
in one of four ways, each with a reason of its own to be no accident: worse than a model without features; not shown to
be better than that, while its probabilities promise much; far below what is usual; or lower where a column moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, median, stdev

from retraining.gate.policy import Policy
from retraining.records import Evaluation, Footing, Item, Moved

N_EARLIER = 8
"""Earlier holdouts that the newest is compared with: two months of weekly ones. More of them are of another season, and
on the flights gave more false warnings, not fewer."""
_FEWEST = 4
"""Fewest earlier figures that show how far they vary by chance: with three, Student's t asks for five times as much."""
LARGE = 2.0
"""A large fall, in margins: twice what a refresh may lose, that is 0.05 of ROC AUC. It is no threshold of its own to be
tuned: below it nobody would act, above it chance decides."""
_CAUSED = 1.0
"""A large fall, in margins, where an important column visibly moved: then there is a cause, and chance is none."""


@dataclass(frozen=True)
class Fall:
    """How far the champion fell, in the metric's unit; positive is worse.

    `plain` is against the median of its earlier figures, `beyond` against what was to be expected of it on these rows,
    and `chance` what the latter may be by chance; None where too few figures tell.
    """

    plain: float | None
    beyond: float | None
    chance: float | None


def fall_of(footing: Footing, *, greater_is_better: bool, confidence: float) -> Fall:
    """Compare the newest figure with the earlier ones.

    Weeks differ in how hard they are; a model's own probabilities know most of it. So the shortfall (what was expected
    less what was reached) is compared with earlier shortfalls, by the prediction interval of one more draw from them:
    mean plus t times s times sqrt(1 + 1 / n) (Hahn and Meeker 1991, Statistical Intervals, section 4.2).
    """
    from scipy.stats import t  # takes a second to import, which whoever only reads a verdict is spared

    sign = 1.0 if greater_is_better else -1.0
    n, now = len(footing.earlier), footing.now
    if n == 0:
        return Fall(None, None, None)
    short = [sign * (held.expected - held.figure) for held in footing.earlier]
    beyond = sign * (now.expected - now.figure) - mean(short)
    plain = sign * (median(held.figure for held in footing.earlier) - now.figure)
    chance = None if n < _FEWEST else float(t.ppf(confidence, n - 1)) * stdev(short) * (1 + 1 / n) ** 0.5
    return Fall(plain, beyond, chance)


def has_collapsed(e: Evaluation, policy: Policy) -> bool:
    """Tell whether the champion fell far, and not by chance."""
    return e.footing is not None and why_collapsed(e.footing, policy, e.confidence, e.greater_is_better) is not None


def footing(e: Evaluation, policy: Policy) -> tuple[Item, ...]:
    """Warn of a collapse, and name the columns that moved. It never blocks: what replaces the champion may mend it."""
    found = e.footing
    if found is None or e.champion_release_id is None:
        return ()
    fall = fall_of(found, greater_is_better=e.greater_is_better, confidence=e.confidence)
    limit = f"no fall of {LARGE * policy.margin:g} beyond chance"
    figure = f"{e.metric} {found.now.figure:.4f}" + (
        f", {median(h.figure for h in found.earlier):.4f} in the median of {len(found.earlier)} earlier holdouts"
        if found.earlier
        else ""
    )
    why = why_collapsed(found, policy, e.confidence, e.greater_is_better)
    if why is not None:
        causes = "".join(f"; {sentence}" for sentence in map(_moved, found.moved)) or "; no column moved visibly"
        sentence = f"the {found.who} itself collapsed on the newest holdout: {figure}; {why}{causes}"
        remedy = "mend the source if it is a mistake; if the world changed, training.candidates with a short window"
        return (Item("footing", "warn", figure, limit, sentence, remedy),)
    missing = ""
    if fall.chance is None:
        missing = f"; {len(found.earlier)} earlier holdouts are too few to say what chance does, it takes {_FEWEST}"
    return (Item("footing", "pass", figure, limit, f"the {found.who} stands as before: {figure}{missing}"),)


def why_collapsed(found: Footing, policy: Policy, confidence: float, greater_is_better: bool) -> str | None:
    """Say what shows that a champion collapsed; None where nothing does."""
    fall = fall_of(found, greater_is_better=greater_is_better, confidence=confidence)
    large = LARGE * policy.margin
    if found.lift is not None and found.lift.upper < 0:
        return f"it is shown to be worse than a model without features ({found.lift.value:+.4f})"
    now, sign = found.now, 1.0 if greater_is_better else -1.0
    if found.lift is not None and found.lift.lower <= 0 and sign * (now.expected - now.figure) >= large:
        return (
            f"its own predictions let expect {now.expected:.4f}, and it is not shown to beat a model without features"
        )
    if fall.beyond is not None and fall.chance is not None and fall.beyond >= large and fall.beyond > fall.chance:
        return f"{fall.beyond:.4f} less than these rows let expect, chance explains {fall.chance:.4f}"
    seen = max(fall.plain or 0.0, fall.beyond or 0.0)
    if found.moved and seen >= _CAUSED * policy.margin:
        return f"a fall of {seen:.4f} with a cause that is seen"
    return None


def _moved(m: Moved) -> str:
    """Say how a column moved, in a sentence."""
    if m.how == "sign":
        return f"{m.column} turned its sign: correlated {m.before:+.2f} with predictions, {m.after:+.2f} with the truth"
    if m.how == "nulls":
        return f"{m.column} is missing in {m.after:.0%} of the rows, it was in {m.before:.0%}"
    if m.how == "categories":
        return f"{m.column} has categories that were never seen in {m.after:.0%} of the rows"
    what = "median" if m.how == "scale" else "middle half's width"
    return f"{m.column} changed its scale: {what} {m.after:.4g}, it was {m.before:.4g}"
