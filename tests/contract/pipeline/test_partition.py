"""A model's partition is for life: what was published by days is not continued by weeks; another model may."""

from __future__ import annotations

from pathlib import Path

import pytest

from retraining.errors import RequestError
from retraining.pipeline import score
from samples.tiny import NAME, day, retrain, rows, tiny, write_model

WEEKS = {"data": {"partition": "week"}, "training": {"window": "84d"}, "retrain": {"schedule": "0 4 * * 1"}}


@pytest.mark.slow
def test_another_partition_is_another_model(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, rows(range(120)))
    assert retrain(workspace, day(112)).deployment is not None
    published = score.run(workspace, workspace.spec(NAME), day(113))
    table = {"source": {"files": str(workspace.settings.models / f"{NAME}.csv")}}
    weekly = {**WEEKS, "data": {**WEEKS["data"], **table}}
    write_model(workspace.settings.models, "weekly", rows(range(120)), weekly)
    (workspace.settings.models / "weekly.csv").replace(workspace.settings.models / f"{NAME}.csv")
    yaml = workspace.settings.models / f"{NAME}.yaml"
    by_days = yaml.read_text()
    yaml.write_text((workspace.settings.models / "weekly.yaml").read_text())
    for run in (retrain, lambda w, when: score.run(w, w.spec(NAME), when)):
        with pytest.raises(RequestError, match="Set it back to day, or copy the YAML under another name"):
            run(workspace, day(119))
    done = retrain(workspace, day(119), "weekly")
    assert done.verdict is not None and done.verdict.decision == "promote", done.text
    assert [(p.window.start, p.window.end) for p in score.run(workspace, workspace.spec("weekly"), day(119))] == [
        (day(112), day(119))
    ]
    yaml.write_text(by_days)
    assert workspace.ledger.all_predictions(NAME) == published
    days = {p.window.start for p in score.run(workspace, workspace.spec(NAME), day(119))}
    assert days == {day(n) for n in range(113, 119)}, "set back, it goes on where it was"
