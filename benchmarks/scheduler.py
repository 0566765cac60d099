"""What Airflow adds to a retraining: warm workers, cold workers, and one plain process, in one run of this program."""

from __future__ import annotations

import itertools
import json
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.figures import Figure, Report, times
from benchmarks.processes import THREADS, environment, run, run_json

MODEL, _DAG = "flight_delay", "retrain__flight_delay"
_AS_OF = "2025-08-18T00:00:00+00:00"
_IDLE = "announce"
"""The task with next to no work: it reads one verdict and prints a sentence."""
_TIMEOUT_S = 1200.0
"""Far more than a retraining takes with cold workers on a busy machine."""


@dataclass(frozen=True)
class _Run:
    """A run through the scheduler, in seconds."""

    wall: float
    gaps: tuple[float, ...]
    tasks: dict[str, float]


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Retrain four times, each in an installation of its own: plainly, stage by stage, warm and cold."""
    plain = run(["-m", "retraining", "run", MODEL, "--as-of", _AS_OF], environment(folder / "plain"))
    report(f"one plain cold process: {plain.duration_s:.1f} s")
    inside = run_json(["-m", "benchmarks.scheduler"], environment(folder / "stages"))
    stages, ours = sum(inside["stages"].values()), float(inside["ours"])
    report(f"the stages alone, imports done: {stages:.1f} s")
    warm = _through_scheduler(folder / "warm", warm=True)
    report(f"warm workers: {warm.wall:.1f} s")
    cold = _through_scheduler(folder / "cold", warm=False)
    report(f"cold workers: {cold.wall:.1f} s")
    yield Figure("one plain cold process", f"{plain.duration_s:.1f} s")
    yield Figure("the stages alone, imports done", f"{stages:.1f} s", times(stages, plain.duration_s, "plain"))
    yield from _figures("warm workers", warm, plain.duration_s, "1.5 s")
    yield Figure("      of which ours: parse, open, read", f"{ours:.2f} s", target="0.3 s")
    yield from _figures("cold workers", cold, plain.duration_s, "")


def _figures(name: str, found: _Run, plain_s: float, target: str) -> Iterator[Figure]:
    """What a task costs beside its work: the pause before it, and all of a task that does next to nothing."""
    gap, idle = statistics.mean(found.gaps), found.tasks[_IDLE]
    yield Figure(f"{name}: the whole run", f"{found.wall:.1f} s", times(found.wall, plain_s, "plain"))
    yield Figure("  added per task", f"{gap + idle:.2f} s", f"{len(found.tasks)} tasks in a row", target)
    yield Figure("    between two tasks (the scheduler)", f"{gap:.2f} s")
    yield Figure(f"    inside a task that does nothing ({_IDLE})", f"{idle:.2f} s")


def _through_scheduler(home: Path, *, warm: bool) -> _Run:
    from retraining_airflow.demo.stack import Stack
    from retraining_airflow.demo.story import copy_models

    home.mkdir(parents=True)
    copy_models(home / "models")
    stack = Stack(home, home / "models", warm=warm, threads=THREADS)
    try:
        stack.start()
        stack.wait_for_dags({_DAG})
        run_id = stack.trigger(_DAG, {"as_of": _AS_OF, "reason": "measured"})
        end = time.monotonic() + _TIMEOUT_S
        while (state := stack.run_state(_DAG, run_id)) not in ("success", "failed") and time.monotonic() < end:
            stack.check()
            time.sleep(1)  # polling a server's state
        if state != "success":
            raise RuntimeError(f"{_DAG} ended as {state}; logs were under {home / 'logs'}")
        run_record = next(r for r in stack.runs(_DAG) if r["dag_run_id"] == run_id)
        tasks = sorted(stack.tasks(_DAG, run_id), key=lambda t: str(t["start_date"]))
    finally:
        stack.stop()
    return _Run(
        wall=_between(run_record["queued_at"] or run_record["start_date"], run_record["end_date"]),
        gaps=tuple(_between(a["end_date"], b["start_date"]) for a, b in itertools.pairwise(tasks)),
        tasks={t["task_id"]: _between(t["start_date"], t["end_date"]) for t in tasks},
    )


def _between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _main() -> None:
    """Run the stages in this process after all imports; print seconds per stage."""
    os.environ["RETRAINING_WARM"] = "1"
    from retraining.pipeline import whole
    from retraining.pipeline.admission import admit
    from retraining.settings import settings
    from retraining.windows import parse_time
    from retraining.workspace import Workspace
    from retraining_airflow.warming import warm

    warm(["airflow", "scheduler"])
    seconds: dict[str, float] = {}
    last = time.perf_counter()

    def note(stage: str, _text: str) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds[stage], last = now - last, now

    work, when = Workspace(settings()), parse_time(_AS_OF)
    frozen = work.spec(MODEL)
    admission = admit(work, frozen, as_of=when, fallback=when, trigger="person", reason="measured", dry_run=False)
    note("admit", "")
    whole.run(work, admission, note)
    print(json.dumps({"stages": seconds, "ours": _start_of_a_task()}))


def _start_of_a_task() -> float:
    """Time what our code does before a task's own work: build its DAG, open the workspace, read from the ledger."""
    from benchmarks.parse import only, parse
    from retraining_airflow import boundary

    parse(("retrain",))  # the first pays for imports, which a warm worker has done
    with only(_DAG):
        started = time.perf_counter()
        parse(("retrain",))
        with boundary.stage() as work:
            work.ledger.verdicts(MODEL)
        return time.perf_counter() - started


if __name__ == "__main__":
    _main()
