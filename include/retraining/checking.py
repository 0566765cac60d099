"""Check a spec against what is installed: estimators, parameters, metrics, expectations, schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from retraining.calendars import require_scored, require_watched, shortest_interval
from retraining.errors import RetrainingError, SpecError
from retraining.spec import FrozenSpec


def check_spec(frozen: FrozenSpec) -> list[str]:
    """Return the problems of a spec that its keys alone do not show; none means that it can run."""
    found = [text for check in _checks(frozen) if (text := _problem(check)) is not None]
    return list(dict.fromkeys(found))  # a schedule that is none at all is one problem, whoever looks at it


def _checks(frozen: FrozenSpec) -> Iterator[Callable[[], object]]:
    from retraining.stats.metrics import find_metric
    from retraining.train.requirements import require_candidate
    from retraining.validation.expectations import require_row_check
    from retraining.validation.windows import require_window_check

    spec = frozen.spec

    def metric() -> None:
        find_metric(spec.training.metric, spec.training.task)

    yield metric
    yield partial(require_scored, frozen)
    yield partial(require_watched, frozen)
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
