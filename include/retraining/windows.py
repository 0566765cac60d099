"""Windows and partitions: half open, in UTC, floored to the model's partition. Nothing here reads a clock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

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


def step(start: datetime, partition: Partition, count: int = 1) -> datetime:
    """Return the start of the partition `count` partitions later (earlier when negative)."""
    if partition != "month":
        return start + _NOMINAL[partition] * count
    months = start.year * 12 + start.month - 1 + count
    return start.replace(year=months // 12, month=months % 12 + 1)


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


def window_before(end: datetime, length: timedelta, partition: Partition) -> Window:
    """Return the window of whole partitions of about `length` that ends with the last partition before `end`."""
    last = floor(end, partition)
    count = max(1, round(length / _NOMINAL[partition]))
    return Window(step(last, partition, -count), last)
