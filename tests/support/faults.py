"""A place for faults: a copy of an installation with a champion, and the proof that a fault did it no harm."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from retraining.data import chunks, ingest, snapshots
from retraining.errors import SpecError
from retraining.records import Champion, Snapshot, Window
from retraining.workspace import Workspace
from samples.tiny import NAME, day, environ, merged, retrain, rows, write_csv
from tests.support.lived import copy_of
from tests.support.pictures import undrawn
from tests.support.preflight import in_this_process

N_DAYS, AS_OF = 44, day(43)
CHAMPION_AS_OF = day(40)
SPAN = Window(day(39), day(42))
"""What a run as of `AS_OF` reads that the champion's run did not: faults are put into its middle day, 40."""
FIRST = 40 * 40
"""The first row of the faulty day."""


class Killed(Exception):
    """Raise when a process was killed as intended."""


@dataclass(frozen=True)
class Before:
    """What must be as it was after a fault."""

    files: dict[str, str]
    champions: list[Champion]
    readings: dict[str, Any]


@dataclass
class Bed:
    """An installation with a champion, and what tests do to it."""

    pristine: Workspace
    workspace: Workspace
    patch: pytest.MonkeyPatch
    faults: ExitStack = field(default_factory=ExitStack)
    """Ends the fault when it is closed: what is unplugged is plugged in again."""
    known: set[str] = field(default_factory=set)

    @property
    def models(self) -> Path:
        """The folder of the YAML and its files."""
        return self.workspace.settings.models

    @property
    def store(self) -> Path:
        """The folder of the store."""
        return self.workspace.settings.home / "store"

    # --- faults ---------------------------------------------------------------------------------------------------

    def put(self, name: str, content: str | bytes | pa.Table) -> Path:
        """Write a file beside the YAML."""
        path = self.models / name
        if isinstance(content, pa.Table):
            pq.write_table(content, path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def change(self, **groups: Mapping[str, Any]) -> None:
        """Change keys of the YAML."""
        path = self.models / f"{NAME}.yaml"
        path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), groups), sort_keys=False))

    def read_from(self, **source: Any) -> None:
        """Read from another source."""
        kinds = {"files": None, "query": None, **source}
        self.change(data={"source": kinds})

    def query(self, sql: str, **data: Any) -> None:
        """Read the rows by a query over the CSV file."""
        self.put("q.sql", sql)
        self.change(data={"source": {"query": "q.sql"}, **data})

    # --- runs -----------------------------------------------------------------------------------------------------

    def retrain(self) -> Any:
        """Run a whole retraining up to its verdict."""
        return retrain(self.workspace, AS_OF, dry_run=True)

    def ingest(self) -> Snapshot:
        """Read and freeze the span."""
        reader = self.workspace.reader(self.workspace.spec(NAME))
        extent = ingest.read_window(reader, SPAN, AS_OF)
        return snapshots.freeze(reader, extent, SPAN, AS_OF, labels=True)

    def kill(self, moment: str, where: str) -> None:
        """Run the command line in another process and kill it at a call.

        Raises
        ------
        Killed
            When it was.
        """
        command = [sys.executable, "-m", "tests.support.killed", moment, where, "run", NAME, "--as-of"]
        env = {**os.environ, **environ(self.workspace.settings)}
        done = subprocess.run([*command, AS_OF.isoformat()], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == -9, done.stderr[-2000:]
        raise Killed(f"killed {moment} {where}")

    # --- proof ----------------------------------------------------------------------------------------------------

    def before(self) -> Before:
        """Remember what a run must not change."""
        return Before(self._files(), self.workspace.ledger.champions(NAME), self._readings())

    def unharmed(self, before: Before, *, stored: bool) -> None:
        """Assert that nothing was promoted, lost or half written; `stored`: the span's rows are right as rows."""
        after = self._files()
        assert {key: after.get(key) for key in before.files} == before.files, "a stored file was altered or lost"
        assert [key for key in after if key.endswith(".tmp")] == []
        assert self.workspace.ledger.champions(NAME) == before.champions
        readings = self._readings()
        if not stored:
            assert readings == {source: before.readings.get(source, {}) for source in readings}, (
                "rows of a wrong source were kept"
            )
        for found in (c for seen in readings.values() for known in seen.values() for r in known for c in r.chunks):
            if chunks.key_of(found.id) not in before.files:
                assert chunks.read(self.workspace.store, found).num_rows == found.n_rows

    def mend(self) -> None:
        """End the fault: source and YAML are as they were, and what was unplugged is back."""
        self.faults.close()
        self.patch.undo()
        shutil.rmtree(self.models)
        shutil.copytree(self.pristine.settings.models, self.models)
        shutil.copytree(self.pristine.settings.home / "store", self.store, dirs_exist_ok=True)

    def _files(self) -> dict[str, str]:
        found = (path for path in self.store.rglob("*") if path.is_file())
        return {str(path.relative_to(self.store)): sha256(path.read_bytes()).hexdigest() for path in found}

    def _readings(self) -> dict[str, Any]:
        """Return the readings of the span, by the sources that this installation has had."""
        with suppress(SpecError):  # a YAML that cannot be read names no further source
            self.known.add(self.workspace.reader(self.workspace.spec(NAME)).source_id)
        return {source: self.workspace.ledger.readings(source, SPAN) for source in sorted(self.known)}


def good_rows() -> pd.DataFrame:
    """Return the rows without a fault."""
    return rows(range(N_DAYS))


def bed_in(folder: Path, pristine: Workspace, patch: pytest.MonkeyPatch) -> Bed:
    """Copy the installation into a folder."""
    bed = Bed(pristine, copy_of(pristine, folder), patch)
    bed.before()  # its source is known from now on
    return bed


def install(folder: Path) -> Workspace:
    """Return an installation with a champion; its CSV is named relative to the YAML, so that a copy has its own."""
    from samples.tiny import tiny

    workspace = tiny(folder, good_rows(), {"data": {"source": {"files": f"{NAME}.csv"}}})
    with in_this_process(), undrawn():
        assert retrain(workspace, CHAMPION_AS_OF).deployment is not None
    return workspace


# --- faults of the source's rows ----------------------------------------------------------------------------------

Fault = Callable[[Bed], object]


def text(change: Callable[[str], str | bytes]) -> Fault:
    """Change the CSV file's text."""
    return lambda bed: bed.put(f"{NAME}.csv", change((bed.models / f"{NAME}.csv").read_text()))


def frame(change: Callable[[pd.DataFrame], pd.DataFrame], **groups: Any) -> Fault:
    """Change the CSV file's rows, and keys of the YAML."""

    def fault(bed: Bed) -> None:
        write_csv(bed.models / f"{NAME}.csv", change(good_rows()))
        bed.change(**groups)

    return fault


def parquet(change: Callable[[pa.Table], pa.Table]) -> Fault:
    """Give the rows as Parquet, with a change."""

    def fault(bed: Bed) -> None:
        bed.put("rows.parquet", change(pa.Table.from_pandas(good_rows(), preserve_index=False)))
        bed.read_from(files="rows.parquet")

    return fault


def python(body: str) -> Fault:
    """Give the rows by a Python function whose `frame` holds the good ones."""

    def fault(bed: Bed) -> None:
        read = f"pandas.read_csv({str(bed.models / f'{NAME}.csv')!r}, parse_dates=['time'])"
        bed.put("rows.py", f"import pandas\n\ndef read(start, end):\n    frame = {read}\n    {body}\n")
        bed.read_from(function="rows.py:read")

    return fault


def at(rows: pd.DataFrame, row: int = FIRST, **values: Any) -> pd.DataFrame:
    """Set values in a row, whatever the column's type."""
    rows = rows.astype(dict.fromkeys(values, object))
    for name, value in values.items():
        rows.at[row, name] = value
    return rows


# --- faults of the machine ----------------------------------------------------------------------------------------


def full_disk(bed: Bed) -> None:
    """Put the store on a disk with room for a page or two; mended, it has room again."""
    _mounted(bed, "16m")
    free = os.statvfs(bed.store)
    filler = bed.store / "filler"
    filler.write_bytes(bytes((free.f_bavail - 3) * free.f_bsize))
    bed.faults.callback(filler.unlink)


def read_only(bed: Bed) -> None:
    """Make the store read-only; mended, it can be written."""
    _mounted(bed, "16m")
    _run("mount", "-o", "remount,ro", bed.store)
    bed.faults.callback(_run, "mount", "-o", "remount,rw", bed.store)


def unreadable(bed: Bed) -> None:
    """Take the right to read the source away, from root too."""
    (bed.models / f"{NAME}.csv").chmod(0)
    bed.faults.enter_context(_without_privilege())


def _mounted(bed: Bed, size: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk of its own")
    away = bed.store.with_name("away")
    bed.store.rename(away)
    bed.store.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(bed.store)], check=False)
    if done.returncode:
        pytest.skip("this machine lets nobody mount a disk")
    MOUNTED.append(bed.store)
    shutil.copytree(away, bed.store, dirs_exist_ok=True)


MOUNTED: list[Path] = []
"""Disks to be taken away when the test is over."""


def unmount() -> None:
    """Take away the disks that a test mounted."""
    while MOUNTED:
        _run("umount", MOUNTED.pop())


def _run(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True)


@contextmanager
def _without_privilege() -> Iterator[None]:
    """Give up, in this thread and those it starts, the capability by which root reads whatever it likes."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3 of the interface; this thread
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: low words, then high words
    assert libc.capget(header, sets) == 0
    effective = sets[0]
    sets[0] = effective & ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = effective
        assert libc.capset(header, sets) == 0
