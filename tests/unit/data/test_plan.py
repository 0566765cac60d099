"""Which windows a run is about."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from retraining.data.plan import plan_origins, plan_windows
from retraining.records import Window
from retraining.spec import Spec
from retraining.spec.data import Data
from retraining.spec.learning import n_origins
from retraining.windows import Partition
from samples.tiny import SPEC, day, merged


def data_of(partition: Partition = "day", *, timed: bool = True) -> Data:
    changes = {"partition": partition, "label_delay": "0d"} if timed else {"time_column": None, "label_delay": "0d"}
    return Data.model_validate(merged(SPEC["data"], changes))


@pytest.mark.parametrize(
    ("window", "holdout", "most", "count"),
    [(343, 7, 8, 8), (336, 28, 8, 7), (28, 7, 8, 3), (27, 7, 8, 2), (13, 7, 8, 1), (400, 7, 52, 29), (400, 7, 1, 1)],
)
def test_each_origin_has_half_of_the_window_before_it(window: int, holdout: int, most: int, count: int) -> None:
    data, length = data_of(), timedelta(days=window)
    train, held, _ = plan_windows(data, length, timedelta(days=holdout), day(500))
    found = plan_origins(data, length, held, most)
    assert len(found) == count == n_origins(data, length, timedelta(days=holdout), most)
    assert found[0] == held
    assert all(older.end == newer.start for newer, older in pairwise(found))
    assert all(o.end - o.start == timedelta(days=holdout) for o in found)
    assert all(o.start - train.start >= length / 2 for o in found[1:])


def test_months_are_stepped_back_as_months() -> None:
    data, length = data_of("month"), timedelta(days=720)
    _, held, _ = plan_windows(data, length, timedelta(days=30), day(120))
    assert held == Window(day(91), day(121)) or held.start.day == 1
    assert [o.start.day for o in plan_origins(data, length, held, 8)] == [1] * 8


def test_rows_without_a_time_have_one_holdout() -> None:
    spec = Spec.model_validate(
        merged(
            SPEC,
            {
                "data": {"time_column": None, "label_delay": None},
                "training": {"window": None},
                "gate": {"holdout": None},
                "monitor": None,
            },
        )
    )
    _, held, _ = plan_windows(spec.data, spec.training.window, spec.gate.holdout, day(50))
    assert plan_origins(spec.data, spec.training.window, held, 8) == (held,)
