"""Text from data and people in Markdown: shown as it is, never as markup."""

from __future__ import annotations

import re

_MARKS = re.compile(r"([\\`*\[\]<>|#])")


def plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line.

    >>> plain("a|b")
    'a\\\\|b'
    """
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
