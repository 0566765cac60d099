"""Slices, calibration and behavioural cases on rows with known truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from sklearn.calibration import calibration_curve

from retraining.artifacts.behaviour import run_cases
from retraining.artifacts.features import FeaturePlan
from retraining.spec.cases import CASES
from retraining.spec.gate import Gate, Slice
from retraining.stats.calibration import calibration_metric, judge_calibration
from retraining.stats.metrics import find_metric, resampled
from retraining.stats.slices import groups_of, judge_slices

N = 6000
AUC = find_metric("roc_auc", "binary")


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    random = np.random.default_rng(1)
    return pa.table(
        {
            "x": random.normal(size=N),
            "origin": random.choice(["EWR", "JFK", "LGA"], N, p=[0.5, 0.48, 0.02]),
            "code": [f"c{i % 3000}" for i in range(N)],
            "late_hour": random.random(N) < 0.3,
        }
    )


def _scores(rows: pa.Table) -> tuple[Any, Any, Any, Any]:
    """The candidate is as good as the champion, except at JFK, where it knows nothing."""
    x = rows.column("x").to_numpy()
    random = np.random.default_rng(2)
    y = (random.random(N) < 1 / (1 + np.exp(-2 * x))).astype(float)
    champion = 1 / (1 + np.exp(-2 * x))
    jfk = rows.column("origin").to_numpy(zero_copy_only=False) == "JFK"
    candidate = np.where(jfk, random.random(N), champion)
    return y, candidate, champion, np.arange(N) % 28


def _judge(rows: pa.Table, *slices: Slice) -> dict[str, Any]:
    y, candidate, champion, blocks = _scores(rows)
    gate = Gate(slices=slices)
    found = judge_slices(gate, rows, AUC, y, candidate, champion, blocks, alpha=0.05, seed=0)
    return {s.name: s for s in found}


def test_every_row_is_in_a_slice_of_a_column_and_the_spoiled_one_is_found(rows: pa.Table) -> None:
    found = _judge(rows, Slice(column="origin"))
    assert sorted(found) == ["origin = EWR", "origin = JFK", "origin: 1 rare values"]
    assert sum(s.n_rows for s in found.values()) == N
    spoiled, kept = found["origin = JFK"], found["origin = EWR"]
    assert spoiled.p_worse < 1e-6 and spoiled.candidate == pytest.approx(0.5, abs=0.05)
    assert kept.p_worse == 1.0 and kept.gain.value == 0, "equal predictions are never worse"
    assert "125 rows, it takes 200" in found["origin: 1 rare values"].problem


def test_a_condition_and_named_values_are_slices(rows: pa.Table) -> None:
    found = _judge(
        rows,
        Slice(name="evening", where="late_hour and x > -10"),
        Slice(column="late_hour", values=(True,)),
        Slice(column="origin", values=("LGA", "XXX"), min_rows=50),
    )
    assert found["evening"].n_rows == found["late_hour = true"].n_rows > 1500
    assert found["origin = LGA"].candidate is not None
    assert found["origin = XXX"].problem == "0 rows, it takes 50" and found["origin = XXX"].evaluated


def test_a_slice_with_a_class_on_one_day_only_is_not_judged_and_hides_no_other(rows: pa.Table) -> None:
    y, candidate, champion, blocks = _scores(rows)
    rare = np.arange(N) < 300
    y = np.where(rare, (blocks // 4 == 2) & (np.arange(N) % 2 == 0), y).astype(float)
    table = rows.append_column("rare", pa.array(rare))
    gate = Gate(slices=(Slice(name="rare", where="rare"), Slice(column="origin")))
    days = np.arange(28) // 4
    found = judge_slices(gate, table, AUC, y, candidate, champion, blocks, alpha=0.05, seed=0, days=days)
    assert "a class is on that day only" in str(found[0].problem)
    assert next(s for s in found if s.name == "origin = JFK").p_worse < 1e-4


def test_a_median_that_many_rows_meet_is_calibrated() -> None:
    y = np.where(np.random.default_rng(4).random(N) < 0.7, 0.0, np.random.default_rng(5).gamma(2.0, 10.0, N))
    for said in (0.0, 0.002):
        found = judge_calibration("regression", "mae", y, np.full(N, said), None, np.arange(N) % 28, alpha=0.05, seed=0)
        assert found is not None and found.candidate == 0
    high = judge_calibration("regression", "mae", y, np.full(N, 40.0), None, np.arange(N) % 28, alpha=0.05, seed=0)
    assert high is not None and high.candidate > 0.9


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (Slice(column="code"), "column code has 3,000 values, at most 50 are slices"),
        (Slice(column="gender"), "the data has no column gender; there is code, late_hour, origin"),
        (Slice(name="odd", where="nosuch > 1"), "nosuch"),
        (Slice(name="odd", where="x >"), "condition 'x >'"),
        (Slice(name="odd", where="count(*) > 3"), "must say yes or no for each row"),
        (Slice(name="odd", where="x) from rows; drop table rows; --"), "condition"),
        (Slice(name="files", where="(select count(*) from read_csv('/etc/passwd')) > 0"), "condition"),
    ],
)
def test_a_slice_that_cannot_be_found_is_not_evaluated(rows: pa.Table, rule: Slice, why: str) -> None:
    (group,) = groups_of(rule, rows)
    assert why in str(group.problem)
    (result,) = _judge(rows, rule).values()
    assert not result.evaluated and result.candidate is None


def test_the_calibration_error_is_scikit_learns(rows: pa.Table) -> None:
    y, _, champion, blocks = _scores(rows)
    wrong = champion**2
    observed, predicted = calibration_curve(y, wrong, n_bins=10, strategy="quantile")
    found = resampled(calibration_metric("binary", "roc_auc"), y, wrong, blocks, np.ones((1, 28)))[0]
    assert found == pytest.approx(np.mean(np.abs(observed - predicted)), abs=0.002)


@pytest.mark.parametrize(
    ("task", "metric", "right", "wrong", "truth"),
    [
        ("binary", "roc_auc", lambda x: x, lambda x: x**3, "binary"),
        ("regression", "rmse", lambda x: x, lambda x: x + 0.5, "value"),
        ("regression", "mae", lambda x: x, lambda x: x + 0.5, "value"),
        ("multiclass", "log_loss", lambda x: np.c_[1 - x, x / 2, x / 2], lambda x: np.c_[1 - x, x, 0 * x], "three"),
    ],
)
def test_a_model_that_does_not_mean_what_it_says_is_found(
    task: str, metric: str, right: Any, wrong: Any, truth: str
) -> None:
    random = np.random.default_rng(3)
    p = random.random(N)
    y = {
        "binary": (random.random(N) < p).astype(float),
        "value": p + random.normal(0, 0.3, N),
        "three": np.where(random.random(N) < p, random.integers(1, 3, N), 0).astype(float),
    }[truth]
    found = judge_calibration(task, metric, y, wrong(p), right(p), np.arange(N) % 28, alpha=0.05, seed=0)
    assert found is not None and found.champion is not None and found.gain is not None
    assert found.champion < 0.05 < 0.1 < found.candidate
    assert found.gain.upper < -0.05, "the loss is proven, not guessed"
    alone = judge_calibration(task, metric, y, right(p), None, np.arange(N) % 28, alpha=0.05, seed=0)
    assert alone is not None and alone.candidate == found.champion and alone.gain is None


def test_a_constant_prediction_has_the_error_of_its_distance(rows: pa.Table) -> None:
    y, _, _, blocks = _scores(rows)
    found = judge_calibration("binary", "roc_auc", y, np.full(N, 0.9), None, blocks, alpha=0.05, seed=0)
    assert found is not None and found.candidate == pytest.approx((0.9 - y.mean()) / (2 * min(y.mean(), 1 - y.mean())))


CASE_FILE = """
- {kind: minimum, name: high x is a yes, row: {x: 3.0, origin: EWR}, expect: {above: 0.9}}
- {kind: minimum, name: high x is class one, row: {x: 3.0}, expect: {class: 1}}
- {kind: minimum, name: high x is a no, row: {x: 3.0}, expect: {below: 0.5}}
- {kind: invariance, name: the airport says nothing, set: {origin: LGA}, tolerance: 0.01}
- {kind: invariance, name: x says nothing, set: {x: 9}, tolerance: 0.01}
- {kind: direction, name: more x is more likely, set: {x: 9.0}, expect: increase, by: 0.1}
- {kind: direction, name: more x is less likely, set: {x: 9.0}, expect: decrease}
- {kind: direction, name: nobody is there, where: x > 100, set: {x: 9.0}, expect: increase}
- {kind: minimum, name: unknown feature, row: {wingspan: 3.0}, expect: {above: 0.9}}
- {kind: minimum, name: text for a number, row: {x: tall}, expect: {above: 0.9}}
"""


def test_behavioural_cases(rows: pa.Table) -> None:
    cases = CASES.validate_python(yaml.safe_load(CASE_FILE))

    def predict(table: pa.Table) -> Any:
        return 1 / (1 + np.exp(-2 * table.column("x").to_numpy(zero_copy_only=False).astype(float)))

    found = run_cases(cases, predict, FeaturePlan(("x",), ("origin",)), (0.0, 1.0), rows)
    assert [(c.name, c.passed, c.evaluated) for c in found] == [
        ("high x is a yes", True, True),
        ("high x is class one", True, True),
        ("high x is a no", False, True),
        ("the airport says nothing", True, True),
        ("x says nothing", False, True),
        ("more x is more likely", True, True),
        ("more x is less likely", False, True),
        ("nobody is there", False, False),
        ("unknown feature", False, False),
        ("text for a number", False, False),
    ]
    assert found[8].figure == "wingspan is no feature of the model; it sees origin, x"
    assert found[9].figure == "x: 'tall' is no number"
