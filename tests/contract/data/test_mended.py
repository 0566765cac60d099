"""Data that broke a check and was mended at its source is taken in by the next run, also as of the same time."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from retraining.errors import ValidationFailed
from samples.tiny import day, retrain, rows, rows_of, tiny, write_csv

pytestmark = pytest.mark.usefixtures("quick_preflight")


@pytest.mark.parametrize("later", [0, 3], ids=["as of the same time", "as of a later time"])
def test_mended_rows_are_read_again(tmp_path: Path, later: int) -> None:
    def broken(number: int) -> pd.DataFrame:
        frame = rows_of(number)
        return frame.assign(x1=-99.0) if number == 20 else frame  # far outside the look-back

    workspace = tiny(tmp_path, rows(range(60), broken))
    with pytest.raises(ValidationFailed, match="x1"):
        retrain(workspace, day(40))
    with pytest.raises(ValidationFailed, match="x1"):
        retrain(workspace, day(40 + later))  # nothing was mended yet: it goes on blocking
    write_csv(workspace.settings.models / "tiny.csv", rows(range(60)))
    result = retrain(workspace, day(40 + later))
    assert result.verdict is not None and result.verdict.decision == "promote", result.text
