"""Check a spec against what is installed (estimators, metrics, expectations, schedules), and against its source."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, MutableSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from retraining.calendars import require_scored, require_watched, shortest_interval
from retraining.errors import RetrainingError, SpecError
from retraining.gate.rivals import MIN_DAYS
from retraining.records import Window, digest_of
from retraining.spec import FrozenSpec
from retraining.spec.cases import DirectionCase, InvarianceCase
from retraining.spec.data import Data, Source
from retraining.spec.model import Check
from retraining.spec.queries import condition_query, figure_query
from retraining.spec.training import Candidate, Training
from retraining.windows import floor, format_duration, nominal, step
from retraining.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

_INSTALLED = "sklearn."
"""Estimators whose answers change only with an installed package; code from elsewhere may change at any time."""


def check_spec(frozen: FrozenSpec, passed: MutableSet[str] | None = None) -> list[str]:
    """Return the problems of a spec that its keys alone do not show; none means that it can run.

    Parameters
    ----------
    passed
        Digests of checks that were right before in this environment; they are not asked again, and those that are
        right now are added.
    """
    known: MutableSet[str] = set() if passed is None else passed
    found = [text for check in _checks(frozen) if (text := _problem(check, known)) is not None]
    return list(dict.fromkeys(found))  # a schedule that is none at all is one problem, whoever looks at it


@dataclass(frozen=True)
class _Check:
    """One thing to check. `values` decide its answer in one environment; None where more than that does."""

    ask: Callable[[], object]
    values: object


def _checks(frozen: FrozenSpec) -> Iterator[_Check]:
    spec, training = frozen.spec, frozen.spec.training
    shared = training.model_dump(mode="json", exclude={"candidates"})
    yield _Check(partial(_known_metric, training), ["metric", training.metric, training.task])
    calendar = [spec.data.partition, spec.score.model_dump(mode="json"), spec.monitor.model_dump(mode="json")]
    yield _Check(partial(require_scored, frozen), ["scored", *calendar])
    yield _Check(partial(require_watched, frozen), ["watched", *calendar, spec.retrain.on_drift])
    yield _Check(partial(_room_for_folds, frozen), None)
    yield _Check(partial(_windows_that_work, frozen), None)
    yield _Check(partial(_decidable, frozen), ["decidable", spec.retrain.schedule, spec.gate.model_dump(mode="json")])
    for where, sql, ours in _sql_of(frozen):
        yield _Check(partial(_only_reads, where, sql, ours), ["only reads", where, sql, ours])
    for candidate in training.candidates:
        installed = candidate.estimator.startswith(_INSTALLED)
        values = ["candidate", candidate.model_dump(mode="json"), shared] if installed else None
        yield _Check(partial(_fitting_candidate, training, candidate), values)
    for check in spec.checks.rows:
        yield _Check(partial(_row_check, check), ["row check", check.model_dump(mode="json")])
    for check in spec.checks.window:
        yield _Check(partial(_window_check, check), ["window check", check.model_dump(mode="json")])


def _sql_of(frozen: FrozenSpec) -> Iterator[tuple[str, str, bool]]:
    """Give where a spec has SQL, what it says, and whether DuckDB runs it: else it is for another database."""
    spec = frozen.spec
    for where, source in _sources(spec.data):
        if source.query is not None:
            yield f"{where}.query: {source.query}", frozen.file(source) or "", source.connection is None
    for one in spec.gate.slices:
        if one.where is not None:
            yield f"gate.slices: {one.title}", condition_query(one.where), True
    for case in frozen.cases:
        if isinstance(case, InvarianceCase | DirectionCase) and case.where is not None:
            yield f"gate.cases: {case.name}", condition_query(case.where), True
    if spec.monitor.business is not None:
        yield "monitor.business.sql", figure_query(spec.monitor.business.sql), True


def _only_reads(where: str, sql: str, ours: bool) -> None:
    """Refuse SQL that is more than a select; what is no SQL at all is found when it runs, with what it runs on."""
    if ours:
        from retraining.sources.confined import problem_of_any

        problem = problem_of_any(sql)
    else:
        from retraining.sources.selects import problem_of

        problem = problem_of(sql)
    if problem is not None:
        raise SpecError(f"{where} {problem}.")


def _known_metric(training: Training) -> None:
    from retraining.stats.metrics import find_metric

    find_metric(training.metric, training.task)


def _fitting_candidate(training: Training, candidate: Candidate) -> None:
    from retraining.train.requirements import require_candidate

    require_candidate(training, candidate)


def _row_check(check: Check) -> None:
    from retraining.validation.expectations import require_row_check

    require_row_check(check)


def _window_check(check: Check) -> None:
    from retraining.validation.windows import require_window_check

    require_window_check(check)


def _room_for_folds(frozen: FrozenSpec) -> None:
    """Refuse folds that leave no time of the training window before the oldest of them, so that no run can train."""
    training, data = frozen.spec.training, frozen.spec.data
    unit = nominal(data.partition)
    if not data.time_ordered:
        if training.window.days < training.folds + 2:
            raise SpecError(f"training.folds: {training.folds} are more than rows without a time can be cut into.")
        return
    window = unit * max(1, round(training.window / unit))
    fold = max(frozen.spec.gate.holdout, unit)
    least = fold * training.folds + unit
    if window < least:
        raise SpecError(
            f"training.window: {format_duration(window)} are cut into training.folds ({training.folds}) of "
            f"gate.holdout's length ({format_duration(fold)}), and nothing is left to learn from before the oldest: no "
            f"run could train. Use a training.window of at least {format_duration(least)}, a shorter gate.holdout, or "
            "fewer training.folds."
        )


def _windows_that_work(frozen: FrozenSpec) -> None:
    """Refuse a candidate's window with which candidate and release would be two models of different rows."""
    data, gate = frozen.spec.data, frozen.spec.gate
    least = 2 * max(gate.holdout, nominal(data.partition))
    for candidate in frozen.spec.training.candidates:
        if candidate.window is None:
            continue
        where = f"training.candidates: {candidate.estimator}: window {format_duration(candidate.window)}"
        if not data.time_ordered:
            raise SpecError(f"{where}: rows without a time_column have no newest ones. Take the window out.")
        if candidate.window < least:
            raise SpecError(
                f"{where} is shorter than twice gate.holdout: the release, which learns a holdout more, would share "
                "too few rows with the candidate that was judged. Use a window of at least "
                f"{format_duration(least)}, or take it out."
            )


