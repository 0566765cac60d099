"""Text from data and people in Markdown: shown as it is, never as markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_MARKS = re.compile(r"([\\`*\[\]<>|#])")


def plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line.

    >>> plain("a|b")
    'a\\\\|b'
    """
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown themselves; text from data or people must be made `plain` before.

    >>> print(table(("key", "default"), [("`seed`", "`0`")]))
    | key | default |
    |---|---|
    | `seed` | `0` |
    """
    lines = [f"| {' | '.join(line)} |" for line in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def plain_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of texts that are shown as they are."""
    return table([plain(cell) for cell in head], ([plain(cell) for cell in row] for row in rows))
