"""Columns that moved are named by how; a season is no move, and no column is too odd to be looked at."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from retraining.artifacts.features import FeaturePlan
from retraining.artifacts.outputs import PREDICTION
from retraining.evaluation.footing import turning_day
from retraining.evaluation.moved import MOST_MOVED, moved_columns
from retraining.records import Moved
from samples.tiny import day
from tests.unit.artifacts.test_stored import card

N = 700
CARD = dataclasses.replace(
    card(),
    plan=FeaturePlan(("x", "flag", "idle"), ("kind",)),
    importance={"x": 0.6, "flag": 0.3, "kind": 0.1, "idle": 0.0},
)
TIMES = np.datetime64("2024-02-05", "us") + np.arange(N) * np.timedelta64(7 * 86_400_000_000 // N, "us")


def table(seed: int, **changes: Any) -> tuple[pa.Table, np.ndarray]:
    """Return rows, and the truth that follows `x`."""
    random = np.random.default_rng(seed)
    x = random.normal(10, 2, N)
    y = (x + random.normal(0, 2, N) > 10).astype(float)
    columns: dict[str, Any] = {"x": x, "flag": random.random(N) < 0.5, "idle": x, "kind": random.choice(["a", "b"], N)}
    return pa.table({name: pa.array(values) for name, values in {**columns, **changes}.items()}), y


def moved(**changes: Any) -> dict[str, Moved]:
    """Return what moved between reference and holdout rows, by column."""
    (reference, y), (rows, truth) = table(0), table(1)
    reference = reference.append_column(PREDICTION, pa.array(0.1 + 0.8 * y))
    for name, change in changes.items():
        values = change(rows.column(name).to_numpy(zero_copy_only=False)) if callable(change) else change
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values))
    return {m.column: m for m in moved_columns(CARD, reference, rows, truth, TIMES, "here")}


def test_the_same_rows_have_not_moved() -> None:
    assert moved() == {}


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (lambda x: 20 - x, "sign"),
        (lambda x: x * 1.8 + 32, "scale"),
        (lambda x: 10 + (x - 10) * 5, "spread"),
        (lambda x: np.where(np.arange(N) % 2 == 0, np.nan, x), "nulls"),
    ],
)
def test_a_number_that_moved(change: Callable[[Any], Any], how: str) -> None:
    assert [(m.column, m.how) for m in moved(x=change).values()] == [("x", how)]


def test_a_turned_sign_names_both_correlations() -> None:
    found = moved(x=lambda x: 20 - x)["x"]
    assert found.before > 0.4 and found.after < -0.4 and found.importance == 0.6


def test_categories_nobody_has_seen() -> None:
    found = moved(kind=np.where(np.arange(N) % 4 == 0, "new", "a"))
    assert (found["kind"].how, found["kind"].after) == ("categories", 0.25)


def test_a_column_the_champion_does_not_look_at_is_left_out() -> None:
    assert moved(idle=lambda x: x * 1000) == {}


@pytest.mark.parametrize("values", [[None] * N, [True] * N, [3.0] * N])
def test_empty_boolean_and_constant_columns_are_looked_at(values: list[Any]) -> None:
    found = moved(flag=values, x=[None] * N, kind=pa.array([None] * N, pa.string()))
    assert found["x"].how == found["kind"].how == "nulls"
    assert next(iter(found)) == "x", "the most important first"


@pytest.mark.parametrize(
    ("figures", "turned"),
    [
        ((0.7, 0.75, 0.68, 0.3, 0.25, 0.35, 0.28), 3),
        ((0.7, 0.3, 0.3, 0.3), 1),
        ((0.3, 0.2, 0.35, 0.25, 0.3, 0.2, 0.25), None),  # the whole holdout
        ((0.3, 0.7, 0.7), None),  # it rose
        ((0.3,), None),
        ((), None),
    ],
)
def test_the_day_of_the_fall_is_found(figures: tuple[float, ...], turned: int | None) -> None:
    by_day = {day(i): figure for i, figure in enumerate(figures)}
    assert turning_day(by_day, 0.7, 1.0) == (None if turned is None else day(turned))
    losses = {at: -figure for at, figure in by_day.items()}
    assert turning_day(losses, 0.7, -1.0) == turning_day(by_day, 0.7, 1.0)


def test_at_most_five_are_named() -> None:
    names = tuple(f"x{i}" for i in range(9))
    wide = dataclasses.replace(CARD, plan=FeaturePlan(names, ()), importance={})
    before, after = (pa.table(dict.fromkeys(names, pa.array(np.arange(N) * scale))) for scale in (1.0, 100.0))
    assert len(moved_columns(wide, before, after, np.zeros(N), TIMES, "here")) == MOST_MOVED
