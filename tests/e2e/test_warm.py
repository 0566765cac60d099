"""Tasks forked from a warm process fit on several threads and never hang."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.parse import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
N_FITS = 500
FIRST_CALL = """
import sys
from retraining.settings import settings
from retraining_airflow.warming import warm
assert warm(["airflow", "scheduler"])
from retraining.artifacts.registry import Registry
before = set(sys.modules)
Registry(settings()).version_of("model", "release")
stores = ("mlflow.store.tracking", "mlflow.store.model_registry")
print(sorted(name for name in set(sys.modules) - before if name.startswith(stores)))
"""
LIMIT_S = 60
"""A fit takes a fraction of a second; a busy machine may make it ten."""


def forks(*arguments: object) -> dict[str, int]:
    """Fork fits from a warm process of its own, in which nothing but `warm` caps the thread pools."""
    env = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")} | {"RETRAINING_WARM": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.forks", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=850)
    assert done.returncode == 0, done.stderr[-3000:]
    ends: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return ends


def test_500_forked_fits_end() -> None:
    assert forks(N_FITS, LIMIT_S) == {"done": N_FITS, "failed": 0, "hung": 0}


def test_a_hang_would_be_seen() -> None:
    """A parent that used OpenMP itself leaves its children a pool of threads that do not exist."""
    assert forks(2, 15, "spoiled")["hung"] == 2


def test_a_tasks_first_call_to_mlflows_own_tables_imports_nothing_more(tmp_path: Path) -> None:
    env = os.environ | {"RETRAINING_WARM": "1", "RETRAINING_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FIRST_CALL],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "[]"
