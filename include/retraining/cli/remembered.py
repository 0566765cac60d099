"""What `check` found to be right before: it need not import what learns and validates to say so again.

A check's answer follows from the values it is given, the installed packages and our own code. All of that is in its
digest, so that whatever changes is checked anew. Only what was right is kept; what is wrong is explained each time.
"""

from __future__ import annotations

import json
import platform
import sys
import uuid
from contextlib import suppress
from pathlib import Path

import retraining
from retraining.records import digest_of
from retraining.settings import Settings

_FILE = "checked.json"
_MOST = 10_000
"""Digests kept: some hundred kilobytes, for hundreds of models."""


def load_passed(settings: Settings) -> set[str]:
    """Return the digests of the checks that were right in this very environment; none where nothing can be read."""
    with suppress(OSError, ValueError):  # lost or half-written: everything is checked again
        found = json.loads(_path(settings).read_text(encoding="utf-8"))
        if found["environment"] == _environment(settings):
            return set(found["passed"])
    return set()


def save_passed(settings: Settings, passed: set[str]) -> None:
    """Keep the digests; a home that cannot be written only costs time."""
    path = _path(settings)
    document = {"environment": _environment(settings), "passed": sorted(passed)[:_MOST]}
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
        temporary.write_text(json.dumps(document), encoding="utf-8")
        temporary.replace(path)


def _path(settings: Settings) -> Path:
    return settings.home / "cache" / _FILE


def _environment(settings: Settings) -> str:
    """Return the digest of what decides a check beside its values: Python, installed packages, our own code."""
    installed = sorted(name for folder in sys.path for name in _names(folder) if name.endswith((".dist-info", ".pth")))
    ours = Path(retraining.__file__).parent
    files = sorted((str(p.relative_to(ours)), p.stat().st_mtime_ns) for p in ours.glob("**/*.py"))
    return digest_of([platform.python_version(), installed, files, list(settings.trusted)])


def _names(folder: str) -> list[str]:
    with suppress(OSError):
        return [path.name for path in Path(folder or ".").iterdir()]
    return []
