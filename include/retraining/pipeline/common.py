"""What the pipelines share: how they report, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

from retraining.errors import RequestError
from retraining.spec import FrozenSpec

Report = Callable[[str, str], None]
"""Called with a stage's name and a sentence when the stage is done."""


def silent(_stage: str, _text: str) -> None:
    """Report nothing."""


def needs_time(frozen: FrozenSpec) -> None:
    """Refuse rows without a time.

    Raises
    ------
    RequestError
        When there is no day to score or to watch.
    """
    if not frozen.spec.data.time_ordered:
        raise RequestError(
            f"{frozen.model}: its rows have no time, so there is no day to score or to watch. Name data.time_column, "
            "or score rows with the model version in MLflow."
        )
