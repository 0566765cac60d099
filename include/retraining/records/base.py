"""Records as JSON, and ids as digests of it."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

T = TypeVar("T")


@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def to_dict(record: object) -> dict[str, Any]:
    """Return a record as plain JSON values, for a task boundary or a database."""
    adapter = _adapter(type(record))  # type: ignore[arg-type]  # mypy takes the instances' hash for the class's
    return cast("dict[str, Any]", adapter.dump_python(record, mode="json"))


def from_dict(cls: type[T], data: object) -> T:
    """Rebuild a record from the values `to_dict` gave. Unknown or missing fields raise `pydantic.ValidationError`."""
    adapter = _adapter(cls)  # type: ignore[arg-type]  # as above
    return cast(T, adapter.validate_python(data))


def digest_of(value: object) -> str:
    """Return the SHA-256 of a JSON value in canonical form (sorted keys, no spaces).

    >>> digest_of({"b": 1, "a": 2}) == digest_of({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def short(identity: str | None) -> str:
    """Return the first eight characters of an id, as people read it."""
    return identity[:8] if identity else "none"
