"""Lineage: what a snapshot is made of and what was made of it, found by the start of its id."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from retraining.artifacts import stored
from retraining.audit import lineage
from retraining.cli.app import app
from retraining.data import ingest, snapshots
from retraining.errors import RequestError
from retraining.records import Window, short
from samples.tiny import day, environ, retrain, rows, rows_of, tiny

pytestmark = pytest.mark.usefixtures("quick_preflight")


def test_a_snapshot_leads_to_everything_it_was_used_for(tmp_path: Path) -> None:
    workspace = tiny(tmp_path)
    retrain(workspace, day(40))
    verdict = retrain(workspace, day(48)).verdict
    assert verdict is not None and verdict.decision == "promote"
    release = workspace.ledger.release_of(verdict.id)
    assert release is not None
    trained = stored.read_card(workspace.store, verdict.evaluation.candidate_id).snapshot_id
    for identity, what in (
        (verdict.evaluation.holdout_id, "judged on"),
        (trained, "trained on"),
        (release.snapshot_id, "refitted on"),
    ):
        found = lineage.of_snapshot(workspace, identity[:10])
        assert found.snapshot_id == identity
        assert [(u.what, u.verdict_id, u.champion, u.version) for u in found.uses if u.verdict_id == verdict.id] == [
            (what, verdict.id, 2, 2)
        ]
    assert lineage.of_snapshot(workspace, release.snapshot_id).n_rows == release.n_rows


def test_both_ids_of_a_window_answer_and_name_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` prints the snapshot as it was read; what is learnt and judged is the one without rows set aside."""

    def one_is_bad(number: int) -> pd.DataFrame:
        frame = rows_of(number)
        return frame.assign(x1=frame.x1.where(frame.index != 0, -99.0)) if number in (20, 36) else frame

    workspace = tiny(tmp_path, rows(range(60), one_is_bad))
    result = retrain(workspace, day(40))
    assert result.verdict is not None and result.verdict.decision == "promote", result.text
    release = workspace.ledger.release_of(result.verdict.id)
    assert release is not None
    accepted = lineage.of_snapshot(workspace, release.snapshot_id)
    [run] = accepted.runs
    assert run.raw_id is not None and sum(s.n_rows for s in run.set_aside) == 2
    raw = lineage.of_snapshot(workspace, run.raw_id)
    assert [r.raw_id for r in raw.runs] == [None]
    assert (raw.accepted, raw.n_rows) == ((accepted.snapshot_id,), accepted.n_rows + 2)
    assert raw.uses == accepted.uses
    assert [(u.what, u.as_of) for u in raw.uses] == [("refitted on", day(40))]
    csv = workspace.settings.models / "tiny.csv"
    for found in (raw, accepted):
        [origin] = found.origins
        assert (origin.source, origin.read_as_of) == (f"files {csv}", (day(40), day(40)))
        assert [r.as_of for r in found.runs] == [day(40)]

    for name, value in environ(workspace.settings).items():
        monkeypatch.setenv(name, value)
    shown = " ".join(CliRunner().invoke(app, ["lineage", run.raw_id[:12]]).stdout.split())
    assert f"source: files {csv} (digest {short(run.source_id)}), read as of 2024-02-10 00:00 to" in shown
    assert f"rows were set aside: what was used is {accepted.snapshot_id}" in shown
    assert "refitted on" in shown


def test_a_source_that_nobody_describes_any_more_is_said_to_be_so(tmp_path: Path) -> None:
    workspace = tiny(tmp_path)
    reader, window = workspace.reader(workspace.spec("tiny")), Window(day(3), day(5))
    frozen = snapshots.freeze(reader, ingest.read_window(reader, window, day(6)), window, day(6), labels=True)
    (workspace.settings.models / "tiny.yaml").unlink()
    found = lineage.of_snapshot(workspace, frozen.id)
    assert [(o.source, o.source_id) for o in found.origins] == [(None, reader.source_id)]


@pytest.mark.parametrize(
    ("identity", "why"), [("abc", "at least 6"), ("not hex!", "not the start"), ("0" * 12, "names 0 snapshots")]
)
def test_an_id_that_leads_nowhere_is_refused(tmp_path: Path, identity: str, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        lineage.of_snapshot(tiny(tmp_path), identity)
