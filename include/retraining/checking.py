"""Check a spec against what is installed: estimators, parameters, metrics, expectations, schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

from retraining.errors import RetrainingError, SpecError
from retraining.spec import FrozenSpec

_ORIGIN = datetime(2024, 1, 1, tzinfo=UTC)
"""Any fixed day: a schedule's shortest interval is looked for in the year after it."""


def check_spec(frozen: FrozenSpec) -> list[str]:
    """Return the problems of a spec that its keys alone do not show; none means that it can run."""
    return [text for check in _checks(frozen) if (text := _problem(check)) is not None]


def shortest_interval(schedule: str) -> timedelta:
    """Return the shortest pause between two runs of a cron schedule within a year.

    Raises
    ------
    SpecError
        When it is not a cron expression.
    """
    try:
        times = croniter(schedule, _ORIGIN)
        found = [times.get_next(datetime)]
        while found[-1] < _ORIGIN + timedelta(days=366) and len(found) < 400:
            found.append(times.get_next(datetime))
    except (CroniterBadCronError, CroniterBadDateError, ValueError) as error:
        raise SpecError(f"schedule {schedule!r} is not a cron expression: {error}") from error
    return min((b - a for a, b in pairwise(found)), default=timedelta(days=366))


def _checks(frozen: FrozenSpec) -> Iterator[Callable[[], object]]:
    from retraining.stats.metrics import find_metric
    from retraining.train.requirements import require_candidate
    from retraining.validation.expectations import require_row_check
    from retraining.validation.windows import require_window_check

    spec = frozen.spec

    def metric() -> None:
        find_metric(spec.training.metric, spec.training.task)

    def schedules() -> None:
        for schedule in (spec.score.schedule, spec.monitor.schedule):
            if schedule is not None:
                shortest_interval(schedule)

    yield metric
    yield schedules
    yield partial(_decidable, frozen)
    for candidate in spec.training.candidates:
        yield partial(require_candidate, spec.training, candidate)
    for check in spec.checks.rows:
        yield partial(require_row_check, check)
    for check in spec.checks.window:
        yield partial(require_window_check, check)


def _decidable(frozen: FrozenSpec) -> None:
    """Refuse a schedule so dense that the rows newer than the champion can never fill enough blocks."""
    from retraining.stats.blocks import block_length

    schedule, gate = frozen.spec.retrain.schedule, frozen.spec.gate
    if schedule is None:
        return
    interval = shortest_interval(schedule)
    n_blocks = min(interval, gate.holdout) / block_length(gate)
    if n_blocks < gate.min_blocks:
        raise SpecError(
            f"retrain.schedule {schedule!r} leaves {interval} between runs: {n_blocks:.0f} blocks of "
            f"{block_length(gate)} newer than the champion, and gate.min_blocks is {gate.min_blocks}: every run would "
            "be inconclusive. Retrain less often, or set a shorter gate.block."
        )


def _problem(check: Callable[[], object]) -> str | None:
    try:
        check()
    except RetrainingError as error:
        return str(error)
    return None
