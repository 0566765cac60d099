"""What parsing the DAG files costs, once Airflow is imported, in CPU time: per model, and at the start of one task."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks.figures import Figure, Report, times
from benchmarks.processes import ROOT, environment, run_json

FAMILIES = ("retrain", "score", "monitor")
HEAVY = ("pandas", "numpy", "scipy", "sklearn", "mlflow", "great_expectations", "evidently")
_REPEATS = 15
_FEW, _MANY = 1, 50
_SIZES = (9, 5, 5)
"""Tasks of retrain, score and monitor."""


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Parse folders of one and of fifty copies of the example's YAML, each in a process of its own."""
    found: dict[int, Any] = {}
    for count in (_FEW, _MANY):
        models = _copies(folder / f"models-{count}", count)
        variables = environment(folder / "home", RETRAINING_MODELS=str(models))
        found[count] = run_json(["-m", "benchmarks.parse"], variables)
        every, one = found[count]["all_ms"], found[count]["one_ms"]
        report(f"{count} models: all DAGs in {every:.1f} ms, one task's start {one:.1f} ms")
    few, many = found[_FEW], found[_MANY]
    each = (many["all_ms"] - few["all_ms"]) / (_MANY - _FEW)
    yield Figure(
        "all DAGs of one model",
        f"{few['all_ms']:.1f} ms",
        times(few["all_ms"], few["bare_ms"], "bare DAGs of that size"),
        "20 ms",
    )
    yield Figure(
        f"each further model, of {_MANY}", f"{each:.1f} ms", times(each, few["all_ms"], "the only one"), "20 ms"
    )
    yield Figure("a task's start, 1 model", f"{few['one_ms']:.1f} ms")
    yield Figure(
        f"a task's start, {_MANY} models",
        f"{many['one_ms']:.1f} ms",
        times(many["one_ms"], few["one_ms"], "1 model"),
        "1 x",
    )
    yield Figure("heavy modules imported by parsing", ", ".join(many["heavy"]) or "none", target="none")


def _copies(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    source = ROOT / "include" / "models"
    values = yaml.safe_load((source / "flight_delay.yaml").read_text())
    (folder / "flight_delay.sql").write_text((source / "flight_delay.sql").read_text())
    for number in range(count):
        (folder / f"model_{number}.yaml").write_text(yaml.safe_dump(values))
    return folder


def _main() -> None:
    """Measure in this process; the median of several parses, the first of which pays for our own imports."""
    every = [parse(FAMILIES) for _ in range(_REPEATS + 1)][1:]
    with only("retrain__model_0"):
        one = [parse(FAMILIES[:1]) for _ in range(_REPEATS + 1)][1:]
    bare = [_bare() for _ in range(_REPEATS + 1)][1:]
    heavy = [name for name in HEAVY if name in sys.modules]
    medians = {"all_ms": every, "one_ms": one, "bare_ms": bare}
    print(json.dumps({**{k: statistics.median(v) for k, v in medians.items()}, "heavy": heavy}))


def _bare() -> float:
    """Build DAGs with as many tasks as ours and nothing else: what Airflow itself takes."""
    from airflow.sdk import DAG, task

    started = time.process_time()
    for number, size in enumerate(_SIZES):
        with DAG(f"bare_{number}"):
            tasks = [task(task_id=f"t{i}")(lambda: None)() for i in range(size)]
            for before, after in itertools.pairwise(tasks):
                before >> after
    return (time.process_time() - started) * 1000


@contextmanager
def only(dag_id: str) -> Iterator[None]:
    """Say that one DAG is wanted, as Airflow does at the start of a task."""
    from airflow.sdk.definitions.context import _AIRFLOW_PARSING_CONTEXT_DAG_ID as NAME

    os.environ[NAME] = dag_id
    try:
        yield
    finally:
        del os.environ[NAME]


def parse(files: tuple[str, ...]) -> float:
    """Parse DAG files; return CPU milliseconds."""
    started = time.process_time()  # of this process alone: other programs on the machine do not count
    for name in files:
        spec = importlib.util.spec_from_file_location(f"parsed_{name}", ROOT / "dags" / f"{name}.py")
        assert spec is not None and spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return (time.process_time() - started) * 1000


if __name__ == "__main__":
    _main()
