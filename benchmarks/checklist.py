"""The whole checklist on a holdout of a million rows with ten slices: time beyond scoring both models, and memory.

A first champion is trained on four small weeks; then a week of a million rows is the holdout of the next run. The
measured process evaluates and decides, as the DAG's tasks do.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from benchmarks.figures import Figure, Report, times
from benchmarks.processes import environment, run
from retraining.stats.bootstrap import paired_difference
from retraining.stats.metrics import METRICS

_START = datetime(2024, 1, 1, tzinfo=UTC)
_N_TRAINING, _N_HOLDOUT, _N_BLOCKS = 20_000, 1_000_000, 28
_DAYS_BEFORE, _HOLDOUT_DAYS = 28, 7
_SECOND = _START + timedelta(days=_DAYS_BEFORE + _HOLDOUT_DAYS + 1)
_CASES = """
- {kind: invariance, name: the group decides little, set: {group: g0}, tolerance: 0.5}
- {kind: direction, name: more of a is more likely, set: {a: 3.0}, expect: increase}
"""


def measure(folder: Path, report: Report) -> Iterator[Figure]:
    """Prepare an installation up to the challenger, then evaluate it in a process of its own."""
    _write_model(folder / "models")
    variables = environment(folder / "home", RETRAINING_MODELS=str(folder / "models"))
    run(["-m", "benchmarks.checklist", "prepare"], variables)
    report(f"a champion and a challenger, {_N_HOLDOUT:,} holdout rows")
    ended = run(["-m", "benchmarks.checklist", "evaluate"], variables)
    found: dict[str, Any] = json.loads(ended.output.strip().splitlines()[-1])
    report(f"{found['decision']}; {found['n_items']} items on {found['n_rows']:,} rows in {found['n_blocks']} blocks")
    beyond = found["seconds"] - found["scoring"]
    yield Figure("the whole checklist", f"{found['seconds']:.1f} s", f"{found['n_slices']} slices")
    yield Figure("  scoring both models", f"{found['scoring']:.1f} s")
    yield Figure("  beyond that", f"{beyond:.1f} s", f"{beyond / found['scoring']:.2f} x scoring", "10 s")
    yield Figure("  peak memory", f"{ended.peak_bytes / 1e9:.2f} GB", "", "1.5 GB")
    yield from _comparisons()


def _comparisons() -> Iterator[Figure]:
    """Compare two models by each ranking metric on so many rows, 30 % of them positive: bootstrap and days left out."""
    random = np.random.default_rng(0)
    y = (random.random(_N_HOLDOUT) < 0.3).astype(float)
    new, old = random.normal(0.2 * y, 0.2, (2, _N_HOLDOUT))
    blocks, days = np.sort(random.integers(0, _N_BLOCKS, _N_HOLDOUT)), np.arange(_N_BLOCKS) // (_N_BLOCKS // 7)
    took = {}
    for name in ("roc_auc", "average_precision"):
        begun = time.process_time()
        paired_difference(METRICS[name], y, new, old, blocks, alpha=0.05, seed=0, days=days)
        took[name] = time.process_time() - begun
    yield Figure("a comparison by roc_auc", f"{took['roc_auc']:.2f} s", "processor time")
    ratio = times(took["average_precision"], took["roc_auc"], "roc_auc")
    yield Figure("a comparison by average_precision", f"{took['average_precision']:.2f} s", ratio, "8 x roc_auc")


def _write_model(models: Path) -> None:
    models.mkdir()
    random = np.random.default_rng(0)
    sizes = [*[_N_TRAINING // _DAYS_BEFORE] * (_DAYS_BEFORE), *[_N_HOLDOUT // _HOLDOUT_DAYS + 1] * _HOLDOUT_DAYS]
    days = np.repeat(np.arange(len(sizes)), sizes)
    n_rows = len(days)
    a, b = random.normal(size=n_rows), random.normal(size=n_rows)
    rows = pd.DataFrame(
        {
            "id": np.arange(n_rows),
            "at": pd.Timestamp(_START) + pd.to_timedelta(days * 86400 + random.integers(0, 86400, n_rows), unit="s"),
            "a": a,
            "b": b,
            "group": np.char.add("g", random.integers(0, 10, n_rows).astype(str)),
            "y": (random.random(n_rows) < 1 / (1 + np.exp(-a - b))).astype(int),
        }
    )
    rows.to_parquet(models / "large.parquet")
    (models / "large.sql").write_text('select * from data where "at" >= :start and "at" < :end\n')
    (models / "large.cases.yaml").write_text(_CASES)
    spec = {
        "description": "A million holdout rows.",
        "owner": {"business": "business@example.com", "technical": "technical@example.com"},
        "data": {
            "source": {"files": "large.parquet", "query": "large.sql"},
            "time_column": "at",
            "key": ["id"],
            "target": "y",
        },
        "training": {
            "task": "binary",
            "window": "20d",
            "folds": 2,
            "candidates": [{"estimator": "sklearn.linear_model.LogisticRegression"}],
        },
        "gate": {"holdout": "7d", "cases": "large.cases.yaml", "slices": [{"column": "group"}]},
    }
    (models / "large.yaml").write_text(yaml.safe_dump(spec))


def _prepare(home: Path) -> None:
    """Make the champion as of the end of the small days, and the challenger up to its evaluation."""
    from retraining.pipeline import retrain, whole
    from retraining.pipeline.admission import admit
    from retraining.records import to_dict
    from retraining.settings import settings
    from retraining.workspace import Workspace

    work = Workspace(settings())
    frozen = work.spec("large")

    def admitted(as_of: datetime) -> Any:
        return admit(work, frozen, as_of=as_of, fallback=as_of, trigger="person", reason="", dry_run=False)

    first = whole.run(work, admitted(_START + timedelta(days=_DAYS_BEFORE + 1)))
    if first.deployment is None or first.deployment.outcome != "deployed":
        raise RuntimeError(first.text)
    admission = admitted(_SECOND)
    ingested = retrain.validate(work, admission, retrain.ingest(work, admission)).ingested
    trained = retrain.train(work, admission, ingested)
    crossing = {
        "admission": to_dict(admission),
        "snapshots": retrain.snapshot_ids(ingested),
        "trained": to_dict(trained),
    }
    (home / "crossing.json").write_text(json.dumps(crossing))


def _evaluate(home: Path) -> dict[str, Any]:
    from retraining.artifacts import stored
    from retraining.pipeline import retrain
    from retraining.records import Admission, Trained, from_dict
    from retraining.settings import settings
    from retraining.workspace import Workspace

    crossing = json.loads((home / "crossing.json").read_text())
    scoring = 0.0
    predict = stored.StoredModel.predict

    def timed(self: Any, table: Any, where: str) -> Any:
        nonlocal scoring
        begun = time.perf_counter()
        found = predict(self, table, where)
        if table.num_rows >= _N_HOLDOUT:
            scoring += time.perf_counter() - begun
        return found

    stored.StoredModel.predict = timed  # type: ignore[method-assign]  # to take out what scoring itself costs
    work = Workspace(settings())
    admission, trained = from_dict(Admission, crossing["admission"]), from_dict(Trained, crossing["trained"])
    ingested = retrain.ingested_from(work, admission, crossing["snapshots"])
    begun = time.perf_counter()
    evaluation = retrain.evaluate(work, admission, ingested, trained)
    verdict = retrain.gate(work, admission, evaluation)
    return {
        "seconds": time.perf_counter() - begun,
        "scoring": scoring,
        "decision": verdict.decision,
        "n_items": len(verdict.checklist),
        "n_rows": evaluation.n_rows,
        "n_blocks": evaluation.n_blocks,
        "n_slices": len(evaluation.slices),
    }


if __name__ == "__main__":
    place = Path(os.environ["RETRAINING_HOME"])
    if sys.argv[1] == "prepare":
        _prepare(place)
    else:
        print(json.dumps(_evaluate(place)))
