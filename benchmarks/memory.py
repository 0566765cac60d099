"""Peak memory and wall time of a whole retraining of the example, in one cold process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, Report, times
from benchmarks.processes import environment, run

_AS_OF = "2025-08-18"
_GIB = 2**30


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Import everything, then retrain, each in a process of its own."""
    variables = environment(folder)
    imports = run(
        ["-c", "from retraining_airflow.warming import warm; warm(['airflow', 'scheduler'])"],
        {**variables, "RETRAINING_WARM": "1"},
    )
    report(f"importing everything: {imports.peak_bytes / _GIB:.2f} GiB")
    cold = run(["-m", "retraining", "run", "flight_delay", "--as-of", _AS_OF], variables)
    report(f"the whole retraining: {cold.peak_bytes / _GIB:.2f} GiB in {cold.duration_s:.0f} s")
    again = run(["-m", "retraining", "run", "flight_delay", "--as-of", _AS_OF], variables)
    report(f"the same again: {again.peak_bytes / _GIB:.2f} GiB in {again.duration_s:.0f} s")
    yield Figure(
        "peak memory of a retraining",
        f"{cold.peak_bytes / _GIB:.2f} GiB",
        times(cold.peak_bytes, imports.peak_bytes, "its imports"),
        "2 GiB",
    )
    yield Figure("  wall time, one cold process", f"{cold.duration_s:.1f} s")
    yield Figure("  the same again", f"{again.duration_s:.1f} s", times(again.duration_s, cold.duration_s, "the first"))
