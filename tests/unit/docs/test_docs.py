"""The pages that can drift: references are up to date, examples load, links lead somewhere, alerts are explained."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from docs.generate import FOLDER, ROOT, render
from retraining.spec import load
from retraining_airflow.names import MONITOR, RETRAIN, SCORE

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
_FILE = re.compile(r"`include/models/([\w.]+)`\n\n```\w+\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)\)|src(?:set)?=\"([^\"]+)\"")


@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    return render()


@pytest.mark.parametrize("name", ["yaml.md", "cli.md", "dags.md"])
def test_the_reference_is_up_to_date(rendered: dict[str, str], name: str) -> None:
    assert (FOLDER / name).read_text() == rendered[name], "run: python -m docs.generate"


@pytest.mark.parametrize("name", ["late_payment", "demand"])
def test_the_examples_of_adding_a_model_load(tmp_path: Path, name: str) -> None:
    for file, text in _FILE.findall((ROOT / "docs" / "how-to" / "add-a-model.md").read_text()):
        (tmp_path / file).write_text(text)
    assert load(tmp_path / f"{name}.yaml").model == name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = [a or b for a, b in _LINK.findall(page.read_text())]
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []


def test_every_kind_of_alert_is_explained_to_whoever_is_on_call() -> None:
    page = (ROOT / "docs" / "how-to" / "on-call.md").read_text()
    families = (RETRAIN, SCORE, MONITOR, "approve", "override", "rollback", "housekeeping")
    kinds = {kind for path in (ROOT / "include").rglob("*.py") for kind in _alert_kinds(path, families)}
    assert kinds >= {"alias moved", "stale", "retrain failed"}
    assert sorted(kind for kind in kinds if f"`{kind}`" not in page) == []


def _alert_kinds(path: Path, families: tuple[str, ...]) -> set[str]:
    """Return the second argument of every `Alert(...)`, for each family where it is made of one."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Alert":
            kind = node.args[1]
            if isinstance(kind, ast.JoinedStr):
                found |= {f"{family} failed" for family in families}
            found |= {n.value for n in _values(kind) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return found


def _values(node: ast.expr) -> list[ast.expr]:
    return [*_values(node.body), *_values(node.orelse)] if isinstance(node, ast.IfExp) else [node]
