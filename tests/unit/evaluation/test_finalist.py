"""The finalist's figures for each kind of target, and for columns that are odd."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from retraining.artifacts.features import FeaturePlan, make_model
from retraining.artifacts.stored import StoredModel, predict
from retraining.evaluation import finalist
from retraining.evaluation.describe import N_FLIPS, describe
from retraining.evaluation.finalist import Finalist
from retraining.spec import FrozenSpec
from retraining.store import Store
from retraining.train import Labelled
from samples.records import evaluation
from tests.unit.pages.test_verdict_pages import frozen, known

N = 600
PLAN = FeaturePlan(("x1", "empty"), ("kind",))
CASES = {
    "binary": ("sklearn.linear_model.LogisticRegression", "roc_auc", ("no", "yes")),
    "multiclass": ("sklearn.linear_model.LogisticRegression", "log_loss", ("a", "b", "$c$")),
    "regression": ("sklearn.linear_model.Ridge", "mae", ()),
}


def described(
    folder: Path, task: str, y: Any = None, *, champion: bool = True
) -> tuple[Finalist, pa.Table | None, FrozenSpec, Labelled]:
    path, metric, classes = CASES[task]
    spec = frozen(folder, {"training": {"task": task, "metric": metric, "candidates": [{"estimator": path}]}})
    random = np.random.default_rng(0)
    x1 = random.normal(size=N)
    kind = random.choice(["a", "$b$", None], size=N).astype(object)
    kind[0] = "only one has it"
    x = pd.DataFrame({"x1": x1, "empty": np.full(N, np.nan), "kind": kind})
    learnt = x1 if task == "regression" else np.digitize(x1, np.linspace(-1, 1, len(classes) + 1)[1:-1]).astype(float)
    pipeline = make_model(path, {}, PLAN, 0).fit(x, learnt)
    stored = dataclasses.replace(known(spec).stored, task=task, plan=PLAN, classes=classes)
    model = StoredModel("id", stored, pipeline, pa.table({}), None)
    rows = pa.table({"id": [f"r{i}" for i in range(N)], "x1": x1})
    data = Labelled(rows, x, learnt if y is None else y, np.zeros(N, "datetime64[us]"), classes)
    mine = predict(pipeline, task, x)
    theirs = mine[::-1] if champion else None
    made, flipped, _ = describe(spec, evaluation(), model, data, mine, theirs)
    return made, flipped, spec, data


@pytest.mark.parametrize("task", CASES)
def test_every_task_has_all_of_it(tmp_path: Path, task: str) -> None:
    made, flipped, _, data = described(tmp_path, task)
    assert made.importance[0][0] == "x1" and made.notes == ()
    assert made.dependence is not None and "x1" in made.dependence.svg and "empty" not in made.dependence.svg
    assert "only one has it" not in made.dependence.svg, "a rare value could name a person"
    assert flipped is not None and flipped.num_rows == N_FLIPS and made.flip_share is not None
    store = Store((tmp_path / "store").as_uri())
    finalist.keep(store, evaluation(), made, flipped)
    assert finalist.read(store, evaluation()) == made
    for flip in finalist.flipped_rows(store, evaluation()):
        row = int(flip.key[0][1].removeprefix("r"))
        truth = data.y[row]
        assert flip.key[0][0] == "id" and flip.before != flip.after
        assert flip.truth == (data.classes[int(truth)] if data.classes else f"{truth:.5g}")


def test_a_first_candidate_flips_nothing(tmp_path: Path) -> None:
    made, flipped, _, _ = described(tmp_path, "binary", champion=False)
    assert made.flip_share is None and flipped is None and made.drawings


def test_rows_of_one_class_say_that_nothing_can_be_drawn(tmp_path: Path) -> None:
    made, _, _, _ = described(tmp_path, "binary", np.zeros(N))
    assert made.drawings == () and made.importance == () and made.dependence is None
    assert "one class" in made.notes[0] and "No curves" in made.notes[1]
