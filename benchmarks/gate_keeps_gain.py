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
from retraining.blocks import block_days, block_index, block_length
from retraining.evaluate import _figures, _Judged
from retraining.gate import Judgement, Policy, decide
from retraining.ingest import plan_windows
from retraining.metrics import find_metric, value
from retraining.records import Window
from retraining.release import flips
from retraining.train import Labelled
from tests.support.records import evaluation

_MONDAY = timedelta(days=1, hours=4)
"""From the end of mature labels to the run: a label delay of a day, and the hour of the schedule."""


@dataclass(frozen=True)
class Champion:
    """The model in service and the end of its training."""

    model: Any
    cutoff: datetime


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Retrain through the year; print each week's verdict and gain."""
    flights = read("flight_delay", folder)
    first = Champion(flights.fitted(FIRST), FIRST)
    gated, judged, gains, n_promoted = first, [], [], 0
    report("week         never  weekly   gated  verdict")
    for end in flights.cutoffs[1:]:
        weekly = Champion(flights.fitted(end), end)
        judgement, window = _judge(flights, gated, end + _MONDAY, judged)
        judged.append(window)
        if judgement.decision == "promote":
            gated, n_promoted = weekly, n_promoted + 1
        week = Window(end + timedelta(days=1), end + timedelta(days=1) + WEEK)
        gains.append([_area(flights, c, week) for c in (first, weekly, gated)])
        never, without, through = gains[-1]
        figures = f"{week.start:%Y-%m-%d}  {never:.4f}  {without:.4f}  {through:.4f}"
        report(f"{figures}  {judgement.decision}: {judgement.reasons[-1]}")
    never, without, through = np.mean(gains, axis=0)
    yield Figure("mean weekly ROC AUC, never retrained", f"{never:.4f}")
    yield Figure("  weekly without a gate", f"{without:.4f}", f"{without - never:+.4f}")
    yield Figure("  weekly through the gate", f"{through:.4f}", f"{through - never:+.4f}")
    yield Figure("  promoted", f"{n_promoted} of {len(gains)}")
    yield Figure(
        "share of the gain that the gate keeps", f"{(through - never) / (without - never):.0%}", "", "at least 90 %"
    )


def _judge(flights: Flights, champion: Champion, as_of: datetime, judged: list[Window]) -> tuple[Judgement, Window]:
    """Judge the same recipe on the newest rows; the promoted release is the recipe fitted through them."""
    spec = flights.frozen.spec
    train, holdout, refit = plan_windows(spec.data, spec.training.window, spec.gate.holdout, as_of, champion.cutoff)
    candidate = flights.fitted(train.end)
    rows, length = flights.within(holdout), block_length(spec.gate)
    data = Labelled(None, None, flights.y[rows], flights.times[rows], ())
    blocks, days = (number(data.times, holdout.start, length) for number in (block_index, block_days))
    new, old = (flights.predictions(model, rows) for model in (candidate, champion.model))
    baseline = np.full(len(rows), flights.y[flights.within(train)].mean())
    looks = sum(w.start < holdout.end and w.end > holdout.start for w in judged)
    metric = find_metric(spec.training.metric, spec.training.task)
    found = evaluation(
        **_figures(flights.frozen, _Judged(candidate, data, new, old, baseline, blocks, days), metric, looks),
        rule="refresh",
        metric=metric.name,
        window=holdout,
        as_of=as_of,
        champion_cutoff=champion.cutoff,
        champion_as_of=champion.cutoff + _MONDAY,
        n_rows=len(rows),
        n_blocks=int(blocks.max()) + 1,
        looks=looks,
        confidence=spec.gate.confidence,
    )
    judgement = decide(found, Policy.of(spec))
    if judgement.decision == "promote" and _flip_share(flights, candidate, train, refit) > spec.gate.max_flips:
        judgement = Judgement("reject", ("the refit flips too many predictions",))
    return judgement, holdout


def _flip_share(flights: Flights, candidate: Any, train: Window, refit: Window) -> float:
    rows = flights.within(train)
    before, after = (flights.predictions(model, rows) for model in (candidate, flights.fitted(refit.end)))
    return float(flips(flights.frozen.spec.training.task, before, after).mean())


def _area(flights: Flights, champion: Champion, week: Window) -> float:
    rows = flights.within(week)
    metric = find_metric(flights.frozen.spec.training.metric, flights.frozen.spec.training.task)
    return value(metric, flights.y[rows], flights.predictions(champion.model, rows))
