"""Two verdict pages, one promoted and one rejected, in a real browser without a network."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from retraining.pages.verdicts.card import as_html, card_of
from retraining.pages.verdicts.page import live, page_key
from retraining.records import Verdict
from retraining.workspace import Workspace
from samples.tiny import NAME, day, merged, retrain, tiny, write_model
from tests.ui.browser import dumped, height_of, photographed
from tests.unit.pages.test_verdict_pages import Structure

pytestmark = pytest.mark.ui

SECTIONS = {
    "header": "Champion",
    "reasons": "Why",
    "outcome": "What became of it",
    "checklist": "Checklist",
    "comparison": "Champion against challenger",
    "slices": "Slices",
    "pictures": "Curves",
    "importance": "What it looks at",
    "dependence": "Partial dependence",
    "flips": "Predictions that flipped",
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, Verdict]]:
    """A champion, one that replaces it, and one that sees less and is refused."""
    changes = {"gate": {"slices": [{"column": "kind", "min_rows": 50}]}}
    workspace = tiny(tmp_path_factory.mktemp("judged"), changes=changes)
    retrain(workspace, day(40))
    promoted = retrain(workspace, day(48)).verdict
    write_model(workspace.settings.models, changes=merged(changes, {"features": {"numeric": ["x2"]}}))
    rejected = retrain(workspace, day(56)).verdict
    assert promoted and promoted.decision == "promote"
    assert rejected and rejected.decision == "reject"
    return workspace, {"promoted": promoted, "rejected": rejected}


@pytest.mark.parametrize("name", ["promoted", "rejected"])
def test_every_section_shows_without_a_network(
    judged: tuple[Workspace, dict[str, Verdict]], tmp_path: Path, name: str
) -> None:
    workspace, verdicts = judged
    verdict = verdicts[name]
    for content in (live(workspace, verdict), workspace.store.read(page_key(verdict.id)).decode()):
        page = tmp_path / f"{name}.html"
        page.write_text(content, encoding="utf-8")
        dom, asked = dumped(page, tmp_path)
        assert asked == []
        assert Structure(dom).ids >= set(SECTIONS)
        assert dom.count("<img") >= 5
        for title in list(SECTIONS.values())[1:]:
            assert f">{title}</h2>" in dom
    assert verdict.decision in dom and ("would-change" in dom) == (name == "rejected")
    picture = photographed(page, tmp_path / f"{name}.png", tmp_path, height_of(page, tmp_path))
    pixels = matplotlib.image.imread(picture)
    assert pixels.shape[0] > 1500
    coloured = np.ptp(pixels[..., :3], axis=2) > 0.3
    assert coloured.mean() > 0.002, "pictures, badges and bars are there"


def test_a_card_shows_without_a_network(judged: tuple[Workspace, dict[str, Verdict]], tmp_path: Path) -> None:
    page = tmp_path / "card.html"
    page.write_text(as_html(card_of(judged[0], NAME)), encoding="utf-8")
    dom, asked = dumped(page, tmp_path)
    assert asked == []
    assert {"metrics", "slices", "limits", "lineage"} <= Structure(dom).ids


def test_a_request_would_have_been_noticed(tmp_path: Path) -> None:
    page = tmp_path / "leaky.html"
    page.write_text('<html><body><img src="http://tracker.example/x.png"></body></html>')
    assert dumped(page, tmp_path)[1] == ["http://tracker.example/x.png"]
