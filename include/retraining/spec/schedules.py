"""When a partition that just ended is scored and watched, and how often a model is retrained, where no YAML says so."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from retraining.windows import Partition


@dataclass(frozen=True)
class Schedules:
    """Cron expressions, UTC, one per group of the YAML that has a schedule."""

    score: str
    monitor: str
    retrain: str


DEFAULTS: dict[Partition, Schedules] = {
    "hour": Schedules("10 * * * *", "40 * * * *", "0 4 * * 1"),
    "day": Schedules("0 5 * * *", "0 7 * * *", "0 4 * * 1"),
    "week": Schedules("0 5 * * 1", "0 7 * * 1", "0 4 * * 1"),
    "month": Schedules("0 5 1 * *", "0 7 1 * *", "0 4 1 * *"),
}
"""Each partition is scored once when it is whole, and watched once its predictions are there; weeks start on Monday."""


def follow_partition(values: dict[str, Any]) -> dict[str, Any]:
    """Return a YAML's values with the schedules that it leaves out, as its partition wants them."""
    data = values.get("data")
    partition = data.get("partition", "day") if isinstance(data, dict) else "day"
    if not isinstance(partition, str) or partition not in DEFAULTS:
        return values  # reported as a wrong value by the group itself
    filled = dict(values)
    for group, schedule in asdict(DEFAULTS[partition]).items():
        given = values.get(group, {})
        if isinstance(given, dict):
            filled[group] = {"schedule": schedule, **given}
    return filled
