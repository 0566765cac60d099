"""Rows without a time: each version of a table is split anew, and nobody is judged on a row that was learnt."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from retraining.data import rows, snapshots
from retraining.evaluation import standin
from retraining.evaluation.standin import AGAIN, same_rows
from retraining.records import Evaluation
from retraining.spec import FrozenSpec
from retraining.spec.data import ROW_ID
from retraining.workspace import Workspace
from samples.tiny import NAME, merged, retrain, tiny

pytestmark = pytest.mark.usefixtures("quick_preflight", "quick_pictures")

WHEN = datetime(2026, 1, 5, tzinfo=UTC)
CHANGES: dict[str, Any] = {
    "data": dict.fromkeys(("time_column", "outcomes", "label_delay")),
    "training": {"window": None},
    "gate": {"holdout": None, "min_rows": 100, "margin": 0.1},
    "monitor": None,
}


def table(version: int, n_rows: int = 1500) -> pd.DataFrame:
    """Return a version of a table: the first rows of version 0 are gone, as many new ones are there."""
    first = 150 * version
    random = np.random.default_rng(7)
    n_all = first + n_rows
    x1, x2 = random.normal(size=n_all), random.normal(size=n_all)
    y = (2 * x1 + x2 + random.logistic(size=n_all) > 0).astype(int)
    values = {"id": [f"r{i}" for i in range(n_all)], "x1": x1.round(6), "x2": x2.round(6), "kind": "a", "y": y}
    return pd.DataFrame(values).iloc[first:]


def write(workspace: Workspace, frame: pd.DataFrame) -> None:
    frame.to_csv(workspace.settings.models / f"{NAME}.csv", index=False)


def judged(workspace: Workspace, version: int, days: int, *, dry_run: bool = False) -> Evaluation:
    write(workspace, table(version))
    result = retrain(workspace, WHEN + timedelta(days=days), dry_run=dry_run)
    assert result.verdict is not None
    return result.verdict.evaluation


def edited(workspace: Workspace, changes: dict[str, Any]) -> Workspace:
    path = workspace.settings.models / f"{NAME}.yaml"
    path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), changes), sort_keys=False))
    return Workspace(workspace.settings)


@pytest.fixture
def champion(tmp_path: Path) -> Iterator[Workspace]:
    """An installation whose champion learnt version 0."""
    workspace = tiny(tmp_path, table(0), CHANGES)
    result = retrain(workspace, WHEN)
    assert result.verdict is not None and result.verdict.decision == "promote", result.text
    yield workspace
    workspace.ledger.close()


def ids(workspace: Workspace, snapshot_id: str) -> set[str]:
    """Return the keys of a snapshot's rows."""
    manifest = snapshots.read_manifest(workspace.store, snapshot_id)
    return set(snapshots.load(workspace.store, manifest, workspace.spec(NAME).spec.data).column("id").to_pylist())


# --- the split ----------------------------------------------------------------------------------------------------


def held(frozen: FrozenSpec, frame: pd.DataFrame) -> set[str]:
    """Return the keys of a version's holdout."""
    located = rows.locate(frozen, pa.Table.from_pandas(frame, preserve_index=False), rows.HASHED)
    found = rows.split_anew(frozen, located)
    inside = rows.between(found, frozen.spec.data.time, rows.HASHED_TEST)
    return set(inside.column(frozen.spec.data.keys[0]).to_pylist())


def test_a_version_has_one_split_and_each_version_another(tmp_path: Path) -> None:
    frozen, frame = tiny(tmp_path, table(0), CHANGES).spec(NAME), table(0)
    first = held(frozen, frame)
    assert held(frozen, frame.sample(frac=1, random_state=1)) == first, "whatever the order"
    assert 0.17 < len(first) / len(frame) < 0.23
    corrected = frame.assign(y=[1 - frame["y"].iloc[0], *frame["y"].iloc[1:]])
    for other in (frame.iloc[1:], corrected):
        again = held(frozen, other)
        assert 0.1 < len(again & first) / len(first) < 0.3, "a fifth of the fifth, as by chance"


def test_equal_rows_without_a_key_are_on_one_side(tmp_path: Path) -> None:
    frame = table(0).drop(columns="id").round(0)
    frozen = tiny(tmp_path, table(0), {**CHANGES, "data": {**CHANGES["data"], "key": None}}).spec(NAME)
    inside = {name.rpartition("-")[0] for name in held(frozen, frame)}
    located = rows.split_anew(frozen, rows.locate(frozen, pa.Table.from_pandas(frame), rows.HASHED))
    outside = rows.between(located, frozen.spec.data.time, rows.HASHED_TRAIN).column(ROW_ID).to_pylist()
    assert inside and inside.isdisjoint(name.rpartition("-")[0] for name in outside)


