"""How time is cut: partition, training window, holdout, blocks and schedules that the table's own rows can fill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from retraining.errors import RequestError
from retraining.gate.settling import spent_alpha
from retraining.scaffold.choices import Choice, Target, Timing
from retraining.scaffold.timeline import Span, Timeline
from retraining.spec.schedules import DEFAULTS
from retraining.stats.power import GAIN, MOST_HOLDOUTS, POWER, holdouts_needed
from retraining.train import MIN_FOLD_ROWS, MIN_ROWS
from retraining.windows import Partition, floor, nominal, step

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
MOST_PARTITIONS = 365
ENOUGH_ROWS = 50_000
"""Rows that are enough to learn from: with more of them, finer partitions are worth more than a longer history."""
_MOST = 0.7
"""Share of the history that is as good as all of it: finer partitions are then worth more than the rest."""
_FEWEST_PARTITIONS = 10
_FILLED = 0.8
"""Share of partitions that hold rows: a partition that is often empty has nothing to score or to watch."""
_LONGEST_BY_HOUR = timedelta(days=60)
FOLDS = (3, 2)


@dataclass(frozen=True)
class Rhythm:
    """A holdout, its blocks, and a schedule that leaves enough blocks between two runs."""

    partitions: tuple[Partition, ...]
    holdout: timedelta
    block: timedelta
    schedule: str | None
    often: str


_RHYTHMS = (
    Rhythm(("day",), 7 * _DAY, 6 * _HOUR, "0 4 * * 1", "each Monday"),
    Rhythm(("day",), 14 * _DAY, 12 * _HOUR, "0 4 1,15 * *", "twice a month"),
    Rhythm(("day", "week"), 28 * _DAY, _DAY, "0 4 1 * *", "each month"),
    Rhythm(("day", "week"), 84 * _DAY, _DAY, "0 4 1 */3 *", "each quarter"),
    Rhythm(("day", "week"), 182 * _DAY, 7 * _DAY, "0 4 1 1,7 *", "twice a year"),
    Rhythm(("day", "week"), 364 * _DAY, 7 * _DAY, "0 4 1 1 *", "once a year"),
    Rhythm(("day", "week"), 728 * _DAY, 7 * _DAY, "0 4 1 1 *", "once a year"),
    Rhythm(("month",), 720 * _DAY, 30 * _DAY, None, ""),
    Rhythm(("month",), 1080 * _DAY, 30 * _DAY, None, ""),
    Rhythm(("month",), 2160 * _DAY, 90 * _DAY, None, ""),
    Rhythm(("hour",), 4 * _DAY, 4 * _HOUR, "0 4 * * 1", "each Monday"),
)
"""From the freshest to the slowest; hours last, for tables of a few days."""


@dataclass(frozen=True)
class Wanted:
    """How much a holdout should have: labelled rows, blocks, rows of the rarer of two classes; and how much of the
    table's time it may take."""

    rows: int
    blocks: int
    rarer: int
    share: float


_LEVELS = (Wanted(1000, 24, 50, 0.2), Wanted(300, 22, 20, 0.2), Wanted(100, 21, 10, 0.2), Wanted(50, 20, 2, 0.3))
"""What is wanted first, and what will do: 50 rows and 20 blocks are the least that a gate decides on."""


@dataclass(frozen=True)
class Plan:
    """Windows over a table, and how many folds they hold."""

    rhythm: Rhythm
    partition: Partition
    n_partitions: int
    start: datetime
    cutoff: datetime
    end: datetime
    folds: int
    held: float
    """Share of the partitions before the holdout that the training window holds."""


