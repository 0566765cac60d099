"""The environment a model was made in: what decides whether a rebuild gives the same bits."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from importlib.metadata import distributions
from typing import Any

from threadpoolctl import threadpool_info

from retraining.records import digest_of

_CORE = ("scikit-learn", "numpy", "scipy", "pandas", "pyarrow", "skops")


@cache
def describe_environment() -> dict[str, Any]:
    """Return installed versions, Python, platform, numeric kernels and thread caps."""
    versions = {d.metadata["Name"].lower(): d.version for d in distributions()}
    kernels = sorted({f"{p['internal_api']} {p['version']} {p.get('architecture', '')}" for p in threadpool_info()})
    return {
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "kernels": kernels,
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "versions": dict(sorted(versions.items())),
    }


def environment_id() -> str:
    """Return the digest of the environment."""
    return digest_of(describe_environment())


def core_requirements() -> list[str]:
    """Return the exact requirements that a model needs to be loaded, for MLflow."""
    versions = describe_environment()["versions"]
    return [f"{name}=={versions[name]}" for name in _CORE if name in versions]
