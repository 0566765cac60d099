"""What the gate leaves of the gain: weekly retraining on the flights through the product's gate and its refit.

Every Monday from April to December, as of 04:00, as the example's schedule has it: windows, fit, figures, decision and
the limit on flips are the product's; only store and ledger are left out. Never retraining and weekly retraining
without a gate run beside it, and all are measured on the week that follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure, Report
from benchmarks.flights import FIRST, WEEK, Flights, read
from retraining.data.plan import plan_windows
from retraining.evaluation.comparison import figures_of
from retraining.evaluation.holdout import Judged
from retraining.gate import Policy, decide
from retraining.records import Evaluation, Window
from retraining.stats.blocks import block_days, block_index, block_length
from retraining.stats.metrics import find_metric, value
from retraining.train import Labelled
from retraining.train.flips import flips
from retraining.train.reference import N_REFERENCE_ROWS
from retraining.train.rows import spread
from samples.records import evaluation

_MONDAY = timedelta(days=1, hours=4)
"""From the end of mature labels to the run: a label delay of a day, and the hour of the schedule."""


@dataclass(frozen=True)
class Champion:
    """The model in service and the end of its training."""

    model: Any
    cutoff: datetime


@dataclass
class Arm:
    """A way to retrain: who is in service, whom a candidate is compared with, and what was judged."""

    name: str
    service: Champion
    compared: Champion
    judged: list[Window]
    n_promoted: int = 0


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Retrain through the year; print each week's verdict and gain.

    On a weekly schedule a candidate has the very rows of the champion, and is promoted unless it has become useless. So
    a second arm is harder than the product: there each candidate is compared with the one that was promoted last,
    which is at least a week older.
    """
    flights = read("flight_delay", folder)
    first = Champion(flights.fitted(FIRST), FIRST)
    gated, harder = Arm("gated", first, first, []), Arm("harder", first, first, [])
    gains = []
    report("week         never  weekly   gated  harder  verdicts")
    for end in flights.cutoffs[1:]:
        weekly = Champion(flights.fitted(end), end)
        said = [_retrain(flights, arm, weekly) for arm in (gated, harder)]
        week = Window(end + timedelta(days=1), end + timedelta(days=1) + WEEK)
        gains.append([_area(flights, c, week) for c in (first, weekly, gated.service, harder.service)])
        report(f"{week.start:%Y-%m-%d}  {'  '.join(f'{g:.4f}' for g in gains[-1])}  {'; '.join(said)}")
    never, without, *through = np.mean(gains, axis=0)
    yield Figure("mean weekly ROC AUC, never retrained", f"{never:.4f}")
    yield Figure("  weekly without a gate", f"{without:.4f}", f"{without - never:+.4f}")
    for arm, mean, what in zip((gated, harder), through, ("through the gate", "each against last week's"), strict=True):
        promoted = f"{arm.n_promoted} of {len(gains)} promoted"
        yield Figure(f"  weekly {what}", f"{mean:.4f}", f"{mean - never:+.4f}, {promoted}")
        share = f"{(mean - never) / (without - never):.0%}"
        yield Figure("  share of the gain kept", share, "", "at least 90 %" if arm is gated else "")


def _retrain(flights: Flights, arm: Arm, weekly: Champion) -> str:
    """Judge the recipe on the newest rows; when it is promoted, fitted through them it goes into service."""
    spec, end = flights.frozen.spec, weekly.cutoff
    train, holdout, refit = plan_windows(
        spec.data, spec.training.window, spec.gate.holdout, end + _MONDAY, arm.compared.cutoff
    )
    candidate = Champion(flights.fitted(train.end), train.end)
    found = _evaluation(flights, candidate, arm, train, holdout, end + _MONDAY)
    judgement = decide(found, Policy.of(spec))
    arm.judged.append(holdout)
    decision = judgement.decision
    if decision == "promote" and _flip_share(flights, candidate.model, train, refit) > spec.gate.max_flips:
        decision = "reject"
    if decision == "promote":
        arm.n_promoted += 1
        arm.service, arm.compared = weekly, weekly if arm.name == "gated" else candidate
    over = found.over_champion
    return decision if over is None else f"{decision} {over.value:+.4f} (above {over.lower:+.4f})"


def _evaluation(
    flights: Flights, candidate: Champion, arm: Arm, train: Window, holdout: Window, as_of: datetime
) -> Evaluation:
    spec = flights.frozen.spec
    rows, length = flights.within(holdout), block_length(spec.gate)
    data = Labelled(None, None, flights.y[rows], flights.times[rows], ())
    blocks, days = block_index(data.times, holdout.start, length), block_days(data.times, holdout.start, length)
    new, old = (flights.predictions(c.model, rows) for c in (candidate, arm.compared))
    baseline = np.full(len(rows), flights.y[flights.within(train)].mean())
    looks = sum(w.start < holdout.end and w.end > holdout.start for w in arm.judged)
    metric = find_metric(spec.training.metric, spec.training.task)
    judged = Judged(candidate.model, data, new, old, baseline, blocks, days, None)
    return evaluation(
        **figures_of(flights.frozen, judged, metric, looks),
        rule="refresh",
        metric=metric.name,
        window=holdout,
        as_of=as_of,
        champion_cutoff=arm.compared.cutoff,
        champion_as_of=arm.compared.cutoff + _MONDAY,
        n_rows=len(rows),
        n_blocks=int(blocks.max()) + 1,
        looks=looks,
        confidence=spec.gate.confidence,
    )


def _flip_share(flights: Flights, candidate: Any, train: Window, refit: Window) -> float:
    rows = flights.within(train)
    rows = rows[spread(len(rows), N_REFERENCE_ROWS)]
    before, after = (flights.predictions(model, rows) for model in (candidate, flights.fitted(refit.end)))
    return float(flips(flights.frozen.spec.training.task, before, after).mean())


def _area(flights: Flights, champion: Champion, week: Window) -> float:
    rows = flights.within(week)
    metric = find_metric(flights.frozen.spec.training.metric, flights.frozen.spec.training.task)
    return value(metric, flights.y[rows], flights.predictions(champion.model, rows))
