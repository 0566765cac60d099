"""The flights of 2013 in memory, read and learnt from by the product's own source, features and fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.processes import ROOT
from retraining.artifacts.features import FeaturePlan, matrix, plan_features
from retraining.artifacts.stored import predict
from retraining.data.rows import locate
from retraining.records import Window
from retraining.sources import Places, open_source
from retraining.spec import FrozenSpec, load
from retraining.stats.metrics import Array
from retraining.train import Labelled, fit

YEAR = Window(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 12, 31, tzinfo=UTC))
"""One turn of the replayed cycle."""
FIRST = datetime(2013, 3, 31, tzinfo=UTC)
"""The first model is trained to here, a Sunday: what a retraining on Monday sees with a label delay of a day."""
WEEK = timedelta(days=7)
SHIPPED = ROOT / "include" / "models"


@dataclass(frozen=True)
class Flights:
    """A model with all its rows of some time; its recipe is the last candidate in the YAML, boosting.

    `first` is what the first model is trained to, `end` the end of the rows.
    """

    frozen: FrozenSpec
    plan: FeaturePlan
    x: pd.DataFrame
    y: Array
    times: NDArray[np.datetime64]
    classes: tuple[int, ...]
    first: datetime = FIRST
    end: datetime = YEAR.end
    _models: dict[datetime, Any] = field(default_factory=dict)

    def within(self, window: Window) -> NDArray[np.intp]:
        """Return the positions of a window's rows."""
        start, end = (np.datetime64(t.replace(tzinfo=None), "us") for t in (window.start, window.end))
        first, last = np.searchsorted(self.times, [start, end])
        return np.arange(first, last)

    def fitted(self, end: datetime) -> Any:
        """Return the recipe fitted on its training window up to a cut-off, as a retraining does it; each once."""
        if end not in self._models:
            rows = self.within(Window(end - self.frozen.spec.training.window, end))
            recipe = self.frozen.spec.training.candidates[-1]
            learnt = Labelled(None, self.x.iloc[rows], self.y[rows], self.times[rows], self.classes)
            self._models[end] = fit(self.frozen, recipe.estimator, recipe.params, self.plan, learnt)
        return self._models[end]

    def predictions(self, model: Any, rows: NDArray[np.intp]) -> Array:
        """Return a model's predictions for rows."""
        return self.answers(model, self.x.iloc[rows])

    def answers(self, model: Any, x: pd.DataFrame) -> Array:
        """Return a model's predictions for any feature matrix."""
        return predict(model, self.frozen.spec.training.task, x)

    @property
    def cutoffs(self) -> list[datetime]:
        """The ends of training of weekly refreshes, while a whole week follows."""
        return [self.first + WEEK * i for i in range((self.end - self.first) // WEEK)]


def read(model: str, cache: Path, folder: Path = SHIPPED, period: Window = YEAR, first: datetime = FIRST) -> Flights:
    """Read a model's rows of a time; default: a shipped example's of the year."""
    frozen = load(folder / f"{model}.yaml")
    source = open_source(frozen, Places(folder, cache))
    table = locate(frozen, source.read(period), period)
    data = frozen.spec.data
    table = table.sort_by([(name, "ascending") for name in (data.time, *data.keys)])
    plan = plan_features(frozen.spec, ())
    y = table.column(data.target).to_numpy().astype(np.float64)
    times = table.column(data.time).to_numpy().astype("datetime64[us]")
    classes = (0, 1) if frozen.spec.training.task == "binary" else ()
    return Flights(frozen, plan, matrix(table, plan, model), y, times, classes, first, period.end)
