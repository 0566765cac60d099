"""What a retraining costs beside the fits in it: in one process, and through forked workers as Airflow runs it.

The example is retrained end to end, from admission to deployment, three weeks in a row. The first run reads a year from
the source, which happens once; the second is the weekly one, and gives the ratio. Right after each fit in it, the same
estimator is fitted on the same matrix once more, so that the bare fits are measured on the same machine in the same
minutes; their time is taken out of the run. The third runs each stage in a process of its own, forked from one that has
imported everything, the two candidates side by side: what a warm Airflow worker does, without the scheduler's pauses.
Imports of the stages are left out everywhere; the preflight's fresh interpreter, with its imports, is counted.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Report, times
from benchmarks.processes import environment, run_json

_MODEL, _FIRST, _WEEK = "flight_delay", datetime(2025, 8, 18, tzinfo=UTC), timedelta(days=7)
_STAGES = ("ingest", "validate", "train", "evaluate", "gate", "release", "deploy")
_FITTING = ("retraining.train.folds", "retraining.train.choose", "retraining.rollout.release")
"""Modules that fit: each has the function under its own name."""
_IN_ONE, _THROUGH_WORKERS = 1.8, 1.5
"""Most times the bare fits that a weekly retraining may take."""


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Retrain twice in one process, then once through forked ones, in an installation of its own."""
    variables = environment(folder)
    first, weekly = run_json(["-m", "benchmarks.retrain_cost", "one"], variables)
    report(f"the first run {first['wall']:.1f} s, the weekly one {weekly['wall']:.1f} s, in one process")
    warm = run_json(["-m", "benchmarks.retrain_cost", "warm"], variables)
    report(f"through forked workers {warm['wall']:.1f} s")
    bare = weekly["bare"]
    for name, found in (("first", first), ("weekly", weekly)):
        target = f"{_IN_ONE} x" if found is weekly else ""
        ratio = times(found["wall"], found["bare"], f"its {found['n_fits']} bare fits")
        yield Figure(f"{name} retraining, one process", f"{found['wall']:.1f} s", ratio, target)
        ratio = times(found["processor"], found["bare_processor"], "its bare fits'")
        yield Figure("  processor time", f"{found['processor']:.1f} s", ratio)
        yield from (Figure(f"  {stage}", f"{took:.1f} s", "without fits") for stage, took in found["stages"].items())
        yield Figure("  waiting for the preflight", f"{found['preflight']:.1f} s", "counted above")
    ratio = times(warm["wall"], bare, "the same bare fits")
    what = "weekly, forked workers, candidates side by side"
    yield Figure(what, f"{warm['wall']:.1f} s", ratio, f"{_THROUGH_WORKERS} x")
    yield from (Figure(f"  {stage}", f"{took:.1f} s", "with fits") for stage, took in warm["stages"].items())


class _Clock:
    """Adds up what fits, bare fits and preflights take."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start again from nothing."""
        self.fits = self.bare = self.bare_processor = self.preflight = 0.0
        self.n_fits = 0

    def watch(self) -> None:
        """Put itself around the functions that fit and that start an interpreter."""
        for module in _FITTING:
            self._wrap(sys.modules[module], "fit", self._fit)
        self._wrap(sys.modules["retraining.artifacts.preflight"].Preflight, "answer", self._preflight)

    @staticmethod
    def _wrap(place: Any, name: str, by: Callable[..., Any]) -> None:
        own = getattr(place, name)
        setattr(place, name, lambda *given: by(own, *given))

    def _fit(self, own: Callable[..., Any], *given: Any) -> Any:
        from sklearn.base import clone

        data, among = given[4], given[5] if len(given) > 5 else slice(None)
        begun = time.perf_counter()
        fitted = own(*given)
        self.fits += time.perf_counter() - begun
        x, y = data.x[among], data.y[among]
        again, before = clone(fitted), _processor()
        begun = time.perf_counter()
        again.fit(x, y)
        self.bare += time.perf_counter() - begun
        self.bare_processor += _processor() - before
        self.n_fits += 1
        return fitted

    def _preflight(self, own: Callable[..., Any], *given: Any) -> Any:
        begun = time.perf_counter()
        try:
            return own(*given)
        finally:
            self.preflight += time.perf_counter() - begun


