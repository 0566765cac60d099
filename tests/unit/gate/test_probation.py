"""The rules of probation: who is on it, what a look may spend, what it shows, and when a person is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from retraining.gate import probation as rules
from retraining.gate.settling import spent_until
from retraining.records import Champion, Estimate, Probation, Window
from retraining.spec import Spec, load
from retraining.spec.deploy import SHORTEST_PROBATION
from samples.records import champion
from samples.tiny import day, write_model

N_PATHS = 40_000
TWO = [champion(1, cutoff=day(32)), champion(2, cutoff=day(39))]


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    return load(write_model(tmp_path)).spec


def gain(lower: float, upper: float) -> Estimate:
    return Estimate((lower + upper) / 2, 0.01, lower, upper, 6)


def test_a_promotion_is_on_probation_for_one_holdout_after_its_cutoff(spec: Spec) -> None:
    trial = rules.trial_of(TWO, spec)
    assert trial is not None
    assert (trial.release.sequence, trial.against.sequence, trial.n_days) == (2, 1, 7)
    assert (trial.window.start, trial.window.end) == (day(39), day(46))
    assert "champion 2 is on probation against champion 1" in rules.announced(trial)


@pytest.mark.parametrize("kind", ["rollback", "adoption", "return"])
def test_what_came_without_a_verdict_is_on_none(spec: Spec, kind: Any) -> None:
    assert rules.trial_of([*TWO, champion(3, kind=kind, release_id="release1", cutoff=day(32))], spec) is None


def test_a_first_champion_has_none_and_a_yaml_can_switch_it_off(spec: Spec, tmp_path: Path) -> None:
    assert rules.trial_of([], spec) is None
    assert rules.trial_of(TWO[:1], spec) is None
    off = load(write_model(tmp_path / "off", changes={"deploy": {"probation": "0d"}})).spec
    assert rules.trial_of(TWO, off) is None


def test_of_two_deployments_the_later_is_judged_against_the_earlier(spec: Spec) -> None:
    trial = rules.trial_of([*TWO, champion(3, cutoff=day(42))], spec)
    assert trial is not None
    assert (trial.release.sequence, trial.against.sequence) == (3, 2)
    assert trial.window.start == day(42), "newer than both"


def test_rows_are_newer_than_both_cutoffs(spec: Spec) -> None:
    """An adopted model's cut-off is the day of its adoption: a release may have learnt less."""
    trial = rules.trial_of([champion(1, kind="adoption", cutoff=day(41)), champion(2, cutoff=day(39))], spec)
    assert trial is not None and trial.window.start == day(41)


def test_all_looks_together_spend_what_is_stated() -> None:
    for total in (0.01, 0.05):
        spent = [spent_until(total, n / 7) for n in range(8)]
        assert spent == sorted(spent) and spent[0] == 0
        assert spent[-1] <= total
    assert rules.errors_of(0.95, (4 / 7, 5 / 7), 5 / 7) is None, "seen days give nothing to spend"
    for days in ([4, 5, 6, 7], [7], [4, 7], range(4, 29)):
        shares = [n / days[-1] for n in days]
        found = [rules.errors_of(0.95, tuple(shares[:n]), share) for n, share in enumerate(shares)]
        for total, of_looks in zip(
            (rules.TAKEN_BACK_WRONGLY, 0.05), zip(*filter(None, found), strict=True), strict=True
        ):
            assert passed(shares, of_looks) == pytest.approx(spent_until(total, 1), abs=4 * (total / N_PATHS) ** 0.5)


def passed(shares: Sequence[float], of_looks: Sequence[float]) -> float:
    """Return how many paths without a drift pass the bound of any look."""
    random, at, seen, any_look = np.random.default_rng(1), np.zeros(N_PATHS), 0.0, np.zeros(N_PATHS, bool)
    for share, level in zip(shares, of_looks, strict=True):
        at += np.sqrt(share - seen) * random.normal(size=N_PATHS)
        seen = share
        any_look |= at / np.sqrt(share) > norm.isf(level)
    return float(any_look.mean())


def test_fewer_than_four_days_decide_nothing() -> None:
    assert timedelta(days=rules.MIN_DAYS) == SHORTEST_PROBATION, "what the YAML refuses is what cannot decide"
    assert not rules.is_due(5_000, 3, 500)
    assert not rules.is_due(499, 7, 500)
    assert rules.is_due(500, 4, 500)


