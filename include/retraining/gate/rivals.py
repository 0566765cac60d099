"""Rivals: which earlier champions a candidate is compared with, and on which rows. Pure, over the champion history.

A candidate is trained up to the holdout. A champion whose cut-off is the holdout's start has learnt the very same rows;
of the same recipe it *is* the candidate, and a comparison of a model with itself proves nothing. So a refresh is judged
against the newest champion that had at least one holdout less to learn from. That alone would let a model creep down, a
little less than the margin at each refresh; so an anchor further back is compared as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from retraining.records import Champion, Window

MIN_DAYS = 4
"""Fewest distinct days that a comparison can be decided on. With fewer the jackknife by days, which keeps the stated
error where rows of a day are alike, has at most two degrees of freedom, or is not there at all."""
ANCHOR_REFRESHES = 8
"""How many refreshes back the anchor lies at the most: two months of weekly ones. Further back its data is of another
season, and any candidate would beat it."""
MOST_OPPONENTS = 3
"""Of a champion that cannot score the rows any more the one before it is tried; one in three should be readable."""


@dataclass(frozen=True)
class Rivals:
    """The champions a candidate meets.

    `opponents` are those that learnt less, the nearest first: the first that can score the rows counts. The champion in
    office is compared on rows from `champion_from` on; None where none is newer than its cut-off.
    """

    opponents: tuple[Champion, ...] = ()
    champion_from: datetime | None = None
    anchor: Champion | None = None


def choose_rivals(
    history: Sequence[Champion],
    rules: Mapping[str, str],
    champion: Champion | None,
    holdout: Window,
    length: timedelta,
) -> Rivals:
    """Choose whom a candidate that was trained up to the holdout is compared with.

    Parameters
    ----------
    history
        The champion history up to the champion in office, oldest first.
    rules
        The rule by which verdicts promoted, by verdict id; entries without one are no refreshes.
    length
        How much less than the candidate the opponent must have learnt: `gate.holdout`.
    """
    if champion is None:
        return Rivals()
    line = standing([c for c in history if c.sequence <= champion.sequence])
    older = [c for c in line if c.cutoff <= holdout.start - length]
    begins = max(champion.cutoff, holdout.start)
    anchor = anchor_of(line, rules)
    return Rivals(
        opponents=tuple(sorted(older, key=lambda c: (c.cutoff, c.sequence), reverse=True)[:MOST_OPPONENTS]),
        champion_from=begins if begins < holdout.end else None,
        anchor=anchor if anchor is not None and anchor.cutoff <= holdout.start else None,
    )


def standing(history: Sequence[Champion]) -> list[Champion]:
    """Leave out what a rollback or a return took back, and its own entry: the one that it went back to stands again."""
    line: list[Champion] = []
    for entry in history:
        if entry.kind not in ("rollback", "return"):
            line.append(entry)
            continue
        while line and line[-1].release_id != entry.release_id:
            line.pop()
        if not line:
            line.append(entry)
    return line


def barred(history: Sequence[Champion]) -> set[str]:
    """Return the releases that probation took back and that no later verdict let in again."""
    found: set[str] = set()
    for before, entry in pairwise(history):
        if entry.kind == "return":
            found.add(before.release_id)
        elif entry.kind in ("promotion", "override"):
            found.discard(entry.release_id)
    return found


def fallback(history: Sequence[Champion]) -> Champion | None:
    """Return whom probation compares the champion with and goes back to: the newest other release that stands."""
    out = barred(history)
    earlier = (c for c in reversed(standing(history[:-1])) if c.release_id not in out)
    return next((c for c in earlier if c.release_id != history[-1].release_id), None)


def anchor_of(line: Sequence[Champion], rules: Mapping[str, str]) -> Champion | None:
    """Return the last first, replaced, overridden or adopted champion, or the eighth refresh back if that is newer."""
    for refreshes, entry in enumerate(reversed(line)):
        if entry.kind != "promotion" or rules.get(entry.verdict_id or "") != "refresh":
            return entry
        if refreshes == ANCHOR_REFRESHES:
            return entry
    return None