def choose_plan(line: Timeline, target: Target, time: str) -> Plan:
    """Return the freshest plan whose windows the table can fill.

    Raises
    ------
    RequestError
        When there are too few rows or too few different times.
    """
    for wanted in _LEVELS:
        for rhythm in _RHYTHMS:
            plan = next(_plans(line, target, rhythm, wanted), None)
            if plan is not None:
                return plan
    filled = line.n_filled([floor(line.first, "day") + i * _DAY for i in range((line.last - line.first).days + 2)])
    raise RequestError(
        f"--time {time}: the table's {int(line.by_class.sum()):,} rows with a label, on {filled:,} different days from "
        f"{line.first:%Y-%m-%d} to {line.last:%Y-%m-%d}, do not fill a holdout of 50 rows in 20 blocks of time, with "
        f"{MIN_ROWS} rows and two more holdouts' time before it. Nothing was written. Add history, or leave out "
        "--time: then a fifth of the rows is the holdout, whenever they happened."
    )


def _plans(line: Timeline, target: Target, rhythm: Rhythm, wanted: Wanted) -> Iterator[Plan]:
    """Yield the plans that hold, those with the wanted history first, each from fine to coarse partitions."""
    found = [plan for p in rhythm.partitions if (plan := _plan(line, target, rhythm, p, wanted)) is not None]
    yield from (p for p in found if p.held >= _MOST or line.span(p.start, p.cutoff).n_labelled >= ENOUGH_ROWS)
    yield from reversed(found)


def _plan(line: Timeline, target: Target, rhythm: Rhythm, partition: Partition, wanted: Wanted) -> Plan | None:
    if partition == "hour" and line.last - line.first > _LONGEST_BY_HOUR:
        return None
    unit = nominal(partition)
    end = step(floor(line.last, partition), partition)
    cutoff = step(end, partition, -round(rhythm.holdout / unit))
    first = floor(line.first, partition)
    if cutoff <= first or (end - cutoff) > wanted.share * (end - first):
        return None
    edges = [end]
    while edges[-1] > first:
        edges.append(step(edges[-1], partition, -1))
    edges.reverse()
    there = edges.index(cutoff)
    count = min(MOST_PARTITIONS, there)
    if count < _FEWEST_PARTITIONS or line.n_filled(edges[there - count :]) < _FILLED * (len(edges) - 1 - there + count):
        return None
    start = edges[there - count]
    plan = Plan(rhythm, partition, count, start, cutoff, end, 0, held=count / there)
    folds = next((n for n in FOLDS if _folds_hold(line, target, start, cutoff, max(rhythm.holdout, unit), n)), None)
    if folds is None or not _holdout_holds(line, target, plan, wanted):
        return None
    return replace(plan, folds=folds)


def _holdout_holds(line: Timeline, target: Target, plan: Plan, wanted: Wanted) -> bool:
    train, held = line.span(plan.start, plan.cutoff), line.span(plan.cutoff, plan.end)
    n_blocks = line.n_blocks(plan.cutoff, plan.end, plan.rhythm.block)
    if train.n_labelled < MIN_ROWS or held.n_labelled < wanted.rows or n_blocks < wanted.blocks:
        return False
    unknown = any(new and not old for new, old in zip(held.classes, train.classes, strict=True))
    rarer = sorted(held.classes)[-2] if len(held.classes) > 1 else wanted.rarer
    return not unknown and rarer >= wanted.rarer


def _folds_hold(
    line: Timeline, target: Target, start: datetime, cutoff: datetime, length: timedelta, folds: int
) -> bool:
    """Tell whether each fold has rows to be judged on, and all before it enough of them, of every class."""
    last = line.last_label(start, cutoff)
    if last - length * folds <= start:
        return False
    past = line.span(start, last - length * folds)
    if past.n_labelled < MIN_FOLD_ROWS or (target.classes and min(past.classes) < 2):
        return False
    for back in range(folds, 0, -1):
        fold = line.span(last - length * back, last - length * (back - 1))
        if not fold.n_labelled or (target.task.value == "binary" and min(fold.classes) == 0):
            return False
    return True


