"""Runs measurements and prints one table: `python -m benchmarks [NAME ...]`.

Without names, all but those that take many minutes: gate_error_rates (up to 5,000 simulated verdicts for each truth of
the shipped defaults and of 48 kinds of tables), gate_keeps_gain (a year of retraining on four streams), gate_footing
(its weeks spoilt), gate_recovery (a change that lasts), gate_replaces (2,000 simulated replacements, and real ones),
gate_no_time (60 tables over 50 versions) and gate_forward (2,000 simulated releases for each of 8 cases, and a year of
real ones).
"""

from __future__ import annotations

import importlib
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure
from benchmarks.processes import quiet

NAMES = (
    *("ingest", "big", "lineage", "checklist", "parse", "startup", "mlflow", "memory"),
    *("retrain_cost", "scheduler", "fleet"),
)
LONG = (
    *("gate_error_rates", "gate_keeps_gain", "gate_footing", "gate_recovery", "gate_replaces", "gate_forward"),
    "gate_no_time",
)
"""Run only when they are named: what they show changes with the gate, not with the machine."""
_MODULES = {name: f"benchmarks.{name}" for name in (*NAMES, *LONG)} | {"mlflow": "benchmarks.tracking"}
_WIDTH_IN_PIPES = 140


def main(names: list[str]) -> int:
    """Run the named measurements, default all that are not long; return the exit code."""
    unknown = sorted(set(names) - set(_MODULES))
    if unknown:
        print(f"there is no measurement {', '.join(unknown)}. There is: {', '.join(_MODULES)}.", file=sys.stderr)
        return 2
    quiet()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)  # leave by the front door, so that what was started is ended
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_IN_PIPES)
    found: list[tuple[str, Figure]] = []
    for name in names or NAMES:
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
            measure = importlib.import_module(_MODULES[name]).measure
            for figure in measure(Path(folder), lambda text, name=name: console.print(f"[bold]{name:<10}[/] {text}")):
                found.append((name, figure))
    console.print(_table(found))
    return 0


def _end(number: int, _frame: FrameType | None) -> None:
    print(f"ended by {signal.Signals(number).name}", file=sys.stderr)
    raise SystemExit(128 + number)


def _table(found: list[tuple[str, Figure]]) -> Table:
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"
    table = Table(
        title=f"Measured in one run ({load})", title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    for name in ("", "what", "value", "ratio", "target"):
        table.add_column(name, overflow="fold", justify="right" if name == "value" else "left")
    previous = ""
    for name, figure in found:
        table.add_row("" if name == previous else name, figure.what, figure.value, figure.ratio, figure.target)
        previous = name
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
