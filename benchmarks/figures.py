"""What a measurement gives: figures for one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
