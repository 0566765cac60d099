"""Takes the pictures in docs/images/: two verdicts on real flights, one promoted and one rejected.

Run `python -m docs.screenshots FOLDER` after changing a page; it needs Chromium. FOLDER keeps the installation, so that
a second call (seconds instead of minutes) only draws the pages anew.
"""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from docs.generate import ROOT
from retraining.pages.verdicts.page import live
from retraining.settings import Settings
from retraining.workspace import Workspace
from samples.tiny import merged, retrain
from tests.ui.browser import height_of, photographed

IMAGES = ROOT / "docs" / "images"
_MODEL = "flight_delay"
_SLICES = {"gate": {"slices": [{"column": "origin"}, {"name": "evening", "where": "hour >= 18"}]}}
_BLIND = {"features": {"numeric": ["minute", "wind_dir"], "categorical": ["origin"]}}
"""What a colleague's tidying up could leave of the features: the gate must say no."""
_RUNS: tuple[tuple[str, datetime, dict[str, Any]], ...] = (
    ("first", datetime(2025, 8, 18, tzinfo=UTC), {}),
    ("promoted", datetime(2025, 9, 8, tzinfo=UTC), {}),
    ("rejected", datetime(2025, 9, 29, tzinfo=UTC), _BLIND),
)
_COLOURS = 256
"""Enough for a page of text and lines, in half of the bytes."""


def main() -> None:
    """Run the model, or find what was run, and take the pictures."""
    home = Path(sys.argv[1]).resolve()
    workspace = Workspace(_settings(home))
    for name, as_of, changes in _RUNS:
        known = {v.evaluation.as_of: v for v in workspace.ledger.verdicts(_MODEL)}
        verdict = known.get(as_of) or _judge(workspace, as_of, changes)
        print(f"{name}: {verdict.decision}, {verdict.reasons[0]}")
        if name != "first":
            page = home / f"{name}.html"
            page.write_text(live(workspace, verdict), encoding="utf-8")
            picture = photographed(page, IMAGES / f"verdict-{name}.png", home, height_of(page, home))
            with Image.open(picture) as image:
                image.convert("RGB").quantize(_COLOURS).save(picture, optimize=True)


def _settings(home: Path) -> Settings:
    home.mkdir(parents=True, exist_ok=True)
    models = home / "models"
    models.mkdir(exist_ok=True)
    store, ledger, mlflow = (home / "store").as_uri(), f"sqlite:///{home}/ledger.db", f"sqlite:///{home}/mlflow.db"
    return Settings(home=home, store=store, ledger=ledger, mlflow=mlflow, models=models, lock=ROOT / "requirements.txt")


def _judge(workspace: Workspace, as_of: datetime, changes: dict[str, Any]) -> Any:
    folder = ROOT / "include" / "models"
    document = yaml.safe_load((folder / f"{_MODEL}.yaml").read_text(encoding="utf-8"))
    shutil.copy(folder / f"{_MODEL}.sql", workspace.settings.models)
    text = yaml.safe_dump(merged(merged(document, _SLICES), changes), sort_keys=False)
    (workspace.settings.models / f"{_MODEL}.yaml").write_text(text, encoding="utf-8")
    return retrain(workspace, as_of, _MODEL).verdict


if __name__ == "__main__":
    main()
