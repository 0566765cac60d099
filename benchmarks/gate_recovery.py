"""After a change that lasts the champion recovers; a week that was merely spoilt leaves no short-window model behind.

Weekly retrainings on the flights through the whole product, store, ledger and preflight included: the recipe of the
example with two months to learn from. From one day on, or for one week, labels are turned round, so that the champion
is worse than a model without features. After each run the champion in office is measured on the week that follows,
beside a model of the same recipe that learnt only what came after the change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.figures import Figure, Report
from benchmarks.flights import FIRST, WEEK, Flights, read
from retraining.artifacts import stored
from retraining.records import Window
from retraining.stats.metrics import Array, find_metric, value
from retraining.train import Labelled, fit
from retraining.workspace import Workspace
from samples.tiny import NAME, retrain, tiny

CHANGE = FIRST + 9 * WEEK
"""A Sunday: the first day that is turned round, and the beginning of a holdout."""
MONDAY = timedelta(days=1, hours=4)
"""From the end of mature labels to the run."""
N_RUNS = 4
CHANGES: dict[str, tuple[timedelta, timedelta]] = {
    "a change that lasts": (timedelta(), 52 * WEEK),
    "a change in the middle of a week": (timedelta(days=3), 52 * WEEK),
    "a spoilt week": (timedelta(), WEEK),
}
"""From when to when labels are turned, counted from the change."""


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Run four weeks of each change; print the champion's figure after each."""
    flights = read("flight_delay", folder)
    margin = flights.frozen.spec.gate.margin
    for name, (first, last) in CHANGES.items():
        changed = _turned(flights, Window(CHANGE + first, CHANGE + last))
        found = _Weeks(folder / name.replace(" ", "_"), changed)
        lasts = last > WEEK
        said = [found.run(number, CHANGE + first if lasts else None) for number in range(-1, N_RUNS)]
        for week in said:
            report(f"{name}: {week[3]}")
        behind = [reference - mine for mine, reference, _, _ in said]
        if lasts:
            weeks = next((i for i, gap in enumerate(behind[1:], start=1) if gap <= margin), None)
            yield Figure(f"{name}: weekly runs until within a margin", str(weeks), "", "at most 3")
        else:
            short = sum(kept for _, _, kept, _ in said)
            yield Figure(f"{name}: champions of a short window", str(short), "", "0")
            yield Figure("  most that the champion lost to one of all rows", f"{max(behind[2:]):+.4f}", "", f"{margin}")


def _turned(flights: Flights, window: Window) -> Flights:
    y = flights.y.copy()
    rows = flights.within(window)
    y[rows] = 1 - y[rows]
    return replace(flights, y=y, _models={})


class _Weeks:
    """An installation whose source holds the changed flights."""

    def __init__(self, folder: Path, flights: Flights) -> None:
        folder.mkdir()
        spec, self.flights = flights.frozen.spec, flights
        self.workspace: Workspace = tiny(
            folder, changes=_changes(flights, _written(folder / "flights.parquet", flights))
        )
        self.recipe = spec.training.candidates[-1]

    def run(self, number: int, since: datetime | None) -> tuple[float, float, bool, str]:
        """Retrain at the end of a week after the change.

        Returns
        -------
        The champion's figure on the next week, that of a model which learnt what came after the change (all rows where
        it did not last), whether the champion learnt only a part, and what happened.
        """
        end = CHANGE + WEEK * (number + 1)
        result = retrain(self.workspace, end + MONDAY)
        champion = self.workspace.ledger.champion(NAME)
        week = Window(end, end + WEEK)
        if champion is None or result.verdict is None:
            raise RuntimeError(f"as of {end}: {result.text}")
        model = stored.load(self.workspace.store, champion.release_id)
        mine = self._area(model.pipeline, week)
        began = end - timedelta(days=_WINDOW) if since is None or since >= end else since
        reference = self._area(self._fitted(Window(began, end)), week)
        item = next((i.outcome for i in result.verdict.checklist if i.name == "footing"), "none")
        text = f"{end:%Y-%m-%d} {result.verdict.decision}, footing {item}, champion {mine:.4f} against {reference:.4f}"
        return mine, reference, not model.card.reach.is_whole, text

    def _fitted(self, window: Window) -> Any:
        rows, flights = self.flights.within(window), self.flights
        learnt = Labelled(None, flights.x.iloc[rows], flights.y[rows], flights.times[rows], flights.classes)
        return fit(flights.frozen, self.recipe.estimator, self.recipe.params, flights.plan, learnt)

    def _area(self, model: Any, week: Window) -> float:
        rows = self.flights.within(week)
        found: Array = self.flights.predictions(model, rows)
        return value(find_metric("roc_auc", "binary"), self.flights.y[rows], found)


_WINDOW = 56
"""Days of the training window: the changed weeks are then a small part of it for long enough."""


def _written(path: Path, flights: Flights) -> Path:
    rows = flights.within(Window(CHANGE - timedelta(days=_WINDOW) - 3 * WEEK, CHANGE + WEEK * (N_RUNS + 2)))
    table = pa.Table.from_pandas(flights.x.iloc[rows], preserve_index=False)
    table = table.append_column("time", pa.array(flights.times[rows]))
    table = table.append_column("id", pa.array(np.char.add("f", rows.astype(str))))
    pq.write_table(table.append_column("y", pa.array(flights.y[rows].astype(int))), path)
    return path


def _changes(flights: Flights, file: Path) -> dict[str, Any]:
    """Return the YAML of the example, as far as the changed flights have what it names."""
    recipe = flights.frozen.spec.training.candidates[-1]
    return {
        "data": {"source": {"files": str(file)}, "outcomes": []},
        "checks": {"rows": []},
        "features": {"numeric": list(flights.plan.numeric), "categorical": list(flights.plan.categorical)},
        "training": {
            "window": f"{_WINDOW}d",
            "candidates": [{"estimator": recipe.estimator, "params": dict(recipe.params)}],
        },
        "gate": {"margin": flights.frozen.spec.gate.margin},
    }
