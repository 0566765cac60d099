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


@dataclass(frozen=True)
class Flights:
    """An example's model with all its rows of the year; its recipe is the last candidate in the YAML, boosting."""

    frozen: FrozenSpec
    plan: FeaturePlan
    x: pd.DataFrame
    y: Array
    times: NDArray[np.datetime64]
    classes: tuple[int, ...]
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
        return [FIRST + WEEK * i for i in range((YEAR.end - FIRST) // WEEK)]


def read(model: str, cache: Path) -> Flights:
    """Read a model's rows of the year."""
    frozen = load(ROOT / "include" / "models" / f"{model}.yaml")
    source = open_source(frozen, Places(ROOT / "include" / "models", cache))
    table = locate(frozen, source.read(YEAR), YEAR)
    data = frozen.spec.data
    table = table.sort_by([(name, "ascending") for name in (data.time, *data.keys)])
    plan = plan_features(frozen.spec, ())
    y = table.column(data.target).to_numpy().astype(np.float64)
    times = table.column(data.time).to_numpy().astype("datetime64[us]")
    classes = (0, 1) if frozen.spec.training.task == "binary" else ()
    return Flights(frozen, plan, matrix(table, plan, model), y, times, classes)
