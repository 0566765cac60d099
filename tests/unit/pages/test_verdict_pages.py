"""Verdict pages and model cards from records alone: every section, nothing that runs, nothing that is loaded."""

from __future__ import annotations

import dataclasses
import html
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retraining.artifacts.features import FeaturePlan
from retraining.artifacts.stored import UNKNOWN, ModelCard
from retraining.evaluation import plots
from retraining.evaluation.finalist import Drawing, Finalist, Flip
from retraining.pages.verdicts import card, sections
from retraining.pages.verdicts.page import render
from retraining.pages.verdicts.sections import Known
from retraining.pages.verdicts.story import Story
from retraining.records import (
    Approval,
    CandidateScore,
    Deployment,
    Estimate,
    Item,
    Override,
    Release,
    Served,
    SliceResult,
    Trained,
    Verdict,
)
from retraining.spec import FrozenSpec, load
from samples.records import champion, evaluation, verdict
from samples.tiny import day, write_model

HOSTILE = "<script>alert('x')</script>\"|`*$\\frac"
_BY = ("against the gate", "(account login)")
_SECTIONS = {
    "header",
    "reasons",
    "outcome",
    "checklist",
    "comparison",
    "slices",
    "pictures",
    "importance",
    "dependence",
    "flips",
}
_CARD = (
    "Model details",
    "Intended use",
    "Data",
    "Training",
    "Metrics",
    "Slices",
    "Checklist",
    "Limits",
    "Decision",
    "Lineage",
)