def test_rows_without_a_key_are_the_same_where_their_features_are(tmp_path: Path) -> None:
    data = tiny(tmp_path, table(0), {**CHANGES, "data": {**CHANGES["data"], "key": None}}).spec(NAME).spec.data
    mine, theirs = pa.table({ROW_ID: ["a-1", "a-2", "b-1", "c-1"]}), pa.table({ROW_ID: ["a-3", "c-1"]})
    assert same_rows(mine, theirs, data).tolist() == [True, True, False, True]
    assert not same_rows(mine, theirs.slice(0, 0), data).any()


# --- who is compared ----------------------------------------------------------------------------------------------


def test_both_are_out_of_sample_on_every_row_that_is_judged(
    champion: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[Any] = []
    fit = standin.fit

    def watched(frozen: FrozenSpec, estimator: str, params: Any, plan: Any, data: Any) -> Any:
        learnt.append(data.rows.column("id").to_pylist())
        return fit(frozen, estimator, params, plan, data)

    monkeypatch.setattr(standin, "fit", watched)
    e = judged(champion, 1, 1, dry_run=True)
    assert e.rule == "refresh" and e.opponent is not None and e.opponent.how == AGAIN
    holdout, version_0 = ids(champion, e.holdout_id), set(table(0)["id"])
    assert len(learnt) == 1 and set(learnt[0]) == version_0 - holdout, "all that the champion's version has, but these"
    release = champion.ledger.champions(NAME)[-1].release_id
    seen = ids(champion, standin.stored.read_card(champion.store, release).snapshot_id)
    assert len(seen & holdout) > len(holdout) / 2, "the champion itself has learnt most of them"
    assert (e.n_champion_rows, e.leaked_rows, e.incomparable) == (e.n_rows, 0, None)
    assert e.over_champion == e.opponent.gain is not None


def test_looks_are_counted_by_version(champion: Workspace) -> None:
    found = [judged(champion, 1, day, dry_run=True) for day in (1, 2, 3)]
    assert [e.looks for e in found] == [0, 1, 2] and len({e.holdout_id for e in found}) == 1
    assert judged(champion, 2, 4, dry_run=True).looks == 0
    assert judged(champion, 1, 5, dry_run=True).looks == 3, "an old version again is an old holdout again"


def test_setting_rows_aside_makes_no_new_version(champion: Workspace) -> None:
    assert judged(champion, 1, 1, dry_run=True).looks == 0
    check = {"type": "expect_column_values_to_be_between", "column": "x1", "min_value": -2.5}
    e = judged(edited(champion, {"checks": {"rows": [check], "quarantine": 0.6}}), 1, 2, dry_run=True)
    assert e.looks == 1, "the same rows, but some"


def test_a_champion_back_in_office_is_learnt_again_all_the_same(champion: Workspace) -> None:
    live = champion.ledger.champions(NAME)[-1]
    back = dataclasses.replace(live, sequence=2, kind="rollback", verdict_id=None)
    assert champion.ledger.move_champion(back)
    e = judged(champion, 1, 1)
    assert e.opponent is not None and (e.opponent.sequence, e.opponent.how) == (2, AGAIN)


def test_a_champion_that_cannot_be_learnt_again_is_compared_on_rows_it_has_not_learnt(champion: Workspace) -> None:
    first = champion.ledger.verdicts(NAME)[0].evaluation
    champion.store.delete(snapshots.snapshot_key(first.holdout_id))
    e = judged(champion, 1, 1)
    release = champion.ledger.champions(NAME)[0].release_id
    seen = ids(champion, standin.stored.read_card(champion.store, release).snapshot_id)
    unseen = ids(champion, e.holdout_id) - seen
    assert e.opponent is not None and e.opponent.how.startswith("as it is, on rows that it has not learnt: ")
    assert e.n_champion_rows == e.opponent.n_rows == len(unseen) < e.n_rows
    assert e.leaked_rows == 0 and e.over_champion == e.opponent.gain is not None


def test_a_champion_of_which_all_is_lost_blocks(champion: Workspace) -> None:
    live = champion.ledger.champions(NAME)[-1]
    snapshot = standin.stored.read_card(champion.store, live.release_id).snapshot_id
    champion.store.delete(snapshots.snapshot_key(snapshot))
    write(champion, table(1))
    verdict = retrain(champion, WHEN + timedelta(days=1)).verdict
    assert verdict is not None and verdict.decision == "reject" and verdict.evaluation.n_champion_rows == 0
    assert any("what is missing blocks" in reason for reason in verdict.reasons)


def test_a_replacement_meets_the_champions_recipe_on_the_same_rows(champion: Workspace) -> None:
    e = judged(edited(champion, {"features": {"numeric": ["x1"]}}), 1, 1)
    assert e.rule == "replace" and e.replacement is not None and e.replacement.problem is None
    assert e.replacement.n_rows == e.n_rows and e.leaked_rows == 0
    own = champion.ledger.verdicts(NAME)[-1].evaluation
    assert own.instead_of is not None and own.opponent is not None and own.opponent.how == AGAIN
