"""What housekeeping may free is shown on a history of two champions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from retraining.care import needs


@pytest.fixture(autouse=True)
def _no_rivals() -> Iterator[None]:
    """Keep no champion for the next refresh to meet: of so short a history all would be. See `unit/care`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(needs, "ANCHOR_REFRESHES", 0)
        yield