class Structure(HTMLParser):
    """The ids of a page, the elements in it, and every address that it names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids |= {value or "" for name, value in attrs if name == "id"}
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "xlink:href")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def frozen(folder: Path, changes: dict[str, Any] | None = None) -> FrozenSpec:
    return load(write_model(folder, changes=changes))


def story(spec: FrozenSpec, told: Verdict | None = None, **changes: Any) -> Story:
    """A promotion that was deployed, about names that would do harm if they could."""
    gain = Estimate(-0.01, 0.005, -0.02, 0.0, 27)
    slices = (
        SliceResult(f"kind = {HOSTILE}", 300, 0.8, 0.79, gain, 0.04, 0.1, True),
        SliceResult("rare", 12, None, None, None, 0.04, None, True, "12 rows, it takes 200"),
    )
    checks = (
        Item(f"slice: {HOSTILE}", "warn", HOSTILE, "0.04", HOSTILE, HOSTILE),
        Item("champion", "pass", "0.8 against 0.7", "above -0.05", "better"),
    )
    base = Story(
        frozen=spec,
        verdict=told or verdict("ab" * 32, evaluation=evaluation(slices=slices), checklist=checks, reasons=(HOSTILE,)),
        finalist=Finalist(
            key="k",
            model="tiny",
            n_rows=1000,
            n_drawn=1000,
            drawings=(Drawing("roc", "ROC", HOSTILE, "<svg xmlns='http://www.w3.org/2000/svg'/>"),),
            importance=((HOSTILE, 0.9), ("x2", 0.1)),
            dependence=Drawing("dependence", "Partial dependence", HOSTILE, "<svg/>"),
            flip_share=0.01,
            notes=(),
        ),
        flips=(Flip((("id", HOSTILE),), "1 (51.0% for 1)", "0 (49.0% for 1)", HOSTILE),),
        release=Release("release", "tiny", "v", "snap", day(39), "run", 0.01, 900, Served(1, 2, 3, 4, 0), checks[1:]),
        approval=Approval("tiny", "v", True, HOSTILE, HOSTILE, day(41)),
        override=Override("tiny", "v", "reject", "release", 2, HOSTILE, "login", HOSTILE, day(41)),
        outcome=Deployment("tiny", "deployed", 2, 2, "version 2 is champion 2"),
        entry=champion(2, by=HOSTILE),
    )
    return dataclasses.replace(base, **changes)


def known(spec: FrozenSpec, **changes: Any) -> Known:
    stored = ModelCard(
        model="tiny",
        task="binary",
        estimator="sklearn.linear_model.LogisticRegression",
        params={"C": 0.1},
        seed=0,
        recipe_id="recipe",
        spec_id="spec",
        learning_id="learning",
        snapshot_id="snapshot",
        cutoff=day(39),
        environment_id="environment",
        classes=(0, 1),
        prior=(0.5, 0.5),
        plan=FeaturePlan(("x1", HOSTILE), ("kind",)),
        importance={"x1": 0.9, "kind": 0.1},
    )
    score = CandidateScore("LogisticRegression", {}, (0.8, 0.9), 0.85, 0.05, "run")
    trained = Trained("tiny", "r", "s", "n", "LogisticRegression", {}, 0, "a", "run", day(39), (score,), HOSTILE)
    base = Known(champion(2), stored, spec, None, None, trained, story(spec), ("entry 2: now",))
    return dataclasses.replace(base, **changes)


def test_a_page_has_every_section_and_every_value_is_escaped(tmp_path: Path) -> None:
    text = render(story(frozen(tmp_path)))
    found = Structure(text)
    assert found.ids >= _SECTIONS | {"release-checklist"}
    assert "script" not in found.tags and not found.handlers
    assert all(address.startswith("data:image/svg+xml;base64,") for address in found.addresses)
    assert HOSTILE not in text and html.unescape(text).count(HOSTILE) > 8
    for said in (
        "by blocks of time",
        "12 rows, it takes 200",
        "approved by",
        "against the gate",
        "bar -0.0500",
        "To change it:",
    ):
        assert said in text, said


def test_a_copy_for_elsewhere_names_no_row(tmp_path: Path) -> None:
    told = story(frozen(tmp_path), flips=(Flip((("passport", "X1234567"),), "1", "0", "0"),))
    assert "X1234567" in render(told) and "passport" in render(told)
    copy = render(told.without_keys())
    assert "X1234567" not in copy and "passport" not in copy
    assert "This copy does not name the rows" in copy


@pytest.mark.parametrize("decision", ["nothing_new", "superseded", "inconclusive"])
def test_a_decision_without_a_checklist_has_a_short_page(tmp_path: Path, decision: Any) -> None:
    empty = evaluation(n_rows=0, n_blocks=0, candidate=None, champion=None, baseline=None, over_champion=None)
    told = verdict("cd" * 32, decision=decision, evaluation=empty, reasons=("no row is newer",), would_change=("wait",))
    nothing = dict.fromkeys(("finalist", "release", "approval", "outcome", "entry"))
    text = render(story(frozen(tmp_path), told, flips=(), **nothing))
    assert Structure(text).ids == {"header", "reasons", "would-change", "outcome"}
    assert "no row is newer" in text and "the champion stays" in text


def test_figures_that_are_lost_are_missed_aloud(tmp_path: Path) -> None:
    text = render(story(frozen(tmp_path), finalist=None, flips=(), missing="reports/x.json was altered"))
    assert 'class="missing"' in text and "reports/x.json was altered" in text


def test_a_first_champion_is_compared_with_nobody(tmp_path: Path) -> None:
    alone = evaluation(
        champion_release_id=None, champion_sequence=None, champion=None, over_champion=None, rule="first"
    )
    base = story(frozen(tmp_path))
    assert base.finalist
    first = dataclasses.replace(base.finalist, flip_share=None, dependence=None, importance=())
    text = render(story(frozen(tmp_path), verdict(evaluation=alone), finalist=first, flips=()))
    assert "There is no champion yet" in text and "nothing flipped" in text


def test_a_card_has_every_section_in_both_forms(tmp_path: Path) -> None:
    made = card.make(known(frozen(tmp_path)))
    assert tuple(s.title for s in made.sections) == _CARD
    text, page = card.as_markdown(made), card.as_html(made)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == list(_CARD)
    found = Structure(page)
    assert found.ids == {title.lower().replace(" ", "-") for title in _CARD}
    assert "script" not in found.tags and not found.addresses and not found.handlers
    assert "<script" not in text.replace("\\<script", "")
    columns = {line.count("|") - line.count("\\|") for line in text.splitlines() if "alert" in line and line[0] == "|"}
    assert columns == {5, 8}, "a hostile name is one cell of its table, of four columns or seven"
    for said in (
        "+0.1000",
        "not kept any more",
        "12 rows, it takes 200",
        "approved by",
        "against the gate",
        "promote, rule refresh",
    ):
        assert said in text and said in html.unescape(page), said


def test_a_card_says_what_nobody_checked(tmp_path: Path) -> None:
    hashed = {
        "data": {"time_column": None, "label_delay": None},
        "training": {"window": None},
        "gate": {"holdout": None},
    }
    said = sections.limits(known(frozen(tmp_path, hashed))).notes
    text = " ".join(said)
    assert "not time-ordered" in text and "No groups of rows were judged apart" in text
    assert HOSTILE in said, "a warning of the checklist is a limit"


def test_an_adopted_model_has_a_card_that_admits_what_is_unknown(tmp_path: Path) -> None:
    spec = frozen(tmp_path)
    base = known(spec)
    adopted = dataclasses.replace(base.stored, provenance="models:/theirs/3", learning_id=UNKNOWN)
    entry = champion(1, kind="adoption", verdict_id=None)
    text = card.as_markdown(card.make(known(spec, stored=adopted, entry=entry, story=None, trained=None)))
    for said in ("models:/theirs/3", "training data is unknown", "No verdict stands behind", "No gate judged"):
        assert said in text, said


def drawn(task: str, y: Any, p: Any, q: Any, classes: tuple[Any, ...]) -> dict[str, str]:
    return {d.name: d.svg().decode() for d in plots.draw(task, np.asarray(y, float), p, q, classes)}


def test_every_task_has_its_pictures_the_same_bytes_each_time() -> None:
    random = np.random.default_rng(0)
    y, p = random.integers(0, 2, 500), random.random(500)
    binary = drawn("binary", y, p, 1 - p, (0.0, 1.0))
    assert set(binary) == {"roc", "precision-recall", "calibration", "confusion"}
    assert binary == drawn("binary", y, p, 1 - p, (0.0, 1.0))
    assert "challenger (0." in binary["roc"] and "champion (0." in binary["roc"]
    wide = random.dirichlet(np.ones(30), 500)
    many = plots.draw("multiclass", random.integers(0, 30, 500).astype(float), wide, wide, tuple(range(30)))
    assert [d.name for d in many] == ["calibration", "confusion"]
    assert "The 15 rarest classes are left out" in many[1].alt
    assert set(drawn("regression", random.normal(size=500), p, None, ())) == {"residuals", "residual-distribution"}


def test_odd_predictions_and_names_can_be_drawn() -> None:
    y, flat = np.array([0.0, 1.0] * 50), np.full(100, 0.3)
    names = ("$\\frac{", "<b>&")
    svg = drawn("binary", y, flat, flat, names)["confusion"]
    assert "<b>" not in svg and "$\\frac{" in svg
    assert drawn("binary", np.zeros(10), flat[:10], None, names) == {}
    assert drawn("regression", np.ones(1), np.ones(1), None, ())
    panel = [("$x$ <i>", [1.0, 2.0], [("", [0.1, 0.2])]), ("text", ["(missing)", "$\\frac{"], [("", [0.1, 0.2])])]
    assert b"<i>" not in plots.Picture("d", "", "", plots.lines(panel, "mean")).svg()
