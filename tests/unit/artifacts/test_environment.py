"""The lock file: it names one version of everything that models compute with, and that is what is installed."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from retraining.evaluation.evidence import locked

CORE = ("scikit-learn", "numpy", "scipy", "pandas", "pyarrow", "skops")
PINS = {name: f"{name}=={version(name)}" for name in CORE}


def lock(folder: Path, *lines: str, **changed: str) -> Path:
    """Write a lock file of the core packages, some of which are locked in another way."""
    path = folder / "lock.txt"
    pins = {**PINS, **{name.replace("_", "-"): line for name, line in changed.items()}}
    path.write_text("\n".join([*lines, *filter(None, pins.values())]) + "\n")
    return path


def test_every_core_package_at_one_version_is_a_lock(tmp_path: Path) -> None:
    found = locked(lock(tmp_path, "# made by hand", "pip>=1"))
    assert found is not None and found.holds, found


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("numpy", "numpy>=1", "numpy (>=1)"),
        ("numpy", "numpy", "numpy (any)"),
        ("numpy", "numpy==2.*", "numpy (==2.*)"),
        ("numpy", "numpy~=2.0", "numpy (~=2.0)"),
        ("numpy", f"numpy=={version('numpy')}; python_version < '3'", "numpy (not named)"),
        ("scikit_learn", "", "scikit-learn (not named)"),
    ],
)
def test_a_lock_that_leaves_a_version_open_is_none(tmp_path: Path, name: str, line: str, said: str) -> None:
    found = locked(lock(tmp_path, **{name: line}))
    assert found is not None and not found.holds
    assert f"lock.txt pins no exact version of {said}: write it with `make lock` or pip freeze" in found.figure


def test_a_lock_of_something_else_is_none(tmp_path: Path) -> None:
    path = tmp_path / "lock.txt"
    path.write_text("pip>=1\n")
    found = locked(path)
    assert found is not None and not found.holds
    assert "lock.txt pins no exact version of numpy (not named), pandas (not named), pyarrow" in found.figure


def test_another_version_than_the_pinned_one_is_a_difference(tmp_path: Path) -> None:
    found = locked(lock(tmp_path, numpy="numpy==1.0"))
    assert found is not None and not found.holds
    assert found.figure == f"1 packages are not as lock.txt says: numpy {version('numpy')} instead of 1.0"


def test_the_lock_that_ships_pins_them() -> None:
    found = locked(Path(__file__).parents[3] / "requirements.txt")
    assert found is not None and "no exact version" not in found.figure