def _processor() -> float:
    """Return the processor seconds of this process and of the children that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _import_stages() -> None:
    from retraining_airflow.warming import warm

    os.environ["RETRAINING_WARM"] = "1"
    if not warm(["airflow", "scheduler"]):
        raise RuntimeError("nothing was imported: this measurement needs Linux")


def _one_process() -> list[dict[str, Any]]:
    _import_stages()
    clock = _Clock()
    clock.watch()
    return [_retrain(clock, _FIRST + _WEEK * number) for number in range(2)]


def _retrain(clock: _Clock, as_of: datetime) -> dict[str, Any]:
    """Retrain in this process; return seconds, those of the bare fits taken out."""
    from retraining.pipeline import whole
    from retraining.settings import settings
    from retraining.workspace import Workspace

    clock.begin()
    before = _processor()
    stages: dict[str, float] = dict.fromkeys(_STAGES, 0.0)
    mark = begun = time.perf_counter()
    out = 0.0

    def report(stage: str, _text: str) -> None:
        nonlocal mark, out
        now, spent = time.perf_counter(), clock.fits + clock.bare
        name = "train" if stage == "choose" else stage
        stages[name] = stages[name] + now - mark - (spent - out)
        mark, out = now, spent

    work = Workspace(settings())
    result = whole.run(work, _admit(work, as_of), report)
    wall = time.perf_counter() - begun - clock.bare
    if result.deployment is None or result.deployment.outcome != "deployed":
        raise RuntimeError(result.text)
    found = {"wall": wall, "bare": clock.bare, "n_fits": clock.n_fits, "preflight": clock.preflight}
    found |= {"processor": _processor() - before - clock.bare_processor, "bare_processor": clock.bare_processor}
    return {**found, "stages": {**stages, "the fits": clock.fits}}


def _admit(work: Any, as_of: datetime) -> Any:
    from retraining.pipeline.admission import admit

    return admit(
        work, work.spec(_MODEL), as_of=as_of, fallback=as_of, trigger="person", reason="measured", dry_run=False
    )


# --- forked workers -------------------------------------------------------------------------------------------------


def _forked() -> dict[str, Any]:
    """Run each stage in a process forked from this one; what crosses is what crosses between Airflow's tasks."""
    _import_stages()
    stages: dict[str, float] = {}
    begun = time.perf_counter()
    state: dict[str, Any] = {}
    for stage in ("admit", "ingest", "validate", "train", "choose", "evaluate", "gate", "release", "deploy"):
        mark = time.perf_counter()
        arguments = [{"index": index} for index in range(2)] if stage == "train" else [{}]
        workers = [_Worker(stage, {**state, **more}) for more in arguments]
        results = [worker.result() for worker in workers]
        state[stage] = results if stage == "train" else results[0]
        stages[stage] = time.perf_counter() - mark
    return {"wall": time.perf_counter() - begun, "stages": stages}


class _Worker:
    """A forked process that does one stage."""

    def __init__(self, stage: str, state: Mapping[str, Any]) -> None:
        context = multiprocessing.get_context("fork")
        self._stage = stage
        self._end, theirs = context.Pipe()
        self._process = context.Process(target=_do, args=(theirs, stage, dict(state)))
        self._process.start()
        theirs.close()

    def result(self) -> Any:
        """Return what the stage came to."""
        try:
            found = self._end.recv()
        except EOFError as error:
            raise RuntimeError(f"the forked {self._stage} ended without a result") from error
        self._process.join()
        return found


def _do(end: Any, stage: str, state: dict[str, Any]) -> None:
    from retraining.pipeline import retrain
    from retraining.settings import settings
    from retraining.workspace import Workspace

    work = Workspace(settings())
    admission = state.get("admit")
    ids = state.get("validate") or state.get("ingest")
    ingested = retrain.ingested_from(work, admission, ids) if ids and admission else None
    verdict = retrain.verdict_of(work, state["gate"]) if "gate" in state else None
    work_of: dict[str, Callable[[], Any]] = {
        "admit": lambda: _admit(work, _FIRST + 2 * _WEEK),
        "ingest": lambda: retrain.snapshot_ids(retrain.ingest(work, admission)),
        "validate": lambda: retrain.snapshot_ids(retrain.validate(work, admission, ingested).ingested),
        "train": lambda: retrain.try_candidate(work, admission, ingested, state["index"]),
        "choose": lambda: retrain.choose(work, admission, ingested, state["train"]),
        "evaluate": lambda: retrain.evaluate(work, admission, ingested, state["choose"]),
        "gate": lambda: retrain.gate(work, admission, state["evaluate"]).id,
        "release": lambda: retrain.release(work, admission, ingested, state["choose"], verdict).id,
        "deploy": lambda: retrain.deploy(work, verdict, state["release"], by="gate").outcome,
    }
    end.send(work_of[stage]())
    end.close()


if __name__ == "__main__":
    print(json.dumps(_one_process() if sys.argv[1] == "one" else _forked()))
