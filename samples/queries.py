"""What is asked of databases: statements as SQLAlchemy sends them, without those about transactions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event

_ABOUT_DATA = ("select", "insert", "update", "delete", "with")


@dataclass
class Asked:
    """The statements that were sent, and how long the database took for them."""

    statements: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.statements)


@contextmanager
def asked() -> Iterator[Asked]:
    """Collect what every engine of this process is asked."""
    found, begun = Asked(), 0.0

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal begun
        begun = time.perf_counter()
        if statement.lstrip().lower().startswith(_ABOUT_DATA):
            found.statements.append(statement)

    def after(*_: Any) -> None:
        found.seconds += time.perf_counter() - begun

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "after_cursor_execute", after)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "after_cursor_execute", after)
