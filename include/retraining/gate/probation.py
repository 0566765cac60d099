"""Probation: whether a release holds on the rows it meets, or is worse than the one it replaced. Pure, over figures.

The gate judged the recipe on rows that the release has learnt by now. Here the release itself is judged, on rows that
neither it nor its predecessor has seen, as their labels mature. It is looked at daily, so each look spends a part of an
error that is stated for the whole probation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from retraining.gate.rivals import MIN_DAYS, fallback
from retraining.gate.settling import spent_until
from retraining.records import Champion, Estimate, Probation, Window, shown_day
from retraining.spec import Spec
from retraining.windows import ceil

TAKEN_BACK_WRONGLY = 0.02
"""Highest chance that a release as good as its predecessor is taken back, over all looks of its probation: by weekly
releases once a year. The wider of two intervals counts, so that less than half of it comes about (`benchmarks
gate_forward`). A take-back that was wrong costs a week of freshness, and is told; one that was missed serves on."""


@dataclass(frozen=True)
class Trial:
    """A release on probation, the one it is compared with, and the time of whose rows both are judged on."""

    release: Champion
    against: Champion
    window: Window

    @property
    def n_days(self) -> int:
        """Days of the whole probation."""
        return max(1, round((self.window.end - self.window.start) / timedelta(days=1)))


def trial_of(history: Sequence[Champion], spec: Spec) -> Trial | None:
    """Return the probation that the champion is on, by the champion history, oldest first; None where there is none.

    Only a release that came by a verdict is on probation, and only the newest: of two deployments inside one probation
    the later ends the earlier. A first champion, or one with no other release to go back to, has none; nor has one that
    was adopted, rolled back to or returned to.
    """
    length = spec.deploy.probation
    if length is None or not history or history[-1].kind not in ("promotion", "override"):
        return None
    release, against = history[-1], fallback(history)
    if against is None:
        return None
    cutoff = max(release.cutoff, against.cutoff)
    unit = spec.data.partition
    return Trial(release, against, Window(ceil(cutoff, unit), ceil(cutoff + length, unit)))


def errors_of(confidence: float, earlier: Sequence[float], share: float) -> tuple[float, float] | None:
    """Return at which one-sided levels a look may claim *worse* and *holds*; None where it sees nothing new.

    Parameters
    ----------
    earlier, share
        The shares of the probation's days that earlier looks had seen, rising, and that this one sees.
    """
    from retraining.stats.sequential import levels  # NumPy and SciPy: not for those who only ask for the state

    if earlier and share <= earlier[-1]:
        return None
    shares = (*earlier, share)

    def level(total: float) -> float:
        spent = [0.0, *(spent_until(total, seen) for seen in shares)]
        return levels(shares, [after - before for before, after in pairwise(spent)])[-1]

    return level(TAKEN_BACK_WRONGLY), level(1 - confidence)


def share_of(trial: Trial, n_days: int, *, last: bool) -> float:
    """Return the share of a probation's days that is seen; the last look, however many there are, spends all."""
    return 1.0 if last else min(1.0, n_days / trial.n_days)


def is_due(n_rows: int, n_days: int, min_rows: int) -> bool:
    """Tell whether there is enough to look at."""
    return n_days >= MIN_DAYS and n_rows >= min_rows


def outcome_of(gain: Estimate | None, allowed: float, *, last: bool) -> Literal["open", "worse", "held", "not_shown"]:
    """Decide what a look shows.

    Parameters
    ----------
    gain
        How much better the release is; its upper bound at what *worse* may spend, its lower at what *holds* may. None
        where it has no error.
    allowed
        The largest loss that is accepted, in the metric's unit.
    last
        Whether no further day will come.
    """
    if gain is not None and gain.upper < 0:
        return "worse"
    if gain is not None and gain.lower > -allowed:
        return "held"
    return "not_shown" if last else "open"


def why_not_returned(history: Sequence[Champion], spec: Spec) -> str | None:
    """Say why a release that is worse is not taken back by itself, but a person asked; None where it is."""
    if history[-1].kind == "override":
        return f"{history[-1].by} promoted it against the gate"
    if spec.mode != "auto":
        return f"mode is {spec.mode}"
    if len(history) > 1 and history[-2].kind == "return":
        return "the release before it was taken back as well, and a second return in a row needs a person"
    return None


def state_of(champion: Champion | None, look: Probation | None, spec: Spec) -> str | None:
    """Say in a few words what became, or becomes, of the champion's probation; None where it has none.

    Parameters
    ----------
    look
        The newest look at any release of the model.
    """
    length = spec.deploy.probation
    if champion is None or (champion.sequence == 1 and champion.kind == "promotion"):
        return None
    if champion.kind == "return":
        return f"champion {champion.sequence - 1} was taken back as of {champion.as_of:%Y-%m-%d}"
    if look is not None and look.sequence == champion.sequence:
        said = {"open": "on probation", "unknown": "on probation, not compared yet", "not_shown": "not shown"}
        return f"{said.get(look.outcome, look.outcome)} as of {look.as_of:%Y-%m-%d}"
    if length is None or champion.kind not in ("promotion", "override"):
        return None
    return f"on probation until {shown_day(ceil(champion.cutoff + length, spec.data.partition))}"


def announced(trial: Trial) -> str:
    """Say that a release is on probation, as long as nothing was looked at."""
    return (
        f"champion {trial.release.sequence} is on probation against champion {trial.against.sequence}, on rows before "
        f"{shown_day(trial.window.end)}, as their labels come"
    )


def taken_back_at(champion: Champion | None, as_of: datetime) -> datetime | None:
    """Return when probation put the champion back, not after a time; a later one came with a verdict of its own."""
    stands = champion is not None and champion.kind == "return" and champion.as_of <= as_of
    return champion.as_of if champion is not None and stands else None


def sentence_of(look: Probation, min_rows: int, allowed: float, problem: str = "") -> str:
    """Say in a sentence what a look came to."""
    who = f"champion {look.sequence} against champion {look.against}"
    if look.outcome == "unknown":
        return f"{who}: could not be compared: {problem}"
    seen = f"{look.n_rows:,} published rows of {look.n_days} days"
    if look.gain is None:
        why = problem or f"{seen} have labels; {MIN_DAYS} days and {min_rows:,} rows decide"
        ended = "not shown by the end of its probation; it stays" if look.outcome == "not_shown" else "goes on"
        return f"{who}: {ended}: {why}"
    g = look.gain
    figures = (
        f"{look.metric} {look.figure:.4f} against {look.against_figure:.4f}, gain {g.value:+.4f} "
        f"({g.lower:+.4f} to {g.upper:+.4f}, {seen})"
    )
    said = {
        "worse": "is worse",
        "held": f"holds, not worse by {allowed:g}",
        "not_shown": "neither worse nor holding was shown by the end of its probation; it stays",
        "open": "goes on, neither worse nor holding is shown yet",
    }
    return f"{who}: {said[look.outcome]}: {figures}"
