"""Two writers at once end with one copy, and each knows the file that stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from retraining.store import Store
from samples.tiny import environ, tiny

INGEST = """
import json, sys
from retraining.data import ingest, snapshots
from retraining.records import Window, to_dict
from retraining.settings import settings
from retraining.workspace import Workspace
from samples.tiny import day
work = Workspace(settings())
reader, window = work.reader(work.spec("tiny")), Window(day(0), day(28))
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
extent = ingest.read_window(reader, window, day(30))
print(json.dumps(to_dict(snapshots.freeze(reader, extent, window, day(30), labels=True))))
"""


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_of_many_writers_of_a_key_one_wins(tmp_path: Path, scheme: str) -> None:
    store = Store(tmp_path.as_uri() if scheme == "file" else f"memory://{tmp_path.name}")
    with ThreadPoolExecutor(8) as pool:
        for number in range(20):
            won = list(pool.map(lambda n, key=f"a/{number}": store.write_once(key, str(n).encode()), range(8)))
            assert sum(won) == 1 or scheme == "memory"  # threads share its dictionary without a lock of its own
            assert int(store.read(f"a/{number}")) in [n for n, first in enumerate(won) if first]
    assert not list(tmp_path.rglob("*.tmp"))


def test_two_ingestions_at_once_end_with_one_copy(tmp_path: Path) -> None:
    workspace = tiny(tmp_path)
    root = Path(__file__).parents[3]
    environment = {**os.environ, **environ(workspace.settings), "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", INGEST],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    one, two = (json.loads(writer.communicate(timeout=120)[0]) for writer in writers)
    assert one == two
    store = workspace.settings.home / "store"
    assert len(list(store.rglob("chunks/*/*.parquet"))) == len({c["id"] for c in (*one["features"], *one["labels"])})
    assert not list(store.rglob("*.tmp"))
