"""Lists in messages are sorted and capped, and errors fall into those that heal and those that do not."""

from __future__ import annotations

import pytest

from retraining import errors
from retraining.errors import RetrainingError, Unavailable, shown


@pytest.mark.parametrize(
    ("items", "limit", "text"),
    [
        ([], 5, ""),
        (["b", "a"], 5, "a, b"),
        (range(8), 5, "0, 1, 2, 3, 4 and 3 more"),
        ((str(i) for i in range(3)), 2, "0, 1 and 1 more"),
        ([1, None, "a"], 5, "1, None, a"),
        (iter([2, "a", 1]), 5, "1, 2, a"),
    ],
)
def test_shown(items: list[object], limit: int, text: str) -> None:
    assert shown(items, limit) == text


def test_what_may_heal_is_not_a_fault() -> None:
    assert not issubclass(Unavailable, RetrainingError)
    ours = [
        e
        for e in vars(errors).values()
        if isinstance(e, type) and e is not Unavailable and e.__module__ == errors.__name__
    ]
    assert all(issubclass(e, RetrainingError) for e in ours)
    assert all((e.__doc__ or "").startswith("Raise when") for e in [*ours, Unavailable])
