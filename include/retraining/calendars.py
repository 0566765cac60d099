"""Whether cron schedules and the partition they work on fit together: what could never work is refused beforehand."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from retraining.errors import SpecError
from retraining.records import Window
from retraining.spec import FrozenSpec
from retraining.spec.schedules import DEFAULTS
from retraining.windows import floor, format_duration, nominal, partitions, step

_ORIGIN = datetime(2024, 1, 1, tzinfo=UTC)
"""Any fixed day: a schedule is looked at in the year after it."""
_MOST_RUNS = 400
"""A daily schedule's year; of a denser one some days already show its rhythm."""
_WATCHED = 0.5
"""A monitor that never looks at most of the partitions is none: what breaks in them reaches nobody."""


def run_times(schedule: str) -> list[datetime]:
    """Return the times of a cron schedule within a year, at most `_MOST_RUNS` of them.

    Raises
    ------
    SpecError
        When it is not a cron expression.
    """
    from croniter import CroniterBadCronError, CroniterBadDateError, croniter  # starts a process when imported

    try:
        times = croniter(schedule, _ORIGIN)
        found = [times.get_next(datetime)]
        while found[-1] < _ORIGIN + timedelta(days=366) and len(found) < _MOST_RUNS:
            found.append(times.get_next(datetime))
    except (CroniterBadCronError, CroniterBadDateError, ValueError) as error:
        raise SpecError(f"schedule {schedule!r} is not a cron expression: {error}") from error
    return found


def shortest_interval(schedule: str) -> timedelta:
    """Return the shortest pause between two runs of a cron schedule within a year.

    Raises
    ------
    SpecError
        When it is not a cron expression.
    """
    return min((b - a for a, b in pairwise(run_times(schedule))), default=timedelta(days=366))


def require_scored(frozen: FrozenSpec) -> None:
    """Refuse a scoring schedule that leaves partitions out for good.

    Raises
    ------
    SpecError
        When more partitions end between two runs than `score.catch_up` reaches back.
    """
    score, unit = frozen.spec.score, frozen.spec.data.partition
    if score.schedule is None:
        return
    count = max(1, round(score.catch_up / nominal(unit)))
    for before, run in pairwise(run_times(score.schedule)):
        if step(floor(run, unit), unit, -count) > floor(before, unit):
            raise SpecError(
                f"score.schedule {score.schedule!r} leaves {format_duration(run - before)} between runs, and "
                f"score.catch_up {format_duration(score.catch_up)} reaches back {_count(count, unit)}: what is older "
                "would never be scored. Score more often, or lengthen score.catch_up."
            )


def require_watched(frozen: FrozenSpec) -> None:
    """Refuse a monitor's schedule that cannot see what it is there for.

    Raises
    ------
    SpecError
        When most partitions would never be watched, drift could never count on k of n of them, or a partition would
        be watched before it is scored.
    """
    monitor, unit = frozen.spec.monitor, frozen.spec.data.partition
    if monitor.schedule is None:
        return
    ends = sorted({floor(run, unit) for run in run_times(monitor.schedule)})
    problem = _unseen(frozen, ends) or _not_scored_yet(frozen)
    if problem:
        fitting = DEFAULTS[unit].monitor
        raise SpecError(
            f"monitor.schedule {monitor.schedule!r} does not fit data.partition {unit}: a run watches the newest whole "
            f"{unit}, so {problem}. Without it it is {fitting!r}, after a score.schedule of {DEFAULTS[unit].score!r}; "
            "where scoring has another one, watch after that."
        )


def _unseen(frozen: FrozenSpec, ends: list[datetime]) -> str | None:
    unit, drift = frozen.spec.data.partition, frozen.spec.monitor.drift
    n_partitions = 1 + sum(1 for _ in partitions(Window(ends[0], ends[-1]), unit))
    if len(ends) / n_partitions < _WATCHED:
        return f"only {len(ends):,} of {n_partitions:,} {unit}s would ever be watched"
    most = max(_within(ends, i, step(end, unit, 1 - drift.n)) for i, end in enumerate(ends))
    if most < drift.k and frozen.spec.retrain.on_drift != "never":
        return (
            f"at most {most} of {_count(drift.n, unit)} would be watched and drift, which needs {drift.k}, never count"
        )
    return None


def _within(ends: list[datetime], index: int, oldest: datetime) -> int:
    return index + 1 - bisect_left(ends, oldest)


def _not_scored_yet(frozen: FrozenSpec) -> str | None:
    """Say that a run would find no predictions, which fails; when scoring has no schedule, others start it."""
    score, monitor, unit = frozen.spec.score.schedule, frozen.spec.monitor.schedule, frozen.spec.data.partition
    if score is None or monitor is None:
        return None
    run_times(score)  # raises when it is no cron expression
    early = next(_runs_before_scoring(score, monitor, frozen), None)
    if early is None:
        return None
    return f"the run of {early:%A %H:%M} would come before score.schedule {score!r} has scored that {unit}, and fail"


def _runs_before_scoring(score: str, monitor: str, frozen: FrozenSpec) -> Iterator[datetime]:
    from croniter import croniter  # as above

    unit = frozen.spec.data.partition
    for run in run_times(monitor):
        scored = croniter(score, run).get_prev(datetime)
        if scored < floor(run, unit):
            yield run


def _count(count: int, unit: str) -> str:
    return f"{count} {unit}{'s' if count > 1 else ''}"
