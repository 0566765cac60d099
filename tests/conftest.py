"""For every test: an Airflow home of its own, because importing Airflow reads and writes one."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

_HOME = tempfile.mkdtemp(prefix="airflow-home-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _HOME
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).parents[1] / "dags")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # tests talk to nobody outside
os.environ.setdefault("DO_NOT_TRACK", "1")

_LONG = (
    "e2e/test_loop.py",
    "e2e/test_approval.py",
    "contract/test_examples.py",
    "contract/scaffold/test_new.py",
    "e2e/test_kill.py",
    "e2e/test_gate.py",
    "e2e/test_warm.py",
    "contract/test_bad_input.py",
    "e2e/test_dag_runs.py",
    "e2e/test_refusals.py",
    "unit/train/test_train.py",
    "unit/rollout/test_adopt.py",
    "contract/sources/test_local_times.py",
    "contract/validation/test_validation.py",
    "contract/monitor/test_measured.py",
    "contract/pages/test_verdicts.py",
    "unit/cli/test_startup.py",
    "contract/data/test_provenance.py",
    "unit/care/test_marking.py",
)
"""Files that take longest, longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: of whole files shared out, one that begins last runs while a core is idle."""
    here = Path(__file__).parent
    place = {here / name: number for number, name in enumerate(_LONG)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI a skipped test is a failure: nobody reads which ones were left out."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped under CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Make Airflow's own database, in the home that tests have, once per process."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def quick_preflight() -> Iterator[None]:
    """Run preflight's checks in this process, for a test that is about something else."""
    from tests.support.preflight import in_this_process  # with scikit-learn, which many tests never import

    with in_this_process():
        yield


@pytest.fixture
def quick_pictures() -> Iterator[None]:
    """Leave out drawing, for a test that is about something else."""
    from tests.support.pictures import undrawn  # with matplotlib, which many tests never import

    with undrawn():
        yield
