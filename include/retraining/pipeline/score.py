"""Score: the champion predicts every whole partition that nobody scored yet."""

from __future__ import annotations

from datetime import datetime

from retraining.data import snapshots
from retraining.data.ingest import read_window
from retraining.pipeline.common import Report, admissible, needs_time, silent
from retraining.records import Champion, PredictionSet, Window
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace


def run(workspace: Workspace, frozen: FrozenSpec, as_of: datetime, report: Report = silent) -> list[PredictionSet]:
    """Score every whole partition that nobody scored yet."""
    from retraining.predictions.batch import pin_champion, predict, publish, why_nothing

    needs_time(frozen)
    champion = pin_champion(workspace, frozen.model)
    windows = ingest(workspace, frozen, champion, as_of)
    validate(workspace, frozen, champion, windows, as_of)
    report("validate", f"{len(windows)} partitions to score with champion {champion.sequence}")
    found = publish(workspace, predict(workspace, frozen, champion, windows, as_of))
    why = "" if found else f": {why_nothing(workspace, frozen, champion, as_of)}"
    report("publish", f"{sum(p.n_rows for p in found):,} predictions in {len(found)} partitions{why}")
    return found


def ingest(workspace: Workspace, frozen: FrozenSpec, champion: Champion, as_of: datetime) -> list[Window]:
    """Read the partitions that nobody scored yet; return their windows."""
    from retraining.predictions.batch import windows_to_score

    admissible(workspace, frozen, as_of)
    windows = windows_to_score(workspace, frozen, champion, as_of)
    if windows:
        read_window(workspace.reader(frozen), Window(windows[0].start, windows[-1].end), as_of)
    return windows


def validate(
    workspace: Workspace, frozen: FrozenSpec, champion: Champion, windows: list[Window], as_of: datetime
) -> int:
    """Check the rows to be scored, also against what the pinned champion was trained on; return how many there are."""
    from retraining.validation.validate import check_skew, validate_rows

    if not windows:
        return 0
    reader = workspace.reader(frozen)
    span = Window(windows[0].start, windows[-1].end)
    extent = read_window(reader, span, as_of)
    if not any(extent.chunks.values()):
        return 0
    snapshot = snapshots.freeze(reader, extent, span, as_of, labels=False)
    accepted = validate_rows(workspace.store, workspace.ledger, frozen, snapshot).snapshot
    check_skew(workspace.store, workspace.ledger, frozen, champion, accepted)
    return accepted.n_rows
