"""Windows are half open, in whole partitions, in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retraining.errors import RequestError
from retraining.records import Window
from retraining.windows import (
    CLOCKS_DIFFER,
    Partition,
    ceil,
    floor,
    format_duration,
    parse_duration,
    parse_time,
    partitions,
    refuse_future,
    step,
    with_wall_clock,
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


@given(moments, st.integers(-300, 300))
def test_a_step_of_months_goes_to_that_month_whatever_the_day(moment: datetime, count: int) -> None:
    there = step(moment, "month", count)
    assert there.year * 12 + there.month == moment.year * 12 + moment.month + count
    assert there.day == moment.day or (there.day < moment.day and (there + timedelta(days=1)).day == 1)
    assert (there.time(), step(moment, "month", 0)) == (moment.time(), moment)


@given(st.dates(datetime(2000, 1, 1).date(), datetime(2080, 1, 1).date()))
def test_a_later_day_never_steps_to_an_earlier_one(date: date) -> None:
    start = datetime.combine(date, time(), UTC)
    assert step(start, "month") <= step(start + timedelta(days=1), "month")


@given(moments, kinds)
def test_a_ceiling_holds_nothing_before_its_moment(moment: datetime, kind: Partition) -> None:
    start = ceil(moment, kind)
    assert floor(start, kind) == start
    assert step(start, kind, -1) < moment <= start


ZONES = ("America/New_York", "Europe/Berlin", "Asia/Tokyo", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata")


@given(moments, st.integers(1, 24 * 40), st.floats(0, 0.999), st.sampled_from(ZONES))
def test_a_widened_window_has_every_instant_and_what_the_wall_clock_shows_then(
    moment: datetime, hours: int, share: float, zone: str
) -> None:
    start = floor(moment, "hour")
    window = Window(start, start + timedelta(hours=hours))
    instant = start + share * timedelta(hours=hours)
    wide = with_wall_clock(window, zone)
    shown = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
    assert wide.start <= min(instant, shown)
    assert max(instant, shown) < wide.end


@pytest.mark.parametrize("hour", [5, 6, 7])
def test_both_times_of_an_hour_that_comes_twice_are_in_the_widened_window(hour: int) -> None:
    start = datetime(2024, 11, 3, hour, tzinfo=UTC)
    wide = with_wall_clock(Window(start, start + timedelta(hours=1)), "America/New_York")
    shown = start.astimezone(ZoneInfo("America/New_York")).replace(tzinfo=UTC)
    assert wide.start <= shown < shown + timedelta(hours=1) <= wide.end


def test_an_hour_that_is_left_out_is_in_a_widened_window() -> None:
    before = datetime(2024, 3, 10, 6, tzinfo=UTC)
    wide = with_wall_clock(Window(before, before + timedelta(hours=1)), "America/New_York")
    assert wide.start <= datetime(2024, 3, 10, 2, 30, tzinfo=UTC) < wide.end, "rows with such a time must be seen"


def test_a_time_that_has_not_come_is_refused_but_for_clocks_that_differ() -> None:
    now = datetime(2026, 5, 4, 12, tzinfo=UTC)
    refuse_future("tiny", now + CLOCKS_DIFFER, now)
    with pytest.raises(RequestError, match=r"tiny: the as-of time 2026-05-04 13:01 UTC has not come .* Leave out"):
        refuse_future("tiny", now + CLOCKS_DIFFER + timedelta(minutes=1), now)


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
