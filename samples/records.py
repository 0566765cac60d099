"""Records for tests of pure decisions: sensible ones, of which a test changes what it is about."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

from retraining.records import (
    CalibrationResult,
    Champion,
    Change,
    ColumnDrift,
    Estimate,
    Evaluation,
    Evidence,
    Measurement,
    Request,
    Rival,
    TriggerDecision,
    Verdict,
    Window,
)
from samples.tiny import day


def estimate(lower: float, upper: float) -> Estimate:
    """Return an interval around its middle."""
    return Estimate((lower + upper) / 2, (upper - lower) / 4, lower, upper, 27)


def evaluation(**changes: Any) -> Evaluation:
    """Return a refresh whose candidate is clearly better than champion and baseline."""
    base = Evaluation(
        model="tiny",
        recipe_id="recipe",
        candidate_id="candidate",
        champion_release_id="release",
        champion_sequence=1,
        champion_as_of=day(33),
        champion_cutoff=day(32),
        holdout_id="holdout",
        spec_id="spec",
        window=Window(day(32), day(39)),
        as_of=day(40),
        time_ordered=True,
        rule="refresh",
        metric="roc_auc",
        greater_is_better=True,
        n_rows=1000,
        n_unlabelled=0,
        n_blocks=28,
        n_classes=2,
        looks=0,
        confidence=0.95,
        candidate=0.8,
        champion=0.7,
        baseline=0.5,
        over_baseline=estimate(0.2, 0.4),
        over_champion=estimate(0.05, 0.15),
        incomparable=None,
        leaked_rows=0,
        refit_id="refit",
        slices=(),
        calibration=CalibrationResult(0.02, 0.03, estimate(-0.01, 0.03)),
        cases=(),
        validated=Evidence(True, "12 checks passed, 0 rows set aside"),
        locked=Evidence(True, "every package is as requirements.txt says"),
        n_days=7,
        n_champion_rows=1000,
        opponent=rival(),
    )
    return dataclasses.replace(base, **changes)


def against(gain: Estimate | None) -> dict[str, Any]:
    """Return the changes of an evaluation in which champion and opponent are one, and the gain over it is this."""
    return {"over_champion": gain, "opponent": rival(gain=gain)}


def rival(sequence: int = 1, **changes: Any) -> Rival:
    """Return an earlier champion that the candidate is clearly better than."""
    base = Rival("release", sequence, day(24 + sequence), 1000, 7, 0.8, 0.7, estimate(0.05, 0.15))
    return dataclasses.replace(base, **changes)


def verdict(identity: str = "v1", **changes: Any) -> Verdict:
    """Return a promotion."""
    base = Verdict(identity, "tiny", "promote", ("better",), (), evaluation(), dry_run=False, checklist=())
    return dataclasses.replace(base, **changes)


def change(*, worse: bool, name: str = "roc_auc") -> Change:
    """Return a watched figure that fell, or held."""
    return Change(name, 0.6 if worse else 0.7, 0.7, -0.2, -0.05 if worse else 0.05, 0.02, 14, 28, worse)


def drift(column: str = "x1", *, drifted: bool = True, importance: float = 0.5) -> ColumnDrift:
    """Return a column's distance on one day."""
    return ColumnDrift(column, "wasserstein", 2.0 if drifted else 0.5, 1.0, importance, drifted)


def measurement(number: int = 50, **changes: Any) -> Measurement:
    """Return a quiet measurement of the day before `number`, with performance that holds."""
    base = Measurement(
        model="tiny",
        as_of=day(number),
        window=Window(day(number - 1), day(number)),
        sequence=1,
        release_id="release",
        n_rows=40,
        drift=(drift(drifted=False), drift("x2", drifted=False)),
        health=(),
        performance=(change(worse=False),),
        performance_note="",
        n_new_labels=1000,
        report_key=None,
    )
    return dataclasses.replace(base, **changes)


def champion(sequence: int = 1, **changes: Any) -> Champion:
    """Return an entry of the champion history."""
    base = Champion(
        model="tiny",
        sequence=sequence,
        kind="promotion",
        release_id=f"release{sequence}",
        verdict_id=f"v{sequence}",
        spec_id="spec",
        recipe_id="recipe",
        estimator="LogisticRegression",
        version=sequence,
        as_of=day(40 + sequence),
        cutoff=day(39 + sequence),
        by="gate",
        reason="better",
        created_at=day(40 + sequence) + timedelta(hours=1),
    )
    return dataclasses.replace(base, **changes)


def request(identity: str = "r1", number: int = 50) -> Request:
    """Return a request of the monitor."""
    return Request(identity, "tiny", day(number), "performance: roc_auc", "monitor")


def decision(number: int = 50, **changes: Any) -> TriggerDecision:
    """Return a decision to ask."""
    base = TriggerDecision(f"d{number}", "tiny", day(number), "ask", "performance: roc_auc", ("fell",), ())
    return dataclasses.replace(base, **changes)
