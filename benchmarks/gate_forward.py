"""How often probation takes back what is sound, and what is worse: its own code on releases whose truth is known.

What runs is the product's: `look_at` with its bounds, its share of the error and its outcomes, day by day as labels
mature, on the default schedule (a weekly release, a daily monitor, looks at four to seven days). First the scores are
drawn, with the flights' day effects (see `benchmarks.day_effects`); then they are those of real models on the flights:
each week's release beside the one of the week before, on the week that follows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.day_effects import ABSOLUTE, BINARY, N_DAYS, N_PARTS, Simulator, Week
from benchmarks.figures import Figure, Report, share
from benchmarks.flights import WEEK, Flights, read
from benchmarks.processes import ROOT
from retraining.gate.probation import Trial
from retraining.gate.rivals import MIN_DAYS
from retraining.records import Probation, Window, digest_of
from retraining.rollout.forward import Met
from retraining.rollout.probation import empty, look_at
from retraining.spec import FrozenSpec, load
from retraining.stats.metrics import Array, find_metric, value
from retraining.train import Labelled, fit
from samples.records import champion

N_RUNS = 2_000
_START = datetime(2024, 1, 1, tzinfo=UTC)
_DAY, _PART = np.timedelta64(1, "D"), np.timedelta64(24 // N_PARTS, "h")
_N_DRAWS = 10
"""Draws of the noise that makes a real release worse: 38 weeks alone say little of a share."""
_SPOILT_EVERY = 6
"""Weeks between those that are spoilt: a fit takes seconds, and six weeks of a year show what happens."""
Spoil = Callable[[pd.DataFrame, Array, NDArray[np.bool_], Sequence[str]], tuple[pd.DataFrame, Array]]


@dataclass(frozen=True)
class Ended:
    """How a probation ended, and after how many days of labels."""

    outcome: str
    n_days: int
    gain: float


def run(frozen: FrozenSpec, rows: Met, start: datetime) -> Ended:
    """Look once a day, from the fourth day on, at what is there by then."""
    trial = Trial(champion(2), champion(1), Window(start, start + timedelta(days=N_DAYS)))
    begin = np.datetime64(start.replace(tzinfo=None), "us")
    before = empty(trial, start, "monitor", (), frozen.spec.training.metric)
    found: Probation | None = None
    for n in range(MIN_DAYS, N_DAYS + 1):
        there = rows.times < begin + n * _DAY
        met = Met(*(values[there] for values in (rows.y, rows.new, rows.old, rows.baseline, rows.times)), start)
        found = look_at(frozen, trial, met, before, last=n == N_DAYS) or found
        before = before if found is None else replace(before, shares=found.shares)
        if found is not None and found.over:
            break
    if found is None or found.gain is None:
        return Ended("not_shown", N_DAYS, float("nan"))
    return Ended(found.outcome, found.n_days, found.gain.value)


def measure(folder: Path, report: Report, n_runs: int = N_RUNS) -> Iterator[Figure]:
    """Judge `n_runs` simulated releases per case, then a year of real ones."""
    for model, simulator in (("flight_delay", BINARY), ("arrival_delay", ABSOLUTE)):
        frozen = load(ROOT / "include" / "models" / f"{model}.yaml")
        for text, margins, target in (
            ("equal", 0.0, "taken back at most 1 %"),
            ("better by half the margin", 0.5, "taken back at most 1 %"),
            ("worse by the margin", -1.0, ""),
            ("worse by twice the margin", -2.0, "taken back at least 80 %"),
        ):
            ended = simulated(frozen, simulator, margins, n_runs)
            yield _figure(f"simulated {model}, {text}", ended, target, report)
    flights = read("flight_delay", folder)
    yield from _real(flights, report)


def simulated(frozen: FrozenSpec, simulator: Simulator, margins: float, n_runs: int) -> list[Ended]:
    """Return how the probations of drawn releases end, whose true gain is so many margins."""
    shift, blocks = simulator.shift_for(margins * frozen.spec.gate.margin), simulator.blocks()
    random = np.random.default_rng(int(digest_of(["gate forward", simulator.binary, margins])[:16], 16))
    weeks = (simulator.draw(random, shift, blocks)[0] for _ in range(n_runs))
    return [run(frozen, _met(week), _START) for week in weeks]


def _met(week: Week) -> Met:
    times = np.datetime64(_START.replace(tzinfo=None), "us") + week.block * _PART
    return Met(week.y, week.new, week.old, np.full(len(week.y), float(np.median(week.y))), times, _START)


def _figure(what: str, ended: list[Ended], target: str, report: Report) -> Figure:
    counts = Counter(e.outcome for e in ended)
    days = [e.n_days for e in ended if e.outcome == "worse"]
    when = f", after {np.mean(days):.1f} days" if days else ""
    others = f"held {counts['held'] / len(ended):.1%}, not shown {counts['not_shown'] / len(ended):.1%}"
    figure = Figure(what, f"taken back {share(counts['worse'], len(ended))}{when}", others, target)
    report(f"{figure.what}: {figure.value}; {figure.ratio}; {figure.target}")
    return figure


# --- the flights ---------------------------------------------------------------------------------------------------


def _real(flights: Flights, report: Report) -> Iterator[Figure]:
    """Judge the release of each week beside that of the week before, on the week that follows it."""
    pairs = list(zip(flights.cutoffs, flights.cutoffs[1:], strict=False))
    weeks = [_week(flights, flights.fitted(new), flights.fitted(old), new) for old, new in pairs]
    loss = 2 * flights.frozen.spec.gate.margin
    for text, draws, target in (
        ("a weekly refresh", [weeks], "taken back at most 1 %"),
        ("the same, worse by twice the margin", weakened(weeks, loss), "taken back at least 80 %"),
    ):
        ended = [run(flights.frozen, rows, new) for met in draws for rows, (_, new) in zip(met, pairs, strict=True)]
        yield _figure(f"flights, {text}", ended, target, report)
    for text, spoil in _SPOILT.items():
        ended = [_spoilt(flights, *pair, spoil) for pair in pairs[::_SPOILT_EVERY]]
        gains = ", ".join(f"{e.gain:+.3f}" for e in ended)
        yield _figure(f"flights, the newest week learnt with {text} (gains {gains})", ended, "", report)


def _week(flights: Flights, new: Any, old: Any, start: datetime) -> Met:
    rows = flights.within(Window(start, start + WEEK))
    mine, theirs = flights.predictions(new, rows), flights.predictions(old, rows)
    return Met(flights.y[rows], mine, theirs, np.full(len(rows), flights.y.mean()), flights.times[rows], start)


def weakened(weeks: Sequence[Met], loss: float) -> list[list[Met]]:
    """Add noise to the log odds of releases, as much in every week, so that on average they are worse by a loss.

    Returns `_N_DRAWS` draws of all weeks. A week in which nothing could be told apart (0.6 of ROC AUC, in April and
    September) loses less than others by the same noise.
    """
    metric, random = find_metric("roc_auc", "binary"), np.random.default_rng(7)
    odds = [np.log(w.new / (1 - w.new)) for w in weeks]
    draws = [[random.normal(size=len(w.y)) for w in weeks] for _ in range(_N_DRAWS)]
    theirs = np.mean([value(metric, w.y, w.old) for w in weeks])

    def mean_of(size: float) -> float:
        some = [zip(weeks, odds, noise, strict=True) for noise in draws[:3]]
        return float(np.mean([value(metric, w.y, o + size * e) for draw in some for w, o, e in draw]) - theirs)

    low, high = 0.0, 20.0
    for _ in range(20):
        size = (low + high) / 2
        low, high = (low, size) if mean_of(size) < -loss else (size, high)

    def noisy(week: Met, log_odds: Array, noise: Array) -> Met:
        return replace(week, new=np.asarray(1 / (1 + np.exp(-(log_odds + low * noise)))))

    return [[noisy(*one) for one in zip(weeks, odds, noise, strict=True)] for noise in draws]


def _spoilt(flights: Flights, old: datetime, new: datetime, spoil: Spoil) -> Ended:
    """Judge a release whose newest week was spoilt when it learnt it, on the sound week that follows."""
    rows = flights.within(Window(new - flights.frozen.spec.training.window, new))
    newest = flights.times[rows] >= np.datetime64((new - WEEK).replace(tzinfo=None), "us")
    x, y = spoil(flights.x.iloc[rows].copy(), flights.y[rows].copy(), newest, flights.plan.numeric)
    recipe = flights.frozen.spec.training.candidates[-1]
    learnt = Labelled(None, x, y, flights.times[rows], flights.classes)
    release = fit(flights.frozen, recipe.estimator, recipe.params, flights.plan, learnt)
    return run(flights.frozen, _week(flights, release, flights.fitted(old), new), new)


def _signs(x: pd.DataFrame, y: Array, newest: NDArray[np.bool_], numeric: Sequence[str]) -> tuple[pd.DataFrame, Array]:
    x.loc[newest, list(numeric)] *= -1
    return x, y


def _permuted(x: pd.DataFrame, y: Array, newest: NDArray[np.bool_], _: Sequence[str]) -> tuple[pd.DataFrame, Array]:
    y[newest] = np.random.default_rng(7).permutation(y[newest])
    return x, y


def _opposite(x: pd.DataFrame, y: Array, newest: NDArray[np.bool_], _: Sequence[str]) -> tuple[pd.DataFrame, Array]:
    y[newest] = 1 - y[newest]
    return x, y


_SPOILT: dict[str, Spoil] = {"flipped signs": _signs, "permuted labels": _permuted, "opposite labels": _opposite}