@pytest.mark.parametrize(
    ("found", "last", "outcome"),
    [
        (gain(-0.09, -0.001), False, "worse"),
        (gain(-0.02, -0.001), False, "worse"),  # also where it is within the margin: worse is worse
        (gain(-0.09, 0.0), False, "open"),
        (gain(-0.024, 0.05), False, "held"),
        (gain(-0.025, 0.05), False, "open"),
        (gain(-0.025, 0.05), True, "not_shown"),
        (gain(-0.024, 0.05), True, "held"),
        (None, True, "not_shown"),
        (None, False, "open"),
    ],
)
def test_what_a_look_shows(found: Estimate | None, last: bool, outcome: str) -> None:
    assert rules.outcome_of(found, 0.025, last=last) == outcome


def test_more_gain_never_makes_it_worse() -> None:
    order = ["worse", "open", "held"]
    shown = [rules.outcome_of(gain(v - 0.03, v + 0.03), 0.025, last=False) for v in (-0.1, -0.02, 0.0, 0.02, 0.1)]
    assert [order.index(o) for o in shown] == sorted(order.index(o) for o in shown)


@pytest.mark.parametrize(
    ("changes", "history", "why"),
    [
        ({}, TWO, None),
        ({"mode": "suggest"}, TWO, "mode is suggest"),
        ({"mode": "observe"}, TWO, "mode is observe"),
        ({}, [TWO[0], champion(2, kind="override", by="ann", cutoff=day(39))], "ann promoted it against the gate"),
        ({}, [*TWO, champion(3, kind="return", release_id="release1"), champion(4)], "a second return in a row"),
        ({}, [*TWO, champion(3, kind="return", release_id="release1"), champion(4), champion(5)], None),
    ],
)
def test_when_a_person_is_asked_instead(
    tmp_path: Path, changes: dict[str, Any], history: list[Champion], why: str | None
) -> None:
    found = rules.why_not_returned(history, load(write_model(tmp_path, changes=changes)).spec)
    assert found is None if why is None else found is not None and why in found


def look(**changes: Any) -> Probation:
    start = Probation(
        model="tiny",
        sequence=2,
        release_id="release2",
        against=1,
        against_release_id="release1",
        as_of=day(50),
        window=Window(day(39), day(46)),
        by="monitor",
        outcome="held",
        shares=(1.0,),
        n_rows=280,
        n_days=7,
        metric="roc_auc",
        figure=0.8,
        against_figure=0.79,
        gain=gain(-0.01, 0.03),
        sentence="",
    )
    return replace(start, **changes)


@pytest.mark.parametrize(
    ("entry", "found", "said"),
    [
        (champion(1), None, None),
        (champion(2, cutoff=day(39)), None, "on probation until 2024-02-16"),
        (champion(2, cutoff=day(39)), look(sequence=1), "on probation until 2024-02-16"),
        (champion(2), look(), "held as of 2024-02-20"),
        (champion(2), look(outcome="open"), "on probation as of 2024-02-20"),
        (champion(2), look(outcome="not_shown"), "not shown as of 2024-02-20"),
        (champion(2), look(outcome="worse"), "worse as of 2024-02-20"),
        (champion(3, kind="return"), look(outcome="worse"), "champion 2 was taken back as of 2024-02-13"),
        (champion(3, kind="rollback"), look(), None),
    ],
)
def test_what_people_are_told_of_it(spec: Spec, entry: Champion, found: Probation | None, said: str | None) -> None:
    assert rules.state_of(entry, found, spec) == said


@pytest.mark.parametrize(
    ("found", "problem", "parts"),
    [
        (look(), "", ["champion 2 against champion 1: holds, not worse by 0.05: roc_auc 0.8000 against 0.7900"]),
        (look(outcome="worse"), "", ["is worse: roc_auc", "gain +0.0100 (-0.0100 to +0.0300, 280 published rows of 7"]),
        (look(outcome="not_shown"), "", ["neither worse nor holding was shown by the end", "it stays"]),
        (look(outcome="unknown", gain=None), "it was freed.", ["could not be compared: it was freed."]),
        (
            look(outcome="not_shown", gain=None, n_rows=80, n_days=2),
            "",
            ["80 published rows of 2 days have"],
        ),
    ],
)
def test_the_sentence_of_a_look(found: Probation, problem: str, parts: list[str]) -> None:
    text = rules.sentence_of(found, 200, 0.05, problem)
    assert [part for part in parts if part not in text] == [], text
