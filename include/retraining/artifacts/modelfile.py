"""Model files whose bytes depend on the model alone, so that the same recipe on the same rows has the same digest."""

from __future__ import annotations

import io
import json
import zipfile
from itertools import count
from pathlib import PurePath
from typing import Any

_SCHEMA = "schema.json"


def dumps(pipeline: object) -> bytes:
    """Return a model as a skops file in canonical form.

    skops names the parts of its zip after memory addresses and stamps them with the time of day. Here they are
    numbered in the order in which the schema names them; what is read back is the same.
    """
    import skops.io  # imports all of SciPy, seconds that `check` spares: it writes no model file

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(pipeline))) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    schema = json.loads(parts.pop(_SCHEMA))
    names = _Numbers(set(parts)).renumber(schema)
    renamed = {names.get(name, name): content for name, content in parts.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as out:
        for name, content in sorted({**renamed, _SCHEMA: json.dumps(schema).encode()}.items()):
            entry = zipfile.ZipInfo(name)  # without a date_time it is 1980
            entry.create_system = 3  # the same on every platform
            out.writestr(entry, content)
    return buffer.getvalue()


class _Numbers:
    """Replaces memory addresses in a schema by numbers in order of appearance."""

    def __init__(self, parts: set[str]) -> None:
        self._parts, self._next = parts, count(1)
        self._ids: dict[int, int] = {}
        self._names: dict[str, str] = {}

    def renumber(self, schema: dict[str, Any]) -> dict[str, str]:
        """Change the schema in place; return the parts' new names by their old ones."""
        self._visit(schema)
        return self._names

    def _visit(self, node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                self._visit(item)
        elif isinstance(node, dict):
            self._rename(node)
            for item in node.values():
                self._visit(item)

    def _rename(self, node: dict[str, Any]) -> None:
        if isinstance(node.get("__id__"), int):
            # Whether two equal texts are one object is Python's affair (interning), so they never share a number.
            known = None if node.get("__loader__") == "JsonNode" else self._ids.get(node["__id__"])
            number = next(self._next) if known is None else known
            if node.get("__loader__") != "JsonNode":
                self._ids[node["__id__"]] = number
            node["__id__"] = number
        file = node.get("file")
        if isinstance(file, str) and file in self._parts:
            node["file"] = self._names.setdefault(file, f"{len(self._names)}{PurePath(file).suffix}")
