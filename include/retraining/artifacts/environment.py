"""The environment a model was made in: what decides whether a rebuild gives the same bits."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import distributions, packages_distributions
from pathlib import Path
from typing import Any, cast

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from threadpoolctl import threadpool_info, threadpool_limits

from retraining.errors import Damaged, SpecError
from retraining.records import digest_of, short
from retraining.store import Store

_CORE = ("scikit-learn", "numpy", "scipy", "pandas", "pyarrow", "skops")
"""What models compute with, or are stored by: another version of these may give other bits."""
_CORE_MODULES = {"sklearn", "numpy", "scipy", "pandas", "pyarrow", "skops"}


def describe_environment() -> dict[str, Any]:
    """Return installed versions, Python, platform, numeric kernels and the threads they may use now."""
    return {**_installed(), "threads": _threads()}


def environment_id() -> str:
    """Return the digest of the environment."""
    return digest_of(describe_environment())


def core_requirements(types: Iterable[str] = ()) -> list[str]:
    """Return the exact requirements that a model with these types needs to be loaded, for MLflow."""
    versions = _installed()["versions"]
    foreign = {name.partition(".")[0] for name in types} - _CORE_MODULES - sys.stdlib_module_names
    owners = packages_distributions() if foreign else {}  # looks into every installed package, for a second
    found = {owner.lower() for module in foreign for owner in owners.get(module, ())}
    return [f"{name}=={versions[name]}" for name in (*_CORE, *sorted(found.difference(_CORE))) if name in versions]


def keep_environment(store: Store) -> str:
    """Write the environment's document into the store, once; return its id."""
    document = describe_environment()
    identity = digest_of(document)
    store.write_json_once(_key(identity), document)
    return identity


def read_environment(store: Store, identity: str) -> dict[str, Any] | None:
    """Return the document of an environment that a model was made in, None when none was kept.

    Raises
    ------
    Damaged
        When the document is not what was kept.
    """
    if not store.exists(_key(identity)):
        return None
    document = cast("dict[str, Any]", store.read_json(_key(identity)))
    if digest_of(document) != identity:
        raise Damaged(f"store {store.url}: {_key(identity)} was altered. Restore it from a backup of the store.")
    return document


def environment_changes(document: Mapping[str, Any] | None, identity: str) -> tuple[str, ...]:
    """Say how this environment differs from a kept one; nothing when it is the same.

    Parameters
    ----------
    document
        What `read_environment` returned.
    identity
        The id of the kept environment.

    Returns
    -------
    One sentence per difference, such as `scikit-learn 1.9.0 -> 1.9.1`: machine and numeric libraries first.
    """
    now = describe_environment()
    if digest_of(now) == identity:
        return ()
    if document is None:
        return (f"what changed is not known: environments/{short(identity)} is missing from the store",)
    before = {k: v for k, v in document.items() if k != "versions"}
    machine = [_change(k, v, now.get(k)) for k, v in sorted(before.items()) if v != now.get(k)]
    old, new = document["versions"], now["versions"]
    names = sorted(old.keys() | new.keys(), key=lambda n: (_CORE.index(n) if n in _CORE else len(_CORE), n))
    return (*machine, *(_change(n, old.get(n), new.get(n)) for n in names if old.get(n) != new.get(n)))


def lock_differences(lock: Path) -> tuple[str, ...]:
    """Say how what is installed differs from a lock file in pip's format; packages it does not name are left out.

    Returns
    -------
    One text per difference, such as `numpy 2.4.1 instead of 2.4.0`, sorted.

    Raises
    ------
    SpecError
        When the file cannot be read as a lock.
    """
    installed = {canonicalize_name(name): version for name, version in _installed()["versions"].items()}
    found = []
    for requirement in _locked(lock):
        there = installed.get(canonicalize_name(requirement.name))
        if there is None or not requirement.specifier.contains(there, prereleases=True):
            wanted = str(requirement.specifier).removeprefix("==")
            found.append(f"{requirement.name} {there or 'absent'} instead of {wanted}")
    return tuple(sorted(found))


def unpinned(lock: Path) -> tuple[str, ...]:
    """Say which core packages a lock file names no exact version of, and what it says instead, such as `numpy (>=2)`.

    Raises
    ------
    SpecError
        When the file cannot be read as a lock.
    """
    named: dict[str, list[Requirement]] = {}
    for requirement in _locked(lock):
        named.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return tuple(f"{name} ({_as_locked(named.get(name, []))})" for name in _CORE if not _is_exact(named.get(name, [])))


def _is_exact(requirements: list[Requirement]) -> bool:
    pins = [pin for requirement in requirements for pin in requirement.specifier]
    return any(pin.operator == "===" or (pin.operator == "==" and not pin.version.endswith(".*")) for pin in pins)


def _as_locked(requirements: list[Requirement]) -> str:
    return ", ".join(str(r.specifier) or "any" for r in requirements) or "not named"


def _locked(lock: Path) -> list[Requirement]:
    try:
        lines = [line.split(" #")[0].strip(" \\") for line in lock.read_text(encoding="utf-8").splitlines()]
        listed = [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]
    except (OSError, UnicodeDecodeError, InvalidRequirement) as error:
        why = " ".join(str(error).split())
        raise SpecError(f"{lock}: is no lock file: {why}. Set RETRAINING_LOCK to one, as pip freeze writes.") from error
    if not listed:
        raise SpecError(f"{lock}: locks no package. Set RETRAINING_LOCK to a lock file, as pip freeze writes.")
    return [r for r in listed if r.marker is None or r.marker.evaluate()]


@contextmanager
def threads_of(document: Mapping[str, Any] | None) -> Iterator[None]:
    """Use as many threads as a kept environment did: the one difference that a process can undo by itself."""
    with threadpool_limits(None if document is None else document["threads"]):
        yield


@cache
def _installed() -> dict[str, Any]:
    # the kernels are those that a model computes with, whatever else this process has loaded so far
    importlib.import_module("sklearn.linear_model")
    described = [d.metadata for d in distributions()]  # each is read and parsed anew whenever it is asked for
    versions = {m["Name"].lower(): m["Version"] for m in described}
    kernels = sorted({f"{p['internal_api']} {p['version']} {p.get('architecture', '')}" for p in threadpool_info()})
    return {
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "kernels": kernels,
        "versions": dict(sorted(versions.items())),
    }


def _threads() -> dict[str, int]:
    """Return the size of each kind of thread pool, as it is and not as a variable would have it."""
    _installed()  # loads the pools
    pools: dict[str, int] = {}
    for pool in threadpool_info():
        pools[pool["user_api"]] = max(pools.get(pool["user_api"], 1), pool["num_threads"])
    return dict(sorted(pools.items()))


def _change(name: str, before: object, now: object) -> str:
    return f"{name} {_shown(before)} -> {_shown(now)}"


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(str(v).strip() for v in value)
    return "absent" if value is None else str(value)


def _key(identity: str) -> str:
    return f"environments/{identity}.json"
