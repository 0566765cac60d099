"""What a second ingestion costs: on an unchanged window, and on one that moved by a day."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.figures import Figure, Report, times
from benchmarks.processes import environment
from retraining.pipeline import retrain
from retraining.pipeline.admission import admit
from retraining.records import Ingested
from retraining.settings import settings
from retraining.workspace import Workspace

MODEL = "flight_delay"
_AS_OF = datetime(2025, 8, 18, tzinfo=UTC)


@dataclass(frozen=True)
class _Pass:
    ingested: Ingested
    duration_s: float
    n_bytes: int


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Ingest the example's window for the first time, again, and as of a day later."""
    work = Workspace(settings(environment(folder)))
    chunk_folder = folder / "store" / "chunks"
    passes = []
    for name, as_of in (("first", _AS_OF), ("again", _AS_OF), ("a day later", _AS_OF + timedelta(days=1))):
        passes.append(_ingest(work, as_of, chunk_folder))
        p = passes[-1].ingested
        report(f"{name}: {p.n_partitions_read} partitions read, {p.n_chunks_written} chunks written")
    first, again, moved = passes
    days = len(first.ingested.refit.features)
    chunks = (*moved.ingested.refit.features[-1:], *moved.ingested.refit.labels[-1:])
    one_day = sum(c.n_bytes for c in chunks)
    yield Figure("first ingestion", _seconds(first), f"{days} days, {first.n_bytes / 1e6:.1f} MB stored")
    yield Figure("unchanged window", _seconds(again), times(again.duration_s, first.duration_s, "the first"))
    yield Figure("  partitions read", str(again.ingested.n_partitions_read), target="0")
    yield Figure("  chunks written", str(again.ingested.n_chunks_written), target="0")
    yield Figure("window moved by a day", _seconds(moved), times(moved.duration_s, first.duration_s, "the first"))
    yield Figure("  partitions read", str(moved.ingested.n_partitions_read), target="look-back and the new day")
    yield Figure("  chunks written", str(moved.ingested.n_chunks_written), target="2 (features and labels)")
    ratio = times(moved.n_bytes, one_day, "the new day's chunks")
    yield Figure("  bytes stored", f"{moved.n_bytes:,}", ratio, "1.00 x")


def _ingest(work: Workspace, as_of: datetime, chunk_folder: Path) -> _Pass:
    admission = admit(
        work, work.spec(MODEL), as_of=as_of, fallback=as_of, trigger="person", reason="measured", dry_run=False
    )
    before, started = _size(chunk_folder), time.perf_counter()
    ingested = retrain.ingest(work, admission)
    return _Pass(ingested, time.perf_counter() - started, _size(chunk_folder) - before)


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def _seconds(found: _Pass) -> str:
    return f"{found.duration_s:.2f} s"
