"""Pictures that are not drawn: drawing is half of what a tiny retraining costs, and few tests are about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from retraining.evaluation.plots import Picture


@contextmanager
def undrawn() -> Iterator[None]:
    """Make every picture, its figure and its words, as ever, and leave out turning the figure into SVG and PNG."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Picture, "svg", lambda _: b"<svg xmlns='http://www.w3.org/2000/svg'/>")
        patch.setattr(Picture, "png", lambda _: b"\x89PNG\r\n")
        yield
