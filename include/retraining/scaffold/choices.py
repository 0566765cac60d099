"""What is chosen for a new model: each value with the sentence that says why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal


@dataclass(frozen=True)
class Choice:
    """A value of the YAML, and why it was chosen; it stands in a comment above the key."""

    value: Any
    why: str


@dataclass(frozen=True)
class Target:
    """What is predicted, and what follows from it alone."""

    name: str
    task: Choice
    classes: tuple[Any, ...]
    """The classes in order, the second one of two being the positive; empty for a number."""
    metric: Choice
    margin: Choice


@dataclass(frozen=True)
class Aside:
    """A column that is no feature, and why."""

    name: str
    role: Literal["key", "time", "unusable", "told"]
    why: str


@dataclass(frozen=True)
class Roles:
    """What each column is for."""

    key: Choice
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    aside: tuple[Aside, ...]
    doubtful: tuple[str, ...] = ()
    """Numeric features that may be ids: each row has a whole number of its own."""

    @property
    def outcomes(self) -> tuple[Aside, ...]:
        """Columns that almost tell the target, and so were probably known only with it."""
        return tuple(a for a in self.aside if a.role == "told")

    @property
    def left_out(self) -> tuple[Aside, ...]:
        """Columns that cannot be learnt from."""
        return tuple(a for a in self.aside if a.role == "unusable")


@dataclass(frozen=True)
class Rule:
    """One expectation, as a line of the YAML; `warning` says why a person should look at it."""

    arguments: dict[str, Any]
    warning: str = ""


@dataclass(frozen=True)
class Timing:
    """When rows count: partitions, windows, schedules. `as_of` is the first time a run makes sense for."""

    partition: Choice
    label_delay: Choice
    window: Choice
    holdout: Choice
    origins: Choice
    block: Choice
    retrain: Choice
    score: str
    monitor: str
    catch_up: timedelta
    current: timedelta
    reference: timedelta
    history: int
    as_of: datetime


@dataclass(frozen=True)
class Amounts:
    """How many rows and labels there must be, fitted to how many there are."""

    folds: Choice
    min_rows: Choice
    max_unlabelled: Choice
    min_new_labels: Choice
    max_flips: Choice
    warning: str = ""
    """Why the first run will be inconclusive, if it will."""


@dataclass(frozen=True)
class Draft:
    """Everything the YAML says."""

    name: str
    files: str
    nulls: tuple[str, ...]
    n_rows: int
    n_sample: int
    target: Target
    roles: Roles
    time_column: str | None
    time_why: str
    zoned: bool
    timing: Timing | None
    """None where rows have no time."""
    amounts: Amounts
    row_rules: tuple[Rule, ...]
    window_rules: tuple[Rule, ...]
    candidates: Choice | None
    """Named only where a short window is offered beside the long one."""
    n_unchecked: int
    """Features without checks of their own: there are too many."""
