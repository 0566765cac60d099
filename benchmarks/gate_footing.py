"""The champion's footing on the flights: is a spoilt week warned about, and is a sound one left alone?

Every Monday from April to December on the default schedule, the champion of the week before on the newest holdout:
first as it was, then spoilt in each of several ways. Windows, fit, figures, what is expected of them, what moved and
the decision are the product's; only store and ledger are left out. What counts as a fall is known here: the figure
on the spoilt rows less the one on the same rows as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.figures import Figure, Report
from benchmarks.flights import WEEK, Flights, read
from retraining.artifacts.outputs import PREDICTION
from retraining.artifacts.stored import ModelCard
from retraining.evaluation.comparison import Comparison
from retraining.evaluation.holdout import Judged
from retraining.evaluation.moved import moved_columns
from retraining.gate import Policy
from retraining.gate.footing import N_EARLIER, has_collapsed
from retraining.records import Footing, Held, Window
from retraining.stats.blocks import block_days, block_index, block_length
from retraining.stats.expected import expected_figure
from retraining.stats.metrics import Array, find_metric
from retraining.train import Labelled
from retraining.train.reference import N_REFERENCE_ROWS
from retraining.train.rows import spread
from samples.records import evaluation

FELL = 0.1
"""A fall of the champion's own figure from here on is one that must be warned about."""
WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib")
Rows = tuple[pd.DataFrame, Array]
Spoil = Callable[[pd.DataFrame, Array, np.random.Generator], Rows]


def _permuted(x: pd.DataFrame, y: Array, random: np.random.Generator, share: float) -> Rows:
    some, found = random.random(len(y)) < share, y.copy()
    found[some] = random.permutation(found[some])
    return x, found


def _another(x: pd.DataFrame, y: Array, random: np.random.Generator) -> Rows:
    """Features of other rows: a join that hit the wrong ones."""
    return x.iloc[random.permutation(len(x))].reset_index(drop=True), y


SPOILT: dict[str, Spoil] = {
    "the hour's sign turned": lambda x, y, _: (x.assign(hour=23 - x["hour"]), y),
    "the hour in another zone": lambda x, y, _: (x.assign(hour=(x["hour"] + 5) % 24), y),
    "the hour missing": lambda x, y, _: (x.assign(hour=np.nan), y),
    "the weather's sign turned": lambda x, y, _: (x.assign(**{c: -x[c] for c in WEATHER}), y),
    "all labels permuted": lambda x, y, random: _permuted(x, y, random, 1.0),
    "half of the labels permuted": lambda x, y, random: _permuted(x, y, random, 0.5),
    "labels turned": lambda x, y, _: (x, 1 - y),
    "features of other rows": _another,
}


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Judge each week as it was and spoilt; print the weeks, and how many of each kind were warned about."""
    flights = read("flight_delay", folder)
    earlier: list[Held] = []
    sound: list[bool] = []
    fell: dict[str, list[bool]] = {name: [] for name in SPOILT}
    for number, cutoff in enumerate(flights.cutoffs[:-1]):
        week = _Week(flights, cutoff)
        random = np.random.default_rng(number)
        figure, warned = week.judged(week.x, week.y, tuple(earlier))
        sound.append(warned)
        said = []
        for name, spoil in SPOILT.items():
            spoilt, warns = week.judged(*spoil(week.x, week.y, random), tuple(earlier))
            if figure.figure - spoilt.figure >= FELL:
                fell[name].append(warns)
                said += [] if warns else [f"{name} ({spoilt.figure:.3f})"]
        report(
            f"{cutoff:%Y-%m-%d} {figure.figure:.4f} {'WARNED ' if warned else ''}missed: {', '.join(said) or 'none'}"
        )
        if not warned:
            earlier.insert(0, figure)
    yield Figure("sound weeks warned about", f"{sum(sound)} of {len(sound)}", f"{np.mean(sound):.0%}", "at most 5 %")
    every = [warns for some in fell.values() for warns in some]
    yield Figure(
        f"weeks that fell by {FELL} warned about",
        f"{sum(every)} of {len(every)}",
        f"{np.mean(every):.0%}",
        "at least 90 %",
    )
    for name, some in fell.items():
        yield Figure(f"  {name}", f"{sum(some)} of {len(some)}", f"{np.mean(some):.0%}" if some else "")


class _Week:
    """The champion whose training ends with the day before a week, and that week's rows."""

    def __init__(self, flights: Flights, cutoff: datetime) -> None:
        spec = flights.frozen.spec
        self.flights, self.window, self.model = flights, Window(cutoff, cutoff + WEEK), flights.fitted(cutoff)
        rows, learnt = flights.within(self.window), flights.within(Window(cutoff - spec.training.window, cutoff))
        self.x, self.y, self.times = flights.x.iloc[rows].reset_index(drop=True), flights.y[rows], flights.times[rows]
        self.prior = float(flights.y[learnt].mean())
        kept = learnt[spread(len(learnt), N_REFERENCE_ROWS)]
        table = pa.Table.from_pandas(flights.x.iloc[kept], preserve_index=False)
        self.reference = table.append_column(PREDICTION, pa.array(flights.predictions(self.model, kept)))

    def judged(self, x: pd.DataFrame, y: Array, earlier: tuple[Held, ...]) -> tuple[Held, bool]:
        """Return the champion's figure on rows, and whether the gate warns."""
        flights, spec = self.flights, self.flights.frozen.spec
        metric, length = find_metric(spec.training.metric, spec.training.task), block_length(spec.gate)
        p = flights.answers(self.model, x)
        data = Labelled(None, None, y, self.times, ())
        blocks = block_index(self.times, self.window.start, length)
        days = block_days(self.times, self.window.start, length)
        compare = Comparison(flights.frozen, Judged(self.model, data, p, p, blocks, days), metric, 0)
        figure, baseline = compare.value(p), np.full(len(y), self.prior)
        assert figure is not None
        now = Held(self.window.end, figure, expected_figure(metric, p) or 0.0)
        found = Footing(
            "champion",
            now,
            compare.gain(baseline, new=p),
            earlier[:N_EARLIER],
            moved_columns(_card(flights), self.reference, pa.Table.from_pandas(x), y, self.times, "a week"),
        )
        return now, has_collapsed(evaluation(footing=found, metric=metric.name), Policy.of(spec))


def _card(flights: Flights) -> ModelCard:
    """Return the card's parts that are read here; every column counts as looked at."""
    nothing = dict.fromkeys(("model", "estimator", "recipe_id", "spec_id", "learning_id", "snapshot_id"), "")
    return ModelCard(
        **nothing,
        task=flights.frozen.spec.training.task,
        params={},
        seed=0,
        cutoff=flights.cutoffs[0],
        environment_id="",
        classes=flights.classes,
        prior=(),
        plan=flights.plan,
        importance={},
    )
