"""What the YAML's groups share: strict keys, and durations as people write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from retraining.windows import format_duration, parse_duration

Duration = Annotated[
    timedelta,
    BeforeValidator(lambda value: parse_duration(value) if isinstance(value, str) else value),
    PlainSerializer(format_duration, return_type=str),
]


class Group(BaseModel):
    """A group of keys; an unknown key is an error, and so is a number that nothing can be compared with."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)
