"""What the gate leaves of the gain: retraining on schedule through the product's gate and its refit, on real streams.

The three examples that ship, and bicycles rented by the hour, from April to December, as of 04:00 on Mondays, weekly or
as often as a holdout is there: windows, fit, choice of opponent and anchor, figures, decision and the limit on flips
are the product's; only store and ledger are left out. Never retraining and retraining without a gate run beside it, and
all are measured on what follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bikes import bikes
from benchmarks.figures import Figure, Report
from benchmarks.flights import Flights, read
from retraining.data.plan import plan_windows
from retraining.evaluation.comparison import figures_of
from retraining.evaluation.holdout import Judged, Scored
from retraining.gate import Policy, decide
from retraining.gate.rivals import choose_rivals
from retraining.records import Champion, Evaluation, Window
from retraining.stats.blocks import block_days, block_index, block_length
from retraining.stats.metrics import find_metric, value
from retraining.train import Labelled
from retraining.train.flips import flip_share
from retraining.train.reference import N_REFERENCE_ROWS
from retraining.train.rows import spread
from samples.records import champion, evaluation

_MONDAY = timedelta(days=1, hours=4)
"""From the end of mature labels to the run: a label delay of a day, and the hour of the schedule."""


@dataclass
class Arm:
    """The champions so far, oldest first, the windows that were judged, and how each promotion was decided."""

    history: list[Champion]
    judged: list[Window] = field(default_factory=list)
    rules: dict[str, str] = field(default_factory=dict)
    n_promoted: int = 0
    n_different: int = 0

    @property
    def service(self) -> Champion:
        """The champion in office."""
        return self.history[-1]


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Retrain through the year on each stream; print each verdict, and the figures of the time that follows it."""
    for name in ("flight_delay", "arrival_delay", "flight_cancelled"):
        yield from _year(name, read(name, folder), report)
    yield from _year("bicycles", bikes(folder), report)


def _year(name: str, flights: Flights, report: Report) -> Iterator[Figure]:
    first, metric = flights.first, find_metric(flights.frozen.spec.training.metric, flights.frozen.spec.training.task)
    arm = Arm([champion(1, cutoff=first, as_of=first + _MONDAY, release_id="1", verdict_id=None)])
    gains = []
    step = flights.frozen.spec.gate.holdout
    report(f"{name}: from         never  always   gated  verdict")
    for end in (first + step * number for number in range(1, (flights.end - first) // step)):
        said = _retrain(flights, arm, end + _MONDAY)
        week = Window(end + timedelta(days=1), end + timedelta(days=1) + step)
        in_service = (first, end, arm.service.cutoff)
        gains.append([_figure(flights, flights.fitted(cutoff), week) for cutoff in in_service])
        report(f"{week.start:%Y-%m-%d}  {'  '.join(f'{g:.4f}' for g in gains[-1])}  {said}")
    never, without, gated = np.mean(gains, axis=0)
    yield Figure(f"{name}: mean {metric.name}, never retrained", f"{never:.4f}")
    yield Figure("  on schedule without a gate", f"{without:.4f}", f"{without - never:+.4f}")
    promoted = f"{arm.n_promoted} of {len(gains)} promoted"
    yield Figure("  on schedule through the gate", f"{gated:.4f}", f"{gated - never:+.4f}, {promoted}")
    yield Figure("  share of the gain kept", f"{(gated - never) / (without - never):.0%}", "", "at least 90 %")
    different = f"{arm.n_different} of {len(gains)}"
    yield Figure("  verdicts that compared two different models", different, "", "all but one")


def _retrain(flights: Flights, arm: Arm, as_of: Any) -> str:
    """Judge the recipe on the newest rows; when it is promoted, fitted through them it goes into service."""
    spec = flights.frozen.spec
    train, holdout, refit = plan_windows(spec.data, spec.training.window, spec.gate.holdout, as_of)
    found = _evaluation(flights, arm, train, holdout, as_of)
    policy = Policy.of(spec)
    judgement = decide(found, policy)
    arm.judged.append(holdout)
    arm.n_different += found.opponent is not None and found.opponent.cutoff < train.end
    decision = judgement.decision
    if decision == "promote" and _flip_share(flights, train, refit) > policy.max_flips:
        decision = "reject"
    if decision == "promote":
        arm.n_promoted += 1
        number = arm.service.sequence + 1
        arm.rules[f"v{number}"] = "refresh"
        arm.history.append(
            champion(number, cutoff=refit.end, as_of=as_of, release_id=str(number), verdict_id=f"v{number}")
        )
    return f"{decision}: {judgement.reasons[-1]}"


def _evaluation(flights: Flights, arm: Arm, train: Window, holdout: Window, as_of: Any) -> Evaluation:
    spec = flights.frozen.spec
    rows, length = flights.within(holdout), block_length(spec.gate)
    data = Labelled(None, None, flights.y[rows], flights.times[rows], ())
    metric = find_metric(spec.training.metric, spec.training.task)
    rivals = choose_rivals(arm.history, arm.rules, arm.service, holdout, spec.gate.holdout)

    def scored(entry: Champion) -> Scored:
        return Scored(entry, None, flights.predictions(flights.fitted(entry.cutoff), rows))

    begins = np.datetime64((rivals.champion_from or holdout.end).replace(tzinfo=None))
    judged = Judged(
        model=flights.fitted(train.end),
        data=data,
        candidate=flights.predictions(flights.fitted(train.end), rows),
        baseline=np.full(len(rows), _without_features(flights, train)),
        blocks=(blocks := block_index(data.times, holdout.start, length)),
        days=block_days(data.times, holdout.start, length),
        champion=scored(arm.service),
        champion_rows=data.times >= begins,
        opponent=scored(rivals.opponents[0]) if rivals.opponents else None,
        anchor=scored(rivals.anchor) if rivals.anchor else None,
    )
    looks = sum(w.start < holdout.end and w.end > holdout.start for w in arm.judged)
    return evaluation(
        **figures_of(flights.frozen, judged, metric, looks),
        rule="refresh",
        metric=metric.name,
        greater_is_better=metric.greater_is_better,
        n_classes=2 if spec.training.task == "binary" else None,
        window=holdout,
        as_of=as_of,
        champion_cutoff=arm.service.cutoff,
        champion_as_of=arm.service.as_of,
        champion_release_id=arm.service.release_id,
        n_rows=len(rows),
        n_blocks=int(blocks.max()) + 1,
        looks=looks,
        confidence=spec.gate.confidence,
    )


def _without_features(flights: Flights, train: Window) -> float:
    y = flights.y[flights.within(train)]
    return float(y.mean() if flights.frozen.spec.training.task == "binary" else np.median(y))


def _flip_share(flights: Flights, train: Window, refit: Window) -> float:
    rows = flights.within(train)
    rows = rows[spread(len(rows), N_REFERENCE_ROWS)]
    before, after = (flights.predictions(flights.fitted(end), rows) for end in (train.end, refit.end))
    task = flights.frozen.spec.training.task
    share = float(flights.y[flights.within(train)].mean()) if task == "binary" else 0.5
    return flip_share(task, before, after, (1 - share, share))


def _figure(flights: Flights, model: Any, week: Window) -> float:
    rows = flights.within(week)
    metric = find_metric(flights.frozen.spec.training.metric, flights.frozen.spec.training.task)
    return value(metric, flights.y[rows], flights.predictions(model, rows))
