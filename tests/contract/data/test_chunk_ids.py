"""Ids are of the rows alone: another version of pyarrow, which writes other files, gives the same ids."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from retraining.data import chunks

pytestmark = pytest.mark.slow

OTHER = ("pyarrow==18.1.0", "numpy<2.2", "pydantic", "fsspec")
ROOT = Path(__file__).parents[3]
SCRIPT = """
import datetime, sys, types
import pyarrow as pa
sys.modules["retraining"] = package = types.ModuleType("retraining")
package.__path__ = [{include!r} + "/retraining"]
from retraining.data import chunks
zone = datetime.timezone.utc
table = pa.table({{
    "key": pa.array([3, 1, 2, 4], pa.int16()),
    "text": pa.array(["\\u00fc", "", None, "two words"]).dictionary_encode(),
    "number": pa.array([0.1, -0.0, None, 1e300]),
    "flag": pa.array([True, None, False, True]),
    "big": pa.array([2**60, 1, None, -1]),
    "time": pa.array([datetime.datetime(2024, 3, 31, 1, 30, tzinfo=zone)] * 3 + [None], pa.timestamp("ms", "UTC")),
    "empty": pa.nulls(4),
}})
print(pa.__version__, chunks.content_id(chunks.normalise(table, ["key"])))
"""


def test_another_version_of_pyarrow_gives_the_same_id(tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(tmp_path / "venv")], check=True)
    subprocess.run([*uv, "pip", "install", "--python", str(python), *OTHER], check=True)
    script = SCRIPT.format(include=str(ROOT / "include"))
    other, ours = (_run([str(p), "-c", script]) for p in (python, sys.executable))
    assert other[0] == "18.1.0" != ours[0]
    assert other[1] == ours[1]
    assert chunks.key_of(ours[1]).endswith(f"{ours[1]}.parquet")


def _run(command: list[str]) -> list[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()
