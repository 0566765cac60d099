"""Provenance: a manifest is content; whose it is, as of when and from where belongs to each run that carries it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from retraining.audit import lineage
from retraining.care import erase, retention
from retraining.data import ingest, snapshots
from retraining.errors import ValidationFailed
from retraining.pipeline import retrain as stages
from retraining.pipeline.admission import admit
from retraining.records import Admission, Ingested, Provenance, to_dict
from retraining.workspace import Workspace
from samples.tiny import N_DAYS, NAME, day, retrain, rows, tiny, write_model
from tests.support.lived import age

OTHER = "other"
EARLY, LATE = day(40), day(40.5)
"""Two as-of times of which the whole partitions, and so the windows, are the same."""


def admitted(workspace: Workspace, as_of: datetime, name: str = NAME) -> Admission:
    spec = workspace.spec(name)
    return admit(workspace, spec, as_of=as_of, fallback=as_of, trigger="person", reason="", dry_run=False)


def ingested(workspace: Workspace, as_of: datetime, name: str = NAME) -> tuple[Admission, Ingested]:
    """Ingest as the DAG does: what the next task gets was named by ids."""
    admission = admitted(workspace, as_of, name)
    ids = json.loads(json.dumps(stages.snapshot_ids(stages.ingest(workspace, admission))))
    return admission, stages.ingested_from(workspace, admission, ids)


def with_another(folder: Path, **changes: Any) -> Workspace:
    """Return an installation with two models on one table."""
    workspace = tiny(folder, changes=changes)
    source = str(workspace.settings.models / f"{NAME}.csv")
    write_model(workspace.settings.models, OTHER, None, {"data": {"source": {"files": source}}, **changes})
    return workspace


def test_a_rerun_of_the_same_rows_has_an_as_of_time_of_its_own(tmp_path: Path) -> None:
    fresh = [{"type": "expect_fresh_rows", "max_age": "44h"}]  # the newest mature row is a day old
    workspace = tiny(tmp_path, changes={"checks": {"window": fresh}})
    admission, first = ingested(workspace, EARLY)
    stages.validate(workspace, admission, first)
    admission, later = ingested(workspace, day(40.9))
    assert later.refit.id == first.refit.id
    assert (first.refit.as_of, later.refit.as_of) == (EARLY, day(40.9))
    with pytest.raises(ValidationFailed, match=r"expect_fresh_rows.*: failed"):
        stages.validate(workspace, admission, later)


def test_two_models_on_one_table_share_a_manifest_and_nothing_else(tmp_path: Path) -> None:
    workspace = with_another(tmp_path)
    (_, mine), (_, theirs) = ingested(workspace, EARLY), ingested(workspace, EARLY, OTHER)
    assert mine.train.id == theirs.train.id
    assert (mine.train.model, theirs.train.model) == (NAME, OTHER)
    assert {p.model for p in lineage.of_snapshot(workspace, mine.train.id).runs} == {NAME, OTHER}
    stored = workspace.store.read_json(snapshots.snapshot_key(mine.train.id))
    assert sorted(stored) == ["columns", "features", "id", "labels", "window"], "content only"


def test_rows_that_broke_the_second_models_check_are_read_again_by_it(tmp_path: Path) -> None:
    workspace = with_another(tmp_path)
    ingested(workspace, EARLY)
    yaml = workspace.settings.models / f"{OTHER}.yaml"
    yaml.write_text(yaml.read_text().replace("min_value: -50", "min_value: 0"))
    admission, found = ingested(workspace, EARLY, OTHER)
    with pytest.raises(ValidationFailed):
        stages.validate(workspace, admission, found)
    assert ingested(workspace, EARLY, OTHER)[1].n_partitions_read > 0, "they may be mended at the source"
    assert ingested(workspace, EARLY)[1].n_partitions_read == 0, "the first model has nothing against them"


@pytest.mark.usefixtures("quick_preflight")
def test_both_models_of_a_shared_snapshot_are_used_and_erased(tmp_path: Path) -> None:
    workspace = with_another(tmp_path)
    verdicts = [retrain(workspace, EARLY, name).verdict for name in (NAME, OTHER)]
    assert all(verdicts)
    shared = verdicts[0].evaluation.holdout_id  # type: ignore[union-attr]  # it is there
    uses = lineage.of_snapshot(workspace, shared).uses
    assert {(u.model, u.what) for u in uses} == {(NAME, "judged on"), (OTHER, "judged on")}
    for asked, other in ((NAME, OTHER), (OTHER, NAME)):
        done = erase.erase(
            workspace, asked, {"id": "00035-003"}, reason="asked", by="me", erased_at=day(50), dry_run=True
        )
        assert other in done.models


def test_what_a_later_run_froze_again_is_kept_for_it(tmp_path: Path) -> None:
    workspace = with_another(tmp_path, retention={"keep": "30d"})
    ingested(workspace, EARLY)
    _, late = ingested(workspace, EARLY, OTHER)
    workspace.ledger.add_provenance(late.train.id, Provenance(OTHER, day(100), late.train.source_id))
    age(workspace)
    free = {c.key for c in retention.plan(workspace, day(120)).free}
    assert snapshots.snapshot_key(late.train.id) not in free, "a run twenty days ago froze it"
    assert snapshots.snapshot_key(late.refit.id) in free


def test_a_manifest_of_an_early_version_is_read_with_what_it_says_of_its_first_run(tmp_path: Path) -> None:
    workspace = tiny(tmp_path, rows(range(N_DAYS)))
    reader = workspace.reader(workspace.spec(NAME))
    _, found = ingested(workspace, EARLY)
    window, source = found.holdout.window, reader.source_id
    columns = found.holdout.columns[:-1]  # another identity, of which the ledger knows nothing
    identity = snapshots.snapshot_id((*found.holdout.features, *found.holdout.labels), columns, window)
    content = {**workspace.store.read_json(snapshots.snapshot_key(found.holdout.id)), "id": identity}
    first = Provenance(NAME, EARLY, source, raw_id="f" * 64)
    document = {**content, "columns": [to_dict(c) for c in columns], **to_dict(first)}
    workspace.store.write_json_once(snapshots.snapshot_key(identity), document)
    assert lineage.of_snapshot(workspace, identity).runs == (first,)
    same = snapshots.read_snapshot(workspace.store, workspace.ledger, identity, NAME, EARLY, source)
    assert same.provenance == first
    other = snapshots.read_snapshot(workspace.store, workspace.ledger, identity, OTHER, LATE, source)
    assert (other.model, other.as_of, other.raw_id) == (OTHER, LATE, None), "not the first run's facts"
    assert snapshots.load(workspace.store, other, reader.data).num_rows == 7 * 40


def test_the_same_run_twice_is_one_entry(tmp_path: Path) -> None:
    workspace = tiny(tmp_path)
    reader = workspace.reader(workspace.spec(NAME))
    for as_of in (EARLY, EARLY, LATE):
        extent = ingest.read_window(reader, ingested(workspace, EARLY)[1].holdout.window, as_of)
        made = snapshots.freeze(reader, extent, ingested(workspace, EARLY)[1].holdout.window, as_of, labels=True)
    assert [p.as_of for p in workspace.ledger.provenance(made.id)] == [LATE, EARLY]