def hashed_folds(line: Timeline, target: Target, start: datetime, cutoff: datetime) -> int | None:
    """Return how many folds rows without a time can fill."""
    days = (cutoff - start).days
    return next((n for n in FOLDS if _folds_hold(line, target, start, cutoff, _DAY * (days // (n + 2)), n)), None)


_USUAL_ORIGINS, _CANDIDATES = 8, 2
"""The default of `gate.origins`, and the candidates that are tried unless the YAML names others."""
_DELAY: dict[Partition, timedelta] = {"hour": _HOUR, "day": _DAY, "week": 7 * _DAY, "month": 31 * _DAY}


def make_timing(plan: Plan, line: Timeline) -> Timing:
    """Say what a plan means in the YAML's keys."""
    rhythm, partition, unit = plan.rhythm, plan.partition, nominal(plan.partition)
    held, train = line.span(plan.cutoff, plan.end), line.span(plan.start, plan.cutoff)
    n_blocks = line.n_blocks(plan.cutoff, plan.end, rhythm.block)
    delay = _DELAY[partition]
    finer = rhythm.partitions[0]
    sooner = f" With {finer} it is scored sooner, but at most 400 of them are a window." if finer != partition else ""
    if plan.held == 1:
        reach = f"all {plan.n_partitions} {partition}s before the holdout"
    else:
        reach = f"the {plan.n_partitions} {partition}s before the holdout; older rows are not read"
    length = _words(rhythm.holdout)
    often = f"{rhythm.often[:1].upper()}{rhythm.often[1:]}: between two runs there are enough new blocks to decide."
    never = f"No schedule: a new holdout takes {length}. Start retrainings by hand, or let the monitor ask."
    return Timing(
        partition=Choice(
            partition,
            f"Rows are stored, checked and scored {partition} by {partition}: {train.n_rows / plan.n_partitions:,.0f} "
            f"rows in each, {plan.n_partitions} of them in the training window.{sooner}",
        ),
        label_delay=Choice(
            delay, f"When is a label final? One {partition} after its row is a guess; ask who records it."
        ),
        window=Choice(unit * plan.n_partitions, f"{train.n_labelled:,} rows: {reach}."),
        holdout=Choice(
            rhythm.holdout,
            f"The newest {length}, kept for the comparison: {held.n_labelled:,} rows with a label today.",
        ),
        origins=_origins(plan, held),
        block=Choice(
            rhythm.block, f"Rows of one block count as one observation; {n_blocks} blocks hold rows, 20 decide."
        ),
        retrain=Choice(rhythm.schedule, often if rhythm.schedule else never),
        score=DEFAULTS[partition].score,
        monitor=DEFAULTS[partition].monitor,
        catch_up=7 * unit,
        current=14 * unit,
        reference=28 * unit,
        history=max(20, min(90, plan.n_partitions)),
        as_of=plan.end + delay,
    )


def _origins(plan: Plan, held: Span) -> Choice:
    """Judge a replacement over as many holdouts as it takes to see a gain, if half of the window has room for them."""
    n_held = max(1, round(plan.rhythm.holdout / nominal(plan.partition)))
    room = min(MOST_HOLDOUTS, 1 + plan.n_partitions // (2 * n_held))
    length, usual = _words(plan.rhythm.holdout), min(room, _USUAL_ORIGINS)
    what = f"A replacement is judged over so many holdouts of {length} together, each after what both recipes learn"
    if len(held.classes) != 2 or not min(held.classes):
        return Choice(usual, f"{what}; half of the window has room for {room}.")
    outcome, days = min(held.classes) / held.n_labelled, plan.rhythm.holdout / _DAY
    needed = holdouts_needed(GAIN, days, held.n_labelled, outcome, spent_alpha(0.05, 0) / _CANDIDATES)
    if needed is None:
        return Choice(room, f"{what}. A gain of {GAIN:g} would not be shown by a year of them: there are few rows.")
    seen = f"a gain of {GAIN:g} passes with {POWER:.0%} after about {needed}"
    short = "" if needed <= room else f"; half of the window has room for {room}"
    return Choice(max(usual, min(needed, room)), f"{what}: {seen}{short}.")


def _words(length: timedelta) -> str:
    hours = length // _HOUR
    return f"{hours // 24} days" if hours % 24 == 0 and hours > 24 else f"{hours} hours"
