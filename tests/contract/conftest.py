"""One tiny loop, run once: its stages and the records they made."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from retraining.pipeline import monitor
from retraining.pipeline import retrain as stages
from retraining.pipeline.admission import admit
from retraining.predictions import batch
from retraining.workspace import Workspace
from samples.databases import give_mlflow
from samples.tiny import NAME, day, settings_in, tiny
from tests.support.lived import copy_of, live
from tests.support.shared import made_once

AS_OF, SCORED = day(40), day(41)
_RESULTS = "results.pickle"

Stage = Callable[[Workspace, dict[str, Any]], Any]
STAGES: dict[str, Stage] = {
    "admit": lambda w, _: admit(
        w, w.spec(NAME), as_of=AS_OF, fallback=AS_OF, trigger="person", reason="", dry_run=False
    ),
    "ingest": lambda w, r: stages.ingest(w, r["admit"]),
    "validate": lambda w, r: stages.validate(w, r["admit"], r["ingest"]),
    "try": lambda w, r: [stages.try_candidate(w, r["admit"], r["validate"].ingested, 0)],
    "train": lambda w, r: stages.choose(w, r["admit"], r["validate"].ingested, r["try"]),
    "evaluate": lambda w, r: stages.evaluate(w, r["admit"], r["validate"].ingested, r["train"]),
    "gate": lambda w, r: stages.gate(w, r["admit"], r["evaluate"]),
    "release": lambda w, r: stages.release(w, r["admit"], r["validate"].ingested, r["train"], r["gate"]),
    "deploy": lambda w, r: stages.deploy(w, r["gate"], r["release"].id, by="gate"),
    "pin": lambda w, _: batch.pin_champion(w, NAME),
    "predict": lambda w, r: batch.predict(
        w, w.spec(NAME), r["pin"], batch.windows_to_score(w, w.spec(NAME), r["pin"], SCORED) or _windows(r), SCORED
    ),
    "publish": lambda w, r: batch.publish(w, r["predict"]),
    "measure": lambda w, _: monitor.measure(w, w.spec(NAME), SCORED),
    "decide": lambda w, r: monitor.decide(w, w.spec(NAME), r["measure"]),
}
"""Every stage in order, with the outputs of those before it. A new stage gets the whole contract by being listed."""


def _windows(results: dict[str, Any]) -> list[Any]:
    """A batch that was published is predicted again for the same windows."""
    return [record.window for record in results["predict"]]


@dataclass(frozen=True)
class Loop:
    """An installation in which every stage has run, and what each stage gave."""

    workspace: Workspace
    results: dict[str, Any]

    def effects(self) -> dict[str, Any]:
        """Return everything a stage can have an effect on: store, ledger and MLflow."""
        home = self.workspace.settings.home
        store = {
            str(p.relative_to(home)): p.stat().st_mtime_ns for p in home.joinpath("store").rglob("*") if p.is_file()
        }
        return {
            "store": store,
            **_rows(self.workspace.settings.ledger),
            "mlflow": _rows(self.workspace.settings.mlflow),
        }


def _rows(url: str) -> dict[str, Any]:
    engine = create_engine(url)
    with engine.connect() as connection:
        tables = connection.execute(text("select name from sqlite_master where type = 'table'")).scalars().all()
        counts = {f"{name} rows": connection.execute(text(f"select count(*) from {name}")).scalar() for name in tables}
    engine.dispose()
    return counts


@pytest.fixture(scope="session")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """A loop that ran once, and a copy of it for this process."""
    made = made_once(tmp_path_factory, "loop", _run_through)
    results = pickle.loads((made / _RESULTS).read_bytes())
    return Loop(copy_of(Workspace(settings_in(made)), tmp_path_factory.mktemp("loop")), results)


def _run_through(folder: Path) -> None:
    """Run the whole loop, with a real preflight."""
    workspace = tiny(folder)
    give_mlflow(workspace.settings)
    results: dict[str, Any] = {}
    for name, stage in STAGES.items():
        results[name] = stage(workspace, results)
    assert results["deploy"].outcome == "deployed"
    workspace.ledger.close()
    (folder / _RESULTS).write_bytes(pickle.dumps(results))


@pytest.fixture(autouse=True)
def _others_are_drawn(quick_pictures: None) -> None:
    """The pictures of `loop` are drawn, once; those of unit tests are looked at."""


@pytest.fixture
def nothing(tmp_path: Path) -> Workspace:
    """An installation whose source has no rows."""
    workspace = tiny(tmp_path)
    path = workspace.settings.models / f"{NAME}.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    return workspace


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """An installation with three champions; nobody changes it."""
    made = made_once(tmp_path_factory, "lived", live)
    return copy_of(Workspace(settings_in(made)), tmp_path_factory.mktemp("lived"))


@pytest.fixture
def home(lived: Workspace, tmp_path: Path) -> Workspace:
    """A copy of it that a test may change."""
    return copy_of(lived, tmp_path)
