"""Preflight's checks in this process: a fresh one takes seconds, and few tests are about it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Self

import pytest

from retraining import rollout
from retraining.artifacts import preflight, stored
from retraining.records import Served
from retraining.rollout import proven
from retraining.store import Store


@contextmanager
def in_this_process() -> Iterator[None]:
    """Check what preflight checks without a new process, wherever a release goes live."""
    with pytest.MonkeyPatch.context() as patch:
        for module in _callers():
            patch.setattr(module, "preflight", _quick)
        patch.setattr(preflight, "preflight", _quick)  # for who imports it when called
        patch.setattr(proven, "Preflight", _Quick)
        yield


def _callers() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(rollout.__path__, f"{rollout.__name__}."):
        module = importlib.import_module(found.name)
        if hasattr(module, "preflight"):
            yield module


def _quick(store: Store, release_id: str) -> Served:
    """Load a release after checking its digest and compare its outputs; the figures are any that may be served."""
    files = stored.read_files(store, release_id)
    difference = stored.compare_with_expected(stored.from_files(release_id, files), files)
    return Served(load_s=0.1, latency_ms=5.0, memory_mb=300.0, size_mb=0.1, difference=difference)


class _Quick:
    """What a release asks while it is made."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, release_id: str) -> None:
        self._release_id = release_id

    def answer(self) -> Served:
        return _quick(self._store, self._release_id)
