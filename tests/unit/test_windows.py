"""Windows are half open, in whole partitions, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retraining.errors import RequestError
from retraining.records import Window
from retraining.windows import (
    Partition,
    floor,
    format_duration,
    parse_duration,
    parse_time,
    partitions,
    step,
    window_before,
)

KINDS: list[Partition] = ["hour", "day", "week", "month"]
kinds = st.sampled_from(KINDS)
moments = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


@given(moments, kinds, st.integers(0, 40))
def test_partitions_tile_a_window(moment: datetime, kind: Partition, count: int) -> None:
    start = floor(moment, kind)
    window = Window(start, step(start, kind, count))
    parts = list(partitions(window, kind))
    assert len(parts) == count
    edges = [start, *(p.end for p in parts)]
    assert [p.start for p in parts] == edges[:-1]
    assert edges[-1] == window.end
    assert all(floor(p.start, kind) == p.start for p in parts)


@given(moments, kinds)
def test_a_floor_holds_its_moment(moment: datetime, kind: Partition) -> None:
    start = floor(moment, kind)
    assert start <= moment < step(start, kind)
    assert floor(start, kind) == start


@given(moments, kinds, st.integers(-30, 30))
def test_steps_can_be_taken_back(moment: datetime, kind: Partition, count: int) -> None:
    start = floor(moment, kind)
    assert step(step(start, kind, count), kind, -count) == start


@given(moments, kinds, st.integers(1, 300))
def test_a_window_before_ends_with_whole_partitions(moment: datetime, kind: Partition, hours: int) -> None:
    window = window_before(moment, timedelta(hours=hours), kind)
    assert window.end == floor(moment, kind)
    assert window.start < window.end


@given(st.integers(0, 5000))
def test_durations_survive_the_yaml(hours: int) -> None:
    assert parse_duration(format_duration(timedelta(hours=hours))) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "90", "d", "1.5d", "-1d", "90 days", "1y"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="for example 90d"):
        parse_duration(text)


def test_times_are_utc() -> None:
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    assert parse_time("2026-05-04T12:00") == parse_time("2026-05-04T14:00+02:00") == noon
    assert floor(datetime(2026, 5, 5, 1, tzinfo=timezone(timedelta(hours=2))), "day").day == 4
    with pytest.raises(RequestError, match="ISO 8601"):
        parse_time("last Monday")


def test_windows_that_touch_do_not_overlap() -> None:
    day = timedelta(days=1)
    start = datetime(2026, 5, 4, tzinfo=UTC)
    assert not Window(start, start + day).overlaps(Window(start + day, start + 2 * day))
    assert Window(start, start + day).overlaps(Window(start, start + 2 * day))
    assert str(Window(start, start + day)) == "2026-05-04 to 2026-05-05 UTC"
