"""The page that says where things live is what the imports obey and what the tree holds."""

from __future__ import annotations

import ast
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from tests.dags.test_layers import lint_imports
from tests.support.parse import ROOT

PAGE = (ROOT / "docs/explanation/where-things-live.md").read_text(encoding="utf-8")
CODE = ROOT / "include/retraining"
_N_CHANGES, _SHORTEST = 13, 20


def test_benchmarks_and_samples_stand_without_the_tests() -> None:
    for folder in ("benchmarks", "samples"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not re.search(r"^\s*(from|import) tests\b", path.read_text(encoding="utf-8"), re.MULTILINE), path


def tables() -> list[list[list[str]]]:
    """Return the page's tables as rows of cells, without their heads."""
    found = re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]] for table in found
    ]


def rooms() -> list[str]:
    """Return the rooms in the order of the page."""
    return [name for row in tables()[0] for name in re.findall(r"`(\w+)`", row[0])]


def test_the_rooms_are_the_floors_of_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [c["layers"] for c in contracts if c["type"] == "layers"]
    assert [name for name in layers if name != "__main__"] == rooms()


def test_every_room_says_what_belongs_there() -> None:
    folders = sorted(p.parent.name for p in CODE.glob("*/__init__.py"))
    assert set(folders) <= set(rooms())
    for name in folders:
        tree = ast.parse((CODE / name / "__init__.py").read_text(encoding="utf-8"))
        said = ast.get_docstring(tree) or ""
        assert len(said) > _SHORTEST and (name == "records" or "\n" not in said), name
        assert all(isinstance(part, ast.ImportFrom | ast.Assign | ast.Expr) for part in tree.body), name


def test_each_change_names_a_file_that_exists() -> None:
    changes = tables()[1]
    assert len(changes) == _N_CHANGES
    for change, where in changes:
        assert (CODE / where.strip("`")).resolve().is_file(), change


def test_tests_stand_in_the_room_of_what_they_test() -> None:
    known = {*rooms(), "docs", "retraining_airflow"}
    for kind in ("unit", "contract"):
        folders = {
            p.parent.relative_to(ROOT / "tests" / kind).parts for p in (ROOT / "tests" / kind).rglob("test_*.py")
        }
        assert {parts[0] for parts in folders if parts} <= known


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the code that a test may spoil."""
    shutil.copytree(ROOT / "include", tmp_path / "include", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_a_new_room_without_a_floor_is_noticed(copy: Path) -> None:
    attic = copy / "include/retraining/attic"
    attic.mkdir()
    (attic / "__init__.py").write_text('"""Things nobody found a place for."""\n')
    done = lint_imports(copy)
    assert done.returncode != 0
    assert "attic" in done.stdout


def test_an_import_upwards_is_noticed(copy: Path) -> None:
    with (copy / "include/retraining/stats/blocks.py").open("a") as file:
        file.write("\nfrom retraining.gate import decide\n")
    done = lint_imports(copy)
    assert done.returncode != 0
    assert "retraining.stats is not allowed to import retraining.gate" in done.stdout
