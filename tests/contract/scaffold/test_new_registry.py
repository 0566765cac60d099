"""The candidates' tasks of a first retraining meet in a local MLflow that nobody has opened before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from retraining.artifacts.registry import Registry
from samples.tiny import NAME, environ, settings_in

pytestmark = pytest.mark.slow

_OPEN = f"""
import sys
from retraining.artifacts.registry import Registry
from retraining.settings import settings
print("ready", flush=True)
sys.stdin.readline()
with Registry(settings()).run("{NAME}", sys.argv[1], "candidate", {{}}) as run:
    run.params = {{"seed": 0}}
"""


def test_tasks_that_open_a_new_registry_at_once_each_write_their_run(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    env = {**os.environ, **environ(settings), "PYTHONWARNINGS": "ignore"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _OPEN, f"key{number}"],
            env=env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(3)
    ]
    for process in started:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=200)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    assert Registry(settings).alias(NAME) is None
