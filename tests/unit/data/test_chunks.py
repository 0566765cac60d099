"""A chunk's id is of its rows alone: not of order, file format, integer width or library."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retraining.data import chunks
from retraining.errors import Damaged, SourceError
from retraining.store import Store

START = datetime(2026, 5, 4, tzinfo=UTC)
BASE = pa.table({"id": ["a", "b", "c"], "n": [1, 2, None], "x": [0.5, None, -1.5], "ok": [True, None, False]})


def id_of(table: pa.Table, key: tuple[str, ...] = ("id",)) -> str:
    return chunks.content_id(chunks.normalise(table, key))


def test_order_of_rows_and_columns_does_not_matter() -> None:
    assert id_of(BASE.take([2, 0, 1])) == id_of(BASE)
    assert id_of(BASE.select(["ok", "x", "n", "id"])) == id_of(BASE)


@pytest.mark.parametrize("kind", [pa.int8(), pa.int32(), pa.uint16(), pa.float32(), pa.float64(), pa.decimal128(20, 2)])
def test_width_of_numbers_does_not_matter(kind: pa.DataType) -> None:
    column = pa.array([1, 2, None], pa.int64()).cast(pa.int32()).cast(kind)
    assert id_of(BASE.set_column(1, "n", column)) == id_of(BASE)


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_encoding_of_text_does_not_matter(kind: pa.DataType) -> None:
    assert id_of(BASE.set_column(0, "id", BASE.column("id").cast(kind))) == id_of(BASE)


def test_negative_zero_and_nan() -> None:
    def of(values: list[Any]) -> str:
        return id_of(pa.table({"id": ["a", "b"], "x": pa.array(values, pa.float64())}))

    assert of([-0.0, 1.0]) == of([0.0, 1.0])
    assert of([float("nan"), 1.0]) == of([None, 1.0])
    assert of([0.0, 1.0]) != of([None, 1.0])


def test_values_nulls_names_and_types_do_matter() -> None:
    others = [
        BASE.set_column(1, "n", pa.array([1, 3, None])),
        BASE.set_column(1, "n", pa.array([1, None, 2])),
        BASE.rename_columns(["id", "m", "x", "ok"]),
        BASE.set_column(1, "n", pa.array(["1", "2", None])),
        BASE.slice(0, 2),
        BASE.drop(["ok"]),
        BASE.set_column(3, "ok", pa.array([1, None, 0])),
    ]
    assert len({id_of(t) for t in [BASE, *others]}) == len(others) + 1


def test_text_cannot_be_shifted_between_rows() -> None:
    one = pa.table({"id": [1, 2], "t": ["ab", "c"]})
    two = pa.table({"id": [1, 2], "t": ["a", "bc"]})
    assert id_of(one) != id_of(two)


def test_integers_beyond_floats_stay_exact() -> None:
    big = [2**53 + 1, 2**53 + 2]
    assert id_of(pa.table({"id": big})) != id_of(pa.table({"id": [2**53, 2**53 + 2]}))
    assert chunks.normalise(pa.table({"id": big}), ["id"]).column("id").to_pylist() == big


def test_time_zones_and_units_do_not_matter() -> None:
    def of(kind: pa.DataType) -> str:
        return id_of(pa.table({"id": [1], "t": pa.array([START], pa.timestamp("s", "UTC")).cast(kind)}))

    assert of(pa.timestamp("us", "UTC")) == of(pa.timestamp("ns", "America/New_York")) == of(pa.timestamp("ms", "UTC"))


def test_csv_and_parquet_give_the_same_id() -> None:
    text = io.BytesIO()
    pyarrow.csv.write_csv(BASE, text)
    from_csv = pyarrow.csv.read_csv(io.BytesIO(text.getvalue()))
    packed = io.BytesIO()
    pq.write_table(BASE, packed)
    from_parquet = pq.read_table(io.BytesIO(packed.getvalue()))
    assert id_of(from_csv) == id_of(from_parquet) == id_of(BASE)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1], [2]]),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([b"x", b"y"]),
        pa.array([1, 2], pa.time32("s")),
    ],
)
def test_other_types_are_refused_by_name(column: pa.Array) -> None:
    with pytest.raises(SourceError, match="column odd holds .* Convert it in the query"):
        id_of(pa.table({"id": [1, 2], "odd": column}))


def test_infinite_values_are_refused() -> None:
    with pytest.raises(SourceError, match="column x holds infinite values"):
        id_of(pa.table({"id": [1, 2], "x": [1.0, np.inf]}))


def test_integers_beyond_64_bits_are_refused() -> None:
    with pytest.raises(SourceError, match="column id holds integers beyond 64 bits"):
        id_of(pa.table({"id": pa.array([2**64 - 1], pa.uint64())}))


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    n = draw(st.integers(0, 12))
    floats = st.floats(allow_nan=True, allow_infinity=False)
    times = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))

    def column(values: st.SearchStrategy[Any], kind: pa.DataType) -> pa.Array:
        return pa.array(draw(st.lists(st.none() | values, min_size=n, max_size=n)), kind)

    return pa.table(
        {
            "id": pa.array(draw(st.lists(st.text(max_size=5), min_size=n, max_size=n, unique=True)), pa.string()),
            "i": column(st.integers(-(2**62), 2**62), pa.int64()),
            "f": column(floats, pa.float64()),
            "b": column(st.booleans(), pa.bool_()),
            "s": column(st.text(max_size=6), pa.string()),
            "t": column(times, pa.timestamp("us")),
        }
    )


@settings(max_examples=40)
@given(tables(), st.randoms(use_true_random=False))
def test_what_is_read_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, table: pa.Table, random: Any
) -> None:
    store = Store(tmp_path_factory.getbasetemp().as_uri() + "/chunks")
    canonical = chunks.normalise(table, ["id"])
    chunk, _ = chunks.write(store, canonical, "features", START, "y")
    again = chunks.read(store, chunk)
    assert again.equals(canonical)
    assert chunks.content_id(again) == chunk.id
    order = list(range(table.num_rows))
    random.shuffle(order)
    assert id_of(table.take(pa.array(order, pa.int64()))) == chunk.id
    assert chunks.content_id(chunks.normalise(again, ["id"])) == chunk.id


def test_a_chunk_is_stored_once_and_damage_is_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path.as_uri())
    canonical = chunks.normalise(BASE, ["id"])
    chunk, new = chunks.write(store, canonical, "labels", START, "n")
    assert new
    assert chunk.n_labelled == 2
    again, new = chunks.write(store, canonical, "labels", START, "n")
    assert not new
    assert again == chunk
    later, _ = chunks.write(store, canonical, "labels", START + timedelta(days=1), "n")
    assert later.id == chunk.id
    path = tmp_path / chunks.key_of(chunk.id)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Damaged, match="altered or truncated"):
        chunks.read(store, chunk)


def test_missing_columns_are_named_with_those_that_are_there() -> None:
    with pytest.raises(SourceError, match="here: missing column y, z. It has: id, n, ok, x"):
        chunks.require(BASE, ["id", "y", "z"], "here")