def _decidable(frozen: FrozenSpec) -> None:
    """Refuse a holdout of too few days, and a schedule so dense that newer rows can never fill enough blocks."""
    from retraining.stats.blocks import block_length

    schedule, gate = frozen.spec.retrain.schedule, frozen.spec.gate
    if frozen.spec.data.time_ordered and gate.holdout < MIN_DAYS * timedelta(days=1):
        raise SpecError(
            f"gate.holdout: {format_duration(gate.holdout)} hold fewer than {MIN_DAYS} days, and rows of one day are "
            f"not independent: every run would be inconclusive. Use at least {MIN_DAYS}d."
        )
    if schedule is None:
        return
    interval = shortest_interval(schedule)
    n_blocks = min(interval, gate.holdout) / block_length(gate)
    if n_blocks < gate.min_blocks:
        raise SpecError(
            f"retrain.schedule {schedule!r} leaves {interval} between runs: {n_blocks:.0f} blocks of "
            f"{block_length(gate)} newer than the champion, and gate.min_blocks is {gate.min_blocks}: every run would "
            "be inconclusive. Retrain less often."
        )


def _problem(check: _Check, passed: MutableSet[str]) -> str | None:
    mark = None if check.values is None else digest_of(check.values)
    if mark in passed:
        return None
    try:
        check.ask()
    except RetrainingError as error:
        return str(error)
    if mark is not None:
        passed.add(mark)
    return None


_ONE_IN_FOUR = 0.25
"""The share of positives is not known before rows are read: taken to be like the example's."""


def replacements(frozen: FrozenSpec) -> str:
    """Say over how many holdouts a replacement is judged, and when a gain would pass with the fewest rows that decide.

    >>> from samples.tiny import SPEC
    >>> from retraining.spec import Spec
    >>> replacements(FrozenSpec("tiny", Spec.model_validate(SPEC), {})).partition(";")[0]
    'a replacement is judged over 3 holdouts of 7d'
    """
    from retraining.gate.foresight import foresight

    return foresight(frozen.spec, frozen.spec.gate.min_rows, _ONE_IN_FOUR, "at gate.min_rows, with")


# --- sources ------------------------------------------------------------------------------------------------------


def unknown_connections(frozen: FrozenSpec) -> list[str]:
    """Say which connections of a spec the environment does not know; Airflow may know them all the same."""
    from retraining.sources.base import connection_variable

    found = []
    for where, source in _sources(frozen.spec.data):
        if source.connection is not None and not os.environ.get(connection_variable(source.connection)):
            variable = connection_variable(source.connection)
            found.append(
                f"{where}: connection {source.connection} is not known on this command line: {variable} is not set. "
                f"Airflow's tasks look among Airflow's connections; to try it here, set it, and `check --connect`."
            )
    return found


def connect(workspace: Workspace, frozen: FrozenSpec) -> list[str]:
    """Read the newest whole partition from a model's sources; return a sentence about what each gave.

    Raises
    ------
    SourceError
        When a connection, file, table or column is missing, or the credentials are refused.
    Unavailable
        When the source does not answer.
    """
    from retraining.data import chunks, rows

    spec, data = frozen.spec, frozen.spec.data
    end = floor(datetime.now(UTC), data.partition)  # any partition will do; the newest is what is asked for every day
    window = Window(step(end, data.partition, -1), end) if data.time_ordered else rows.HASHED
    source, labels = workspace.sources(frozen)
    found = source.read(window)
    if found.num_columns:
        located = rows.locate(frozen, found, window)
        chunks.require(located, [*spec.features.numeric, *spec.features.categorical], f"{frozen.model}, source")
    told = [_gave("data.source", found, window)]
    if labels is not None and data.labels is not None:
        known = labels.read(window)
        if known.num_columns:
            recorded = [data.labels.recorded_at] if data.labels.recorded_at else []
            chunks.require(known, [*data.key, *data.known_late, *recorded], f"{frozen.model}, labels")
        told.append(_gave("data.labels", known, window))
    return told


def _gave(where: str, found: pa.Table, window: Window) -> str:
    return f"{where} answers: {found.num_rows:,} rows, {found.num_columns:,} columns, when asked for {window}"


def _sources(data: Data) -> list[tuple[str, Source]]:
    return [("data.source", data.source), *([("data.labels", data.labels)] if data.labels else [])]
