"""Joins by key: the same rows as Arrow's own join, for keys of every type."""

from __future__ import annotations

from typing import Any, Literal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retraining.data.joins import join

keys = st.lists(
    st.tuples(st.sampled_from([None, 0.0, 1.0, 2.5, 1e300]), st.sampled_from(["a", "b", None])), max_size=12
)


def _rows(pairs: list[tuple[Any, Any]], name: str) -> pa.Table:
    return pa.table(
        {
            "number": pa.array([n for n, _ in pairs], pa.float64()),
            "text": pa.array([t for _, t in pairs], pa.string()),
            name: pa.array(range(len(pairs)), pa.int64()),
        }
    )


@pytest.mark.parametrize("how", ["left outer", "left semi", "inner"])
@settings(deadline=None)  # the first join starts Arrow's threads
@given(keys, keys)
def test_a_join_gives_what_arrow_gives(
    how: Literal["left outer", "left semi", "inner"], left: list[Any], right: list[Any]
) -> None:
    mine, theirs = _rows(left, "l"), _rows(right, "r")
    found = join(mine, theirs, ["number", "text"], how)
    expected = mine.join(theirs, keys=["number", "text"], join_type=how)
    assert found.column_names == expected.column_names and found.schema.types == expected.schema.types
    assert sorted(map(str, found.to_pylist())) == sorted(map(str, expected.to_pylist()))


def test_a_join_over_chunks() -> None:
    left = pa.concat_tables([_rows([(float(i), "a")], "l") for i in range(5)])
    right = pa.concat_tables([_rows([(float(i), "a")], "r") for i in range(4, 0, -1)])
    assert join(left, right, ["number", "text"], "inner").num_rows == 4
