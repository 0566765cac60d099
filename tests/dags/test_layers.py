"""The core does not know the scheduler, and the rule that says so fails when it is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.parse import ROOT


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a copy or on the repository itself; the packages are the ones under its include/."""
    code = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])"
    environ = {**os.environ, "PYTHONPATH": str(root / "include")}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environ, capture_output=True, text=True, check=False
    )


def test_the_core_imports_nothing_of_airflow() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The core does not know the scheduler KEPT" in done.stdout


def test_the_contract_fails_when_the_core_imports_airflow(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "include", tmp_path / "include", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    gate = tmp_path / "include" / "retraining" / "gate" / "decision.py"
    gate.write_text("from retraining_airflow import names\n" + gate.read_text().replace('"""', "#", 2))
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "retraining.gate.decision -> retraining_airflow.names" in done.stdout
