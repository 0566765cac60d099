"""A release on probation: taken back where it is worse, held where it is not, and what keeps it from being judged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retraining.artifacts import stored
from retraining.artifacts.features import FeaturePlan, matrix
from retraining.artifacts.stored import StoredModel
from retraining.audit.history import describe_probation, events_of
from retraining.audit.status import Known, status
from retraining.errors import DeployRefused
from retraining.gate.probation import trial_of
from retraining.ledger import Ledger
from retraining.pipeline import monitor
from retraining.pipeline.monitor import probation
from retraining.records import Alert, Probation, Request
from retraining.rollout import forward, returning
from retraining.train import Labelled, fit
from retraining.workspace import Workspace
from samples.tiny import N_DAYS, NAME, day, retrain, rows, rows_of, write_csv
from tests.e2e.conftest import edit, forget_readings
from tests.support.forward import scored, turned_round
from tests.support.preflight import in_this_process

START, FOURTH, DUE, END = 47, 52, 53, 55
"""The releases' cut-off; as-of days on which four days of labels are there, the first with `gate.min_rows`, and all."""


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with in_this_process():
        yield


@pytest.fixture
def bad(two_champions: Workspace) -> Workspace:
    """An installation whose third champion is worse than the second, and was scored with to the end of probation."""
    turned_round(two_champions)
    scored(two_champions, DUE - 1, END)
    return two_champions


def judged(workspace: Workspace, number: int) -> str:
    """Run the stage as of a day; return what it said."""
    return probation(workspace, workspace.spec(NAME), day(number)) or ""


def newest(workspace: Workspace) -> Probation | None:
    return workspace.ledger.newest(Probation, NAME, "probation")


def kinds(workspace: Workspace) -> list[str]:
    return [c.kind for c in workspace.ledger.champions(NAME)]


def told(workspace: Workspace, kind: str) -> list[Alert]:
    return [a for a in workspace.ledger.alerts(NAME) if a.kind == kind]


def test_a_release_that_is_worse_is_taken_back(bad: Workspace) -> None:
    bad.ledger.add_request(Request("r1", NAME, day(50), "performance: roc_auc", "monitor"))
    assert "champion 3 is on probation against champion 2" in judged(bad, FOURTH - 1)
    assert "on probation" in judged(bad, FOURTH), "four days of labels, but too few rows"
    assert newest(bad) is None
    text = judged(bad, DUE)
    assert "champion 3 against champion 2: is worse" in text and "taken back; version 2" in text
    history = bad.ledger.champions(NAME)
    now = history[-1]
    assert (now.kind, now.by, now.sequence, now.version) == ("return", "probation", 4, 2)
    assert (now.release_id, now.cutoff, now.as_of) == (history[1].release_id, history[1].cutoff, day(DUE))
    assert "return to 2: champion 3 against champion 2: is worse: roc_auc" in now.reason
    assert bad.registry.alias(NAME) == 2
    (alert,) = told(bad, "taken back")
    assert all(f"2024-02-{17 + n}T00:00" in alert.message for n in range(8)), "the windows that it published"
    assert "version 2 from MLflow" in alert.message and "Cooldowns start anew" in alert.message
    assert bad.ledger.open_requests(NAME) == [] and bad.ledger.closings(NAME)["r1"].by == "probation"
    look = newest(bad)
    assert look is not None and (look.outcome, look.n_days, look.n_rows, look.by) == ("worse", 5, 200, "monitor")


@pytest.mark.slow
def test_taking_back_again_has_no_second_effect(bad: Workspace) -> None:
    first = judged(bad, DUE)
    state = (bad.ledger.champions(NAME), bad.ledger.incidents(NAME), newest(bad))
    assert judged(bad, DUE) == first and judged(bad, DUE + 1) == first
    assert (bad.ledger.champions(NAME), bad.ledger.incidents(NAME), newest(bad)) == state
    assert bad.registry.alias(NAME) == 2


