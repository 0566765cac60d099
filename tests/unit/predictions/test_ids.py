"""Prediction ids: UUIDv7 by shape, of the window's time, and the same each time a batch is scored."""

from __future__ import annotations

from uuid import UUID

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from retraining.predictions.ids import prediction_ids
from retraining.records import Window
from samples.tiny import day

WINDOW = Window(day(3), day(4))
KEYS = pa.table({"id": ["a", "b", "c"], "leg": [1, 1, 2]})


def test_ids_are_version_7_and_lead_to_their_day() -> None:
    for text in prediction_ids(WINDOW, "release", KEYS):
        found = UUID(text)
        assert (found.version, found.variant) == (7, "specified in RFC 4122")
        assert found.int >> 80 == int(WINDOW.start.timestamp() * 1000)


def test_a_batch_scored_twice_has_the_same_ids_in_any_order() -> None:
    ids = prediction_ids(WINDOW, "release", KEYS)
    assert prediction_ids(WINDOW, "release", KEYS) == ids
    assert prediction_ids(WINDOW, "release", KEYS.take([2, 0, 1])) == [ids[2], ids[0], ids[1]]


def test_release_window_and_key_make_the_id() -> None:
    ids = {
        *prediction_ids(WINDOW, "release", KEYS),
        *prediction_ids(WINDOW, "another", KEYS),
        *prediction_ids(Window(day(4), day(5)), "release", KEYS),
        *prediction_ids(WINDOW, "release", KEYS.set_column(1, "leg", pa.array([2, 2, 1]))),
    }
    assert len(ids) == 12


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), unique=True, max_size=20))
def test_different_keys_never_share_an_id(keys: list[tuple[str, str]]) -> None:
    table = pa.table(
        {"a": pa.array([a for a, _ in keys], pa.string()), "b": pa.array([b for _, b in keys], pa.string())}
    )
    assert len(set(prediction_ids(WINDOW, "release", table))) == len(keys)
