"""What a measurement gives: figures for one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scipy import stats

Report = Callable[[str], None]
"""Called with a sentence whenever a step is done."""


@dataclass(frozen=True)
class Figure:
    """One line of the table; `ratio` says what the value is compared with, in the same run."""

    what: str
    value: str
    ratio: str = ""
    target: str = ""


def times(value: float, base: float, of: str) -> str:
    """Say how many times a base a value is.

    >>> times(3.0, 2.0, "cold")
    '1.50 x cold'
    """
    return f"{value / base:.2f} x {of}" if base else ""


def share(count: int, n: int) -> str:
    """Write a share with its exact two-sided 95 % interval (Clopper and Pearson 1934).

    >>> share(1, 100)
    '1.0% (0.0% to 5.4%)'
    """
    interval = stats.binomtest(count, n).proportion_ci(0.95, "exact")
    return f"{count / n:.1%} ({interval.low:.1%} to {interval.high:.1%})"