class Killed(BaseException):
    """Raise where a process is killed: nothing of ours catches it."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (Ledger, "finish", True),
        (Ledger, "move_champion", False),
        (Ledger, "move_champion", True),
        (returning, "sync_alias", True),
        (Ledger, "add_alert", True),
    ],
    ids=["look recorded", "before the entry", "entry without alias", "alias without alert", "alert, request open"],
)
def test_killed_in_the_middle_and_run_again(
    bad: Workspace, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, after: bool
) -> None:
    bad.ledger.add_request(Request("r1", NAME, day(50), "performance: roc_auc", "monitor"))
    original = getattr(owner, name)

    def fatal(*args: Any, **kwargs: Any) -> Any:
        if after:
            original(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fatal)
        with pytest.raises(Killed):
            judged(bad, DUE)
    judged(bad, DUE + 1)  # not even the same day
    assert kinds(bad) == ["promotion", "promotion", "promotion", "return"]
    assert bad.registry.alias(NAME) == 2 and bad.ledger.alias_was_set(NAME, 4)
    assert len(told(bad, "taken back")) == 1 and bad.ledger.open_requests(NAME) == []
    assert len(bad.ledger.recorded(Probation, NAME, "probation")) == 1


def test_a_sound_release_holds_and_is_looked_at_no_more(
    two_champions: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(two_champions, DUE - 1, END)
    published = two_champions.ledger.all_predictions(NAME)
    for number in range(DUE, END + 1):
        text = judged(two_champions, number)
        if "holds" in text:
            break
    assert "champion 2 against champion 1: holds, not worse by" in text
    look = newest(two_champions)
    assert look is not None and look.outcome == "held" and look.gain is not None
    assert kinds(two_champions) == ["promotion", "promotion"] and two_champions.ledger.alerts(NAME) == []
    assert two_champions.ledger.all_predictions(NAME) == published, "nothing of it is published"
    monkeypatch.setattr(StoredModel, "predict", None)
    assert judged(two_champions, END + 1) == text


def test_it_costs_one_more_prediction_pass(two_champions: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever scored a set is read back; who did not predicts its rows: together each row is predicted once more."""
    scored(two_champions, START + 2)  # two days by the release before
    turned_round(two_champions)
    scored(two_champions, END)
    by = [p.sequence for p in two_champions.ledger.all_predictions(NAME)]
    assert sorted(set(by)) == [2, 3]
    passes: list[tuple[str, int]] = []
    predict = StoredModel.predict

    def counted(self: StoredModel, table: Any, where: str) -> Any:
        if "published rows" in where:  # not a preflight's
            passes.append((self.id, table.num_rows))
        return predict(self, table, where)

    monkeypatch.setattr(StoredModel, "predict", counted)
    judged(two_champions, DUE)
    history = two_champions.ledger.champions(NAME)
    assert dict(passes) == {history[2].release_id: 80, history[1].release_id: 120}
    assert len(passes) == 2 and sum(n for _, n in passes) == 200
    assert newest(two_champions) is not None


@pytest.mark.slow
def test_what_was_published_is_what_is_judged(two_champions: Workspace) -> None:
    """The rows of a set are those it was made of, and a prediction made now is the one that was published."""
    scored(two_champions, DUE)
    frozen = two_champions.spec(NAME)
    trial = trial_of(two_champions.ledger.champions(NAME), frozen.spec)
    assert trial is not None
    sets = forward.labelled_sets(two_champions, frozen, trial.window, day(DUE))
    found = forward.met(two_champions, frozen, trial, sets)
    others = [replace(s, published=replace(s.published, release_id="another")) for s in sets]
    again = forward.met(two_champions, frozen, trial, others)
    assert np.array_equal(found.new, again.new) and np.array_equal(found.y, again.y)
    assert len(found.y) == 200 and found.n_days == 5


@pytest.mark.slow
def test_a_retraining_looks_first_and_ends_with_the_take_back(bad: Workspace) -> None:
    first = retrain(bad, day(END))
    assert first.verdict is None and first.admission.skip is not None
    assert "is worse" in first.text and "taken back; version 2" in first.text
    assert kinds(bad)[-1] == "return"
    look = newest(bad)
    assert look is not None and (look.by, look.n_days) == ("retrain", 7)
    again = retrain(bad, day(END))
    assert again.text == first.text and len(bad.ledger.champions(NAME)) == 4, "cleared and run again"
    later = retrain(bad, day(END + 1))
    assert later.verdict is not None, "the next one goes on"


@pytest.mark.slow
def test_a_dry_run_does_not_look(bad: Workspace) -> None:
    assert retrain(bad, day(END), dry_run=True).verdict is not None
    assert newest(bad) is None and kinds(bad)[-1] == "promotion"


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["suggest", "observe"])
def test_only_a_person_takes_back_where_the_mode_says_so(bad: Workspace, mode: str) -> None:
    work = edit(bad, {"mode": mode})
    assert "is worse" in judged(work, DUE)
    asked(work, f"mode is {mode}")


@pytest.mark.slow
def test_after_an_override_a_person_is_asked(two_champions: Workspace) -> None:
    turned_round(two_champions, kind="override", by="ann")
    scored(two_champions, END)
    judged(two_champions, DUE)
    asked(two_champions, "ann promoted it against the gate")


@pytest.mark.slow
def test_a_second_return_in_a_row_asks_a_person(bad: Workspace) -> None:
    judged(bad, DUE)
    turned_round(bad, as_of=day(DUE), reason="another")
    scored(bad, END)
    judged(bad, END)
    look = newest(bad)
    assert look is not None and (look.sequence, look.against, look.outcome) == (5, 2, "worse")
    asked(bad, "the release before it was taken back as well, and a second return in a row needs a person")


def asked(workspace: Workspace, why: str) -> None:
    """Assert that nothing was moved, and that a person is asked once."""
    assert kinds(workspace)[-1] in ("promotion", "override")
    judged(workspace, DUE + 3)
    (alert,) = told(workspace, "probation")
    assert f"Nothing was changed, because {why}" in alert.message
    assert f"rollback {NAME} --to 2 --reason TEXT" in alert.message


# --- what keeps a release from being judged ------------------------------------------------------------------------


