"""Parse the DAG folder in a process of its own, as Airflow does, and print what came of it as JSON.

`python -m tests.support.parse [DAG_ID ...]`: for a DAG, only its file and only for it, as a task's start does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "dags"
HEAVY = ("pandas", "numpy", "scipy", "sklearn", "mlflow", "great_expectations", "evidently")


@dataclass(frozen=True)
class Parsed:
    """What a parse gave: DAGs in Airflow's serialised form, errors by file, heavy modules, YAMLs that were read."""

    dags: dict[str, Any]
    errors: dict[str, str]
    heavy_before: list[str]
    heavy: list[str]
    yamls: list[str]


def parse(models: Path) -> Parsed:
    """Parse the DAGs of a folder of YAMLs in a new process."""
    return _run(models)[0]


def parse_at_task_start(models: Path, dag_ids: Sequence[str]) -> dict[str, Parsed]:
    """Parse for one DAG after the other in a new process."""
    return dict(zip(dag_ids, _run(models, *dag_ids), strict=True))


def _run(models: Path, *dag_ids: str) -> list[Parsed]:
    environ = {**os.environ, "RETRAINING_MODELS": str(models), "PYTHONHASHSEED": "random"}
    command = [sys.executable, "-m", "tests.support.parse", *dag_ids]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [Parsed(**one) for one in json.loads(done.stdout.splitlines()[-1])]


def file_of(dag_id: str) -> Path:
    """Return the file in which Airflow finds a DAG."""
    file = FOLDER / f"{dag_id.partition('__')[0]}.py"
    return file if file.exists() else FOLDER / "operations.py"


def _heavy() -> list[str]:
    return [name for name in HEAVY if name in sys.modules]


def _main(dag_ids: Sequence[str]) -> None:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager
    from airflow.serialization.serialized_objects import DagSerialization

    before, yamls, found = _heavy(), [], []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith((".yaml", ".yml")):
            yamls.append(Path(str(arguments[0])).name)

    sys.addaudithook(note)
    for dag_id in dag_ids or [None]:
        yamls.clear()
        with _airflow_parsing_context_manager(dag_id=dag_id):
            bag = DagBag(file_of(dag_id) if dag_id else FOLDER, bundle_path=FOLDER)
        after, seen = _heavy(), list(yamls)
        dags = {name: DagSerialization.to_dict(dag) for name, dag in bag.dags.items()}
        found.append(asdict(Parsed(dags, bag.import_errors, before, after, seen)))
    print(json.dumps(found))


if __name__ == "__main__":
    _main(sys.argv[1:])
