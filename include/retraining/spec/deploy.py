"""The YAML's deploy group: how a release goes live, and how long it is judged by what it then meets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import Field, field_validator

from retraining.spec.base import Duration, Group
from retraining.spec.gate import Gate
from retraining.windows import format_duration, parse_duration

SHORTEST_PROBATION = timedelta(days=4)
"""Fewer distinct days decide nothing: their error cannot be stated."""


class Deploy(Group):
    """How a release goes live."""

    probation: Duration | None = Field(
        timedelta(days=7),
        description="How long a release is compared with the one before it, on published rows newer than its cut-off, "
        "and taken back where it is shown to be worse. Default: one gate.holdout, at least 4d; null or 0d for never.",
    )

    @field_validator("probation")
    @classmethod
    def _long_enough(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and timedelta(0) < value < SHORTEST_PROBATION:
            raise ValueError(
                f"a probation of {format_duration(value)} could never end in a decision: at least four distinct days "
                f"decide. Give {format_duration(SHORTEST_PROBATION)} or more, or null for none"
            )
        return value or None


def follow_holdout(values: dict[str, Any]) -> dict[str, Any]:
    """Return a YAML's values with the probation that it leaves out, as long as its holdout."""
    deploy, gate = values.get("deploy", {}), values.get("gate", {})
    if not isinstance(deploy, Mapping) or not isinstance(gate, Mapping) or "probation" in deploy:
        return values
    holdout = gate.get("holdout", Gate.model_fields["holdout"].default)
    try:
        length = parse_duration(holdout) if isinstance(holdout, str) else holdout
    except ValueError:
        return values  # reported as a wrong value by the gate itself
    if not isinstance(length, timedelta):
        return values  # likewise
    return {**values, "deploy": {**deploy, "probation": max(length, SHORTEST_PROBATION)}}
