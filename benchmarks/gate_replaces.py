"""How often `replace` passes, recipe against recipe over up to eight weeks: what is better, what is equal, the flights.

What runs is the product's: `compare_recipes` over the origins' holdouts and `decide` with the policy of the example's
YAML. In the simulation only the scores are drawn, with the flights' day effects (see `benchmarks.day_effects`). In
successive weeks seven of the eight holdouts are the same rows, with the same scores: the worst case for looking again.
On the flights both recipes are fitted before each origin as a retraining does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.day_effects import BINARY, N_DAYS, N_PARTS, Week
from benchmarks.figures import Figure, Report
from benchmarks.flights import WEEK, Flights, read
from benchmarks.processes import ROOT
from retraining.artifacts.stored import predict
from retraining.evaluation.holdout import Judged
from retraining.evaluation.rolled import Predicted, compare_recipes
from retraining.gate import Policy, decide
from retraining.gate.settling import spent_alpha
from retraining.records import Replacement, Window, digest_of
from retraining.spec import FrozenSpec, load
from retraining.spec.learning import n_settings
from retraining.stats.metrics import find_metric, resampled
from retraining.train import Labelled, fit
from samples.records import estimate, evaluation

N_RUNS = 2_000
_ATTEMPTS, _ORIGINS = 8, 8
_GAIN = 0.016
"""What boosting is better than logistic regression on the flights, in the mean of weekly ROC AUC."""
_START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS_A_DAY = 300
"""A third of the flights': an interval of 50,000 rows takes long to compute, and fewer rows only cost power."""
_AREA = find_metric("roc_auc", "binary")
_NOT_USED: Any = None
"""The model itself: only its scores are judged here."""


@dataclass(frozen=True)
class Gate:
    """An example's gate, asked about two recipes on some weeks."""

    frozen: FrozenSpec

    def judge(self, weeks: Sequence[Predicted], looks: int = 0) -> tuple[bool, Replacement]:
        """Tell whether a replacement passes, and by which figures."""
        newest = weeks[-1]
        data = Labelled(None, None, newest.y, newest.times, ())
        blocks = np.zeros(len(newest.y), dtype=np.int64)
        judged = Judged(_NOT_USED, data, newest.candidate, newest.champion, blocks, None)
        found = compare_recipes(self.frozen, judged, weeks, looks)
        e = evaluation(rule="replace", replacement=found, looks=looks, over_baseline=estimate(0.1, 0.3), opponent=None)
        return decide(e, Policy.of(self.frozen.spec)).decision == "promote", found

    def may_pass(self, weeks: Sequence[Predicted], looks: int = 0) -> bool:
        """Tell whether a gain is beyond the error by whole days, which is necessary and quickly computed."""
        y, new, old = (np.concatenate([getattr(w, n) for w in weeks]) for n in ("y", "candidate", "champion"))
        times = np.concatenate([w.times for w in weeks]).astype("datetime64[D]")
        day = np.unique(times, return_inverse=True)[1].astype(np.int64)
        n = int(day.max()) + 1
        weights = np.vstack([np.ones(n), 1 - np.eye(n)])
        gains = resampled(_AREA, y, new, day, weights) - resampled(_AREA, y, old, day, weights)
        error = np.sqrt((n - 1) / n * np.sum((gains[1:] - gains[1:].mean()) ** 2))
        spec = self.frozen.spec
        alpha = spent_alpha(1 - spec.gate.confidence, looks) / n_settings(spec.training)
        return bool(gains[0] > stats.t.ppf(1 - alpha, n - 1) * error)


def measure(folder: Path, report: Report, n_runs: int = N_RUNS) -> Iterator[Figure]:
    """Judge simulated replacements, then the real one."""
    gate = Gate(load(ROOT / "include" / "models" / "flight_delay.yaml"))
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
        weeks = weeks_of(simulator.draw(random, shift, blocks)[0])
        looks = [weeks[k : k + _ORIGINS] for k in range(attempts)]
        passed += any(gate.may_pass(look, k) and gate.judge(look, k)[0] for k, look in enumerate(looks))
        alone += gate.may_pass(weeks[-1:]) and gate.judge(weeks[-1:])[0]
    figure = Figure(f"replace, {what}", share(passed, n_runs), f"one week alone: {alone / n_runs:.1%}", target)
    report(f"{figure.what}: {figure.value}; {figure.ratio}; {target}")
    return figure


def weeks_of(drawn: Week) -> list[Predicted]:
    """Cut what was drawn into weeks."""
    times = np.datetime64(_START.replace(tzinfo=None), "us") + drawn.block * np.timedelta64(24 // N_PARTS, "h")
    week = drawn.block // (N_DAYS * N_PARTS)
    found = []
    for number in range(int(week.max()) + 1):
        rows = week == number
        start = _START + timedelta(weeks=number)
        found.append(Predicted(Window(start, start + WEEK), *(v[rows] for v in (drawn.y, times, drawn.new, drawn.old))))
    return found


def share(count: int, n: int) -> str:
    """Write a share with its exact two-sided 95 % interval (Clopper and Pearson 1934)."""
    interval = stats.binomtest(count, n).proportion_ci(0.95, "exact")
    return f"{count / n:.1%} ({interval.low:.1%} to {interval.high:.1%})"


# --- the flights --------------------------------------------------------------------------------------------------


def _real(frozen: FrozenSpec, folder: Path, report: Report) -> Iterator[Figure]:
    """Replace logistic regression by boosting as of every fourth week, each time over the eight weeks before."""
    flights = read("flight_delay", folder)
    gate, weeks = Gate(frozen), [_real_week(flights, end) for end in flights.cutoffs]
    gains = []
    for last in range(_ORIGINS, len(weeks) + 1, 4):
        passes, found = gate.judge(weeks[last - _ORIGINS : last])
        over = found.gain
        if over is None or found.span is None:
            continue
        gains.append((passes, over.value))
        text = f"gain {over.value:+.4f} ({over.lower:+.4f} to {over.upper:+.4f})"
        figure = Figure(f"flights, logistic to boosting, {found.span}", text, "passes" if passes else "does not pass")
        report(f"{figure.what}: {figure.value}: {figure.ratio}")
        yield figure
    alone = [gate.judge([week])[0] for week in weeks]
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