@pytest.mark.slow
def test_a_predecessor_that_is_gone_is_told_and_the_release_stays(bad: Workspace) -> None:
    before = bad.ledger.champions(NAME)[1]
    shutil.rmtree(bad.settings.home / "store" / "releases" / before.release_id)
    assert "could not be compared" in judged(bad, DUE) and before.release_id[:8] in judged(bad, DUE)
    look = newest(bad)
    assert look is not None and (look.outcome, look.share) == ("unknown", 0.0), "nothing of the error is spent"
    assert "not shown by the end of its probation; it stays" in judged(bad, END)
    (alert,) = told(bad, "probation")
    assert "The champion stays" in alert.message and kinds(bad)[-1] == "promotion"
    assert retrain(bad, day(END)).verdict is not None, "a retraining goes on"


@pytest.mark.slow
def test_a_predecessor_that_cannot_be_loaded_when_it_is_wanted_back(
    bad: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise DeployRefused("release 12345678: preflight failed: other outputs. The champion stays.")

    with monkeypatch.context() as patch:
        patch.setattr(returning, "preflight", refuse)
        judged(bad, DUE)
    assert kinds(bad)[-1] == "promotion"
    (alert,) = told(bad, "probation")
    assert "It could not be taken back: release 12345678" in alert.message and f"rollback {NAME}" in alert.message
    judged(bad, DUE + 1)
    assert kinds(bad)[-1] == "return", "it is tried again"


@pytest.mark.slow
def test_a_predecessor_of_another_schema_is_told(bad: Workspace) -> None:
    """It learnt from a column that the rows have no more."""
    history = bad.ledger.champions(NAME)
    model = stored.load(bad.store, history[1].release_id)
    plan = FeaturePlan(("x1", "x9"), ("kind",))
    table = model.smoke.append_column("x9", model.smoke.column("x2"))
    learnt = Labelled(table, matrix(table, plan, ""), table.column("y").to_numpy(), np.array([]), model.card.classes)
    pipeline = fit(bad.spec(NAME), model.card.estimator, model.card.params, plan, learnt)
    other = stored.save(bad.store, replace(model.card, plan=plan), pipeline, table, table)
    turned_round(bad, release_id=other, version=2)
    turned_round(bad, release_id=history[2].release_id, version=3)
    assert "champion 5 against champion 4: could not be compared" in judged(bad, DUE) and "x9" in judged(bad, DUE)
    (alert,) = told(bad, "probation")
    assert "x9" in alert.message and "The champion stays" in alert.message and kinds(bad)[-1] == "promotion"


@pytest.mark.slow
def test_labels_that_never_come(two_champions: Workspace) -> None:
    write_csv(two_champions.settings.models / f"{NAME}.csv", rows(range(N_DAYS), _unlabelled))
    forget_readings(two_champions)
    work = Workspace(two_champions.settings)
    scored(work, END)
    assert "on probation" in judged(work, DUE)
    assert "on probation" in judged(work, END), "the last days may still be scored"
    assert "not shown by the end of its probation; it stays: 0 published rows of 0 days" in judged(work, END + 1)
    look = newest(work)
    assert look is not None and look.outcome == "not_shown"
    assert "0 published rows" in told(work, "probation")[0].message


@pytest.mark.slow
def test_where_nothing_is_published_nobody_is_told_daily(two_champions: Workspace) -> None:
    assert "not shown" in judged(two_champions, END + 1)
    assert two_champions.ledger.alerts(NAME) == []


def _unlabelled(number: int) -> pd.DataFrame:
    frame = rows_of(number)
    return frame if number < START else frame.assign(y=None)


@pytest.mark.slow
def test_the_monitor_says_it(bad: Workspace) -> None:
    said: dict[str, str] = {}
    scored(bad, DUE)
    decision = monitor.run(bad, bad.spec(NAME), day(DUE), lambda stage, text: said.update({stage: text}))
    assert "taken back" in said["probation"]
    assert decision.outcome in ("quiet", "watch", "held")
    assert kinds(bad)[-1] == "return"


@pytest.mark.slow
def test_people_see_it(bad: Workspace) -> None:
    def told_now() -> str | None:
        return status(bad, bad.spec(NAME), day(END)).probation

    assert told_now() == "on probation until 2024-02-24"
    judged(bad, DUE)
    assert told_now() == "champion 3 was taken back as of 2024-02-23"
    events = {e.event: e.text for e in events_of(bad.ledger, NAME)}
    assert "champion 3 against champion 2: is worse" in events["probation"]
    assert "champion 4: version 2, return by probation" in events["champion"]
    assert Known.of_all(bad.ledger, day(END)).probations[NAME] == newest(bad)


@pytest.mark.slow
def test_a_verdict_says_what_became_of_its_release(two_champions: Workspace) -> None:
    scored(two_champions, DUE - 1, END)
    judged(two_champions, END)
    verdict = two_champions.ledger.champions(NAME)[1].verdict_id or ""
    text = describe_probation(two_champions.ledger, verdict)
    assert text is not None and "holds, not worse by" in text
    assert describe_probation(two_champions.ledger, two_champions.ledger.champions(NAME)[0].verdict_id or "") is None
