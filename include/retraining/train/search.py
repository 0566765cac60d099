"""Which parameter settings of a candidate are tried, and when the search stops."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from scipy import stats
from sklearn.model_selection import ParameterGrid, ParameterSampler

from retraining.records import digest_of
from retraining.spec.training import Candidate, Range, Training


@dataclass
class Budget:
    """Seconds that only stop a search: the wall clock decides how far it gets, never what a setting is worth."""

    seconds: int | None
    started: float

    @classmethod
    def of(cls, training: Training) -> Budget:
        """Start the clock."""
        return cls(training.seconds, time.monotonic())

    @property
    def is_spent(self) -> bool:
        """Whether no further setting may be begun."""
        return self.seconds is not None and time.monotonic() - self.started >= self.seconds


def settings_of(candidate: Candidate, training: Training) -> list[dict[str, Any]]:
    """Return the settings to be tried: the whole grid, or `trials` of it or of its ranges, drawn by the seed.

    A grid is counted, never written out: of 10^18 settings, `trials` are drawn in a moment.
    """
    if not candidate.search:
        return [candidate.params]
    space = {name: _drawn_from(v) if isinstance(v, Range) else v for name, v in candidate.search.items()}
    endless = any(isinstance(v, Range) for v in candidate.search.values())
    found = ParameterSampler(space, training.trials, random_state=training.seed)
    if not endless and len(ParameterGrid(space)) <= training.trials:
        found = ParameterGrid(space)
    plain = [{name: _plain(v) for name, v in setting.items()} for setting in found]
    different = {digest_of(setting): setting for setting in plain}  # whole numbers are drawn again
    return [{**candidate.params, **setting} for setting in different.values()]


def _drawn_from(given: Range) -> Any:
    if given.whole:
        return stats.randint(int(given.low), int(given.high) + 1)
    if given.log:
        return stats.loguniform(given.low, given.high)
    return stats.uniform(given.low, given.high - given.low)


def _plain(value: Any) -> Any:
    """Return a number of Python's own, as parameters are written down."""
    return value.item() if hasattr(value, "item") else value
