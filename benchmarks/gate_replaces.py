"""How often `replace` passes, recipe against recipe over up to eight weeks: what is better, what is equal, the flights.

What runs is the product's: `compare_recipes` over the origins' holdouts and `decide` with the policy of the example's
YAML. In the simulation only the scores are drawn, with the flights' day effects (see `benchmarks.day_effects`). In
successive weeks seven of the eight holdouts are the same rows, with the same scores: the worst case for looking again.
On the flights both recipes are fitted before each origin as a retraining does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from benchmarks.day_effects import BINARY, N_DAYS
from benchmarks.figures import Figure, Report, share
from benchmarks.flights import WEEK, Flights, read
from benchmarks.judging import Gate, holdouts_of
from retraining.artifacts.stored import predict
from retraining.evaluation.rolled import Predicted
from retraining.records import Window, digest_of
from retraining.spec import FrozenSpec
from retraining.train import Labelled, fit

N_RUNS = 2_000
_ATTEMPTS, _ORIGINS = 8, 8
_GAIN = 0.016
"""What boosting is better than logistic regression on the flights, in the mean of weekly ROC AUC."""
ROWS_A_DAY = 300
"""A third of the flights': an interval of 50,000 rows takes long to compute, and fewer rows only cost power."""


def measure(folder: Path, report: Report, n_runs: int = N_RUNS) -> Iterator[Figure]:
    """Judge simulated replacements, then the real one."""
    gate = Gate.of("flight_delay")
    for what, gain, attempts, target in (
        (f"better by {_GAIN:g}, first look", _GAIN, 1, "at least 50 %"),
        (f"equal, any of {_ATTEMPTS} weeks in a row", 0.0, _ATTEMPTS, "at most 5 %"),
    ):
        yield simulated(gate, what, gain, attempts, n_runs, target, report)
    yield from _real(gate.frozen, folder, report)


def simulated(gate: Gate, what: str, gain: float, attempts: int, n_runs: int, target: str, report: Report) -> Figure:
    simulator = replace(BINARY, n_days=N_DAYS * (_ORIGINS + attempts - 1), rows_a_day=ROWS_A_DAY)
    random = np.random.default_rng(int(digest_of(["gate replaces", what])[:16], 16))
    shift, blocks = simulator.shift_for(gain), simulator.blocks()
    passed, alone = 0, 0
    for _ in range(n_runs):
        weeks = holdouts_of(simulator.draw(random, shift, blocks)[0])
        looks = [weeks[k : k + _ORIGINS] for k in range(attempts)]
        passed += any(gate.may_pass(look, k) and passes(gate, look, k) for k, look in enumerate(looks))
        alone += gate.may_pass(weeks[-1:]) and passes(gate, weeks[-1:])
    figure = Figure(f"replace, {what}", share(passed, n_runs), f"one week alone: {alone / n_runs:.1%}", target)
    report(f"{figure.what}: {figure.value}; {figure.ratio}; {target}")
    return figure


def passes(gate: Gate, weeks: Sequence[Predicted], looks: int = 0) -> bool:
    """Tell whether a replacement passes."""
    return gate.decision(gate.as_replacement(weeks, looks)) == "promote"


# --- the flights --------------------------------------------------------------------------------------------------


def _real(frozen: FrozenSpec, folder: Path, report: Report) -> Iterator[Figure]:
    """Replace logistic regression by boosting as of every fourth week, each time over the eight weeks before."""
    flights = read("flight_delay", folder)
    gate, weeks = Gate(frozen), [_real_week(flights, end) for end in flights.cutoffs]
    gains = []
    for last in range(_ORIGINS, len(weeks) + 1, 4):
        evaluated = gate.as_replacement(weeks[last - _ORIGINS : last])
        found, promoted = evaluated.replacement, gate.decision(evaluated) == "promote"
        if found is None or found.gain is None or found.span is None:
            continue
        over = found.gain
        gains.append((promoted, over.value))
        text = f"gain {over.value:+.4f} ({over.lower:+.4f} to {over.upper:+.4f})"
        figure = Figure(f"flights, logistic to boosting, {found.span}", text, "passes" if promoted else "does not pass")
        report(f"{figure.what}: {figure.value}: {figure.ratio}")
        yield figure
    alone = [passes(gate, [week]) for week in weeks]
    text = f"{sum(p for p, _ in gains)} of {len(gains)} pass, mean gain {np.mean([g for _, g in gains]):+.4f}"
    yield Figure("flights, logistic to boosting", text, f"one week alone: {sum(alone)} of {len(alone)}")


def _real_week(flights: Flights, end: datetime) -> Predicted:
    """Return the week after a cut-off with the predictions of both recipes, trained up to it."""
    frozen, task = flights.frozen, flights.frozen.spec.training.task
    known = flights.within(Window(end - frozen.spec.training.window, end))
    learnt = Labelled(None, flights.x.iloc[known], flights.y[known], flights.times[known], flights.classes)
    rows = flights.within(Window(end, end + WEEK))
    old, new = (
        predict(fit(frozen, c.estimator, c.params, flights.plan, learnt), task, flights.x.iloc[rows])
        for c in frozen.spec.training.candidates
    )
    return Predicted(Window(end, end + WEEK), flights.y[rows], flights.times[rows], new, old)
