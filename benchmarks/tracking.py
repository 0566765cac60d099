"""What logging a model to MLflow costs, beside MLflow's defaults."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Report, times
from benchmarks.processes import environment
from retraining.settings import settings

_REPEATS = 5


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Log a fitted pipeline as the release stage does, then as MLflow does when it is told nothing."""
    import mlflow
    import numpy as np
    import pandas as pd

    from retraining.artifacts.features import FeaturePlan, make_model
    from retraining.artifacts.registry import Registry
    from retraining.artifacts.stored import ALLOWED_TYPES

    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {f"x{i}": random.normal(size=5000) for i in range(12)} | {"k": random.choice(list("abc"), 5000)}
    )
    plan = FeaturePlan(tuple(f"x{i}" for i in range(12)), ("k",))
    pipeline = make_model("sklearn.ensemble.HistGradientBoostingClassifier", {"max_iter": 80}, plan, seed=0)
    pipeline.fit(frame, frame["x0"] > 0)
    example = frame.head(5)
    registry = Registry(settings(environment(folder)))

    def ours(key: str) -> None:
        with registry.run("bench", key, "measured", {}) as run:
            registry.log_model(run.id, pipeline, example, pipeline.predict_proba(example)[:, 1])

    def told_nothing(key: str) -> None:
        with registry.run("bench", key, "measured", {}) as run, mlflow.start_run(run_id=run.id):
            options: dict[str, Any] = {"serialization_format": "skops", "skops_trusted_types": sorted(ALLOWED_TYPES)}
            mlflow.sklearn.log_model(pipeline, name="model", **options)

    first = _timed(ours, "first")
    report(f"the first, with a new database: {first:.2f} s")
    usual = statistics.median(_timed(ours, f"again {i}") for i in range(_REPEATS))
    report(f"the next: {usual:.2f} s")
    default = _timed(told_nothing, "default")
    report(f"without signature and requirements: {default:.2f} s")
    yield Figure("log a model", f"{usual:.2f} s", times(usual, default, "MLflow's default"), "1 s")
    yield Figure("  the first, with a new database", f"{first:.2f} s")
    yield Figure("  without signature and requirements", f"{default:.2f} s", times(default, usual, "ours"))


def _timed(action: Callable[[str], None], key: str) -> float:
    started = time.perf_counter()
    action(key)
    return time.perf_counter() - started
