"""Windows and partitions: half open, in UTC, floored to the model's partition. Nothing here reads a clock."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from retraining.errors import RequestError
from retraining.records import Window

Partition = Literal["hour", "day", "week", "month"]

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_NOMINAL = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=30),
}
CLOCKS_DIFFER = timedelta(hours=1)
"""How much later than this machine's clock an as-of time may be: a scheduler's clock may run ahead of a worker's."""


def parse_duration(text: str) -> timedelta:
    """Turn `90d`, `6h` or `2w` into a duration.

    >>> parse_duration("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    match = re.fullmatch(r"\s*(\d+)\s*([hdw])\s*", text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a whole number and h, d or w, for example 90d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def format_duration(value: timedelta) -> str:
    """Write a duration the way a YAML has it.

    >>> format_duration(timedelta(days=90))
    '90d'
    """
    hours = round(value.total_seconds() / 3600)
    return f"{hours // 24}d" if hours % 24 == 0 else f"{hours}h"


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time; without an offset it is UTC.

    >>> parse_time("2026-05-04").isoformat()
    '2026-05-04T00:00:00+00:00'
    """
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestError(f"{text!r} is not an ISO 8601 time, for example 2026-05-04 or 2026-05-04T06:00Z") from error
    return to_utc(value)


def to_utc(value: datetime) -> datetime:
    """Return the time in UTC; a naive time is taken as UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def floor(time: datetime, partition: Partition) -> datetime:
    """Return the start of the partition that holds the time; weeks start on Monday.

    >>> floor(datetime(2026, 5, 6, 7, tzinfo=UTC), "week").date().isoformat()
    '2026-05-04'
    """
    time = to_utc(time).replace(minute=0, second=0, microsecond=0)
    if partition == "hour":
        return time
    day = time.replace(hour=0)
    if partition == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if partition == "month" else day


def ceil(time: datetime, partition: Partition) -> datetime:
    """Return the start of the first partition that holds nothing before the time.

    >>> ceil(datetime(2026, 5, 6, 7, tzinfo=UTC), "day").date().isoformat()
    '2026-05-07'
    """
    start = floor(time, partition)
    return start if start == to_utc(time) else step(start, partition)


def step(start: datetime, partition: Partition, count: int = 1) -> datetime:
    """Return the time `count` partitions later (earlier when negative); a day that a month lacks is its last one.

    >>> step(datetime(2026, 1, 31, tzinfo=UTC), "month").date().isoformat()
    '2026-02-28'
    """
    if partition != "month":
        return start + _NOMINAL[partition] * count
    year, month = divmod(start.year * 12 + start.month - 1 + count, 12)
    return start.replace(year=year, month=month + 1, day=min(start.day, monthrange(year, month + 1)[1]))


def nominal(partition: Partition) -> timedelta:
    """Return a partition's length; a month counts as 30 days."""
    return _NOMINAL[partition]


def partitions(window: Window, partition: Partition) -> Iterator[Window]:
    """Yield the whole partitions of a window, in order."""
    start = window.start
    while start < window.end:
        end = step(start, partition)
        yield Window(start, end)
        start = end


def with_wall_clock(window: Window, zone: str) -> Window:
    """Return the window widened to the times that a zone's wall clock shows in it, written as if they were UTC.

    A table of naive local times compares its numbers with a query's bounds; in a wider window it loses none.

    >>> str(with_wall_clock(Window(datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC)), "Asia/Tokyo"))
    '2026-01-05 to 2026-01-06 09:00 UTC'
    """
    day = timedelta(days=1)  # an hour that comes twice shows earlier times after the start
    first = min(_offset(window.start, zone), _offset(window.start + day, zone), timedelta())
    last = max(_offset(window.end, zone), _offset(window.end - day, zone), timedelta())
    return Window(window.start + first, window.end + last)


def _offset(time: datetime, zone: str) -> timedelta:
    return time.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()


def refuse_future(what: str, as_of: datetime, now: datetime) -> None:
    """Refuse an as-of time that has not come yet: labels would be taken for final, and later runs be superseded.

    Raises
    ------
    RequestError
        When it is later than `now`, the wall clock, by more than clocks differ.
    """
    if as_of > now + CLOCKS_DIFFER:
        raise RequestError(
            f"{what}: the as-of time {as_of:%Y-%m-%d %H:%M} UTC has not come yet (it is {now:%Y-%m-%d %H:%M} UTC). "
            "Nothing was done. Leave out the as-of time, or give an earlier one."
        )
