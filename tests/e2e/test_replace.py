"""Replacements on real installations: recipe against recipe, and the champion's own recipe where it does not pass."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from retraining.cli.app import app
from retraining.pages.verdicts.page import live as live_page
from retraining.pipeline import retrain as stages
from retraining.pipeline import whole
from retraining.pipeline.admission import admit
from retraining.pipeline.whole import RunResult
from retraining.records import Rolled, Trained, Verdict
from retraining.rollout.allowed import triggered
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace
from samples.tiny import N_DAYS, NAME, day, environ, retrain, rows, write_csv
from tests.e2e.conftest import FIRST, SECOND, edit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_preflight")]

LINEAR = "sklearn.linear_model.LogisticRegression"
WEAK = [{"estimator": LINEAR, "params": {"C": 1e-6}}]
BLIND = {"features": {"numeric": ["x2"], "categorical": ["kind"]}}
SEEING = {"features": {"numeric": ["x1", "x2"], "categorical": ["kind"]}}


def judged(result: RunResult) -> Verdict:
    """Return the verdict on what the YAML asks for."""
    assert result.verdict is not None
    return result.verdict


def instead(result: RunResult) -> Verdict:
    """Return the verdict on the champion's own recipe."""
    assert isinstance(result.instead, Verdict), result.text
    return result.instead


def test_a_better_recipe_replaces_over_every_origin_there_is_room_for(new: Workspace) -> None:
    retrain(edit(new, BLIND), FIRST)
    workspace = edit(new, SEEING)
    result = retrain(workspace, SECOND, dry_run=True)
    verdict = judged(result)
    found = verdict.evaluation.replacement
    assert verdict.decision == "promote" and result.instead is None, result.text
    assert found is not None and len(found.origins) == 3, "28 days leave three weeks with 14 days before them"
    assert (found.n_days, found.n_rows) == (21, 21 * 40)
    assert all(o.candidate is not None and o.champion is not None and o.candidate > o.champion for o in found.origins)
    assert "better at 95% confidence" in verdict.reasons[-1] and "in 3 holdouts" in verdict.reasons[-1]
    kept = workspace.ledger.recorded(Rolled, NAME, "origin")
    again = retrain(workspace, SECOND, dry_run=True)
    assert again.verdict == verdict and workspace.ledger.recorded(Rolled, NAME, "origin") == kept
    deployed = retrain(workspace, SECOND).deployment
    assert deployed is not None and deployed.outcome == "deployed"


def test_an_origin_learns_nothing_of_its_holdout_or_after(new: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from retraining.train import origins

    seen: list[Any] = []
    fit = origins.fit

    def watched(frozen: FrozenSpec, estimator: str, params: Any, plan: Any, data: Any) -> Any:
        seen.append(data.times.max())
        return fit(frozen, estimator, params, plan, data)

    retrain(edit(new, BLIND), FIRST)
    monkeypatch.setattr(origins, "fit", watched)
    found = judged(retrain(edit(new, SEEING), SECOND, dry_run=True)).evaluation.replacement
    assert found is not None
    starts = [np.datetime64(o.holdout.start.replace(tzinfo=None)) for o in found.origins]
    before = [starts[0], starts[0], starts[1], starts[1]]
    day_before = [start - np.timedelta64(1, "D") for start in before]
    assert all(d <= t < s for t, s, d in zip(sorted(seen), before, day_before, strict=True)), (seen, starts)


def test_a_pending_change_never_starves_the_model(champion: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    first = champion.ledger.champion(NAME)
    assert first is not None
    workspace = edit(champion, {"training": {"candidates": WEAK}, "owner": {"technical": "new@example.com"}})
    result = retrain(workspace, SECOND)
    verdict, own = judged(result), instead(result)
    assert verdict.evaluation.rule == "replace" and verdict.decision in ("reject", "inconclusive")
    assert own.evaluation.instead_of == verdict.id and own.evaluation.rule == "refresh"
    assert own.decision == "promote" and "because the replacement did not pass" in own.reasons[0]
    live = workspace.ledger.champion(NAME)
    assert live is not None and live.sequence == 2 and live.verdict_id == own.id, result.text
    assert verdict.reasons[0] in result.text and own.reasons[-1] in result.text
    page, other = live_page(workspace, verdict), live_page(workspace, own)
    assert "Origin by origin" in page and f"verdict <code>{own.id[:8]}</code>" in page
    assert f"verdict <code>{verdict.id[:8]}</code> on a replacement, which did not pass" in other
    for name, value in environ(workspace.settings).items():
        monkeypatch.setenv(name, value)
    said = CliRunner().invoke(app, ["explain", verdict.id]).stdout
    assert f"in its place, the champion's own recipe: promote {own.id[:8]}" in said and "Origins" in said
    spec = workspace.frozen(live.spec_id).spec
    assert spec.owner.technical == "new@example.com", "all but what is learnt is today's"
    assert spec.training == workspace.frozen(first.spec_id).spec.training
    first, second, third = (look for _, look in sorted(workspace.ledger.numbered_looks(NAME).items()))
    assert (first.replace, second.replace, third.replace) == (False, True, False), "a look for each question"
    assert own.evaluation.look == third.evaluation and own.evaluation.looks == verdict.evaluation.looks == 0


def test_a_change_of_the_data_alone_starves_no_model_either(
    champion: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both recipes are the same then, and what is judged in its place is the very candidate of the replacement."""
    workspace = edit(champion, {"data": {"max_unlabelled": 0.3}})
    frozen, when = workspace.spec(NAME), {"as_of": SECOND, "fallback": SECOND}
    tried = retrain(workspace, SECOND, dry_run=True)
    admission = admit(workspace, frozen, **when, trigger="person", reason="", dry_run=False, by="ann")
    result = whole.run(workspace, admission)
    verdict, own = judged(result), instead(result)
    assert (verdict.evaluation.rule, verdict.decision) == ("replace", "reject"), "it is no better than itself"
    assert (own.evaluation.rule, own.decision) == ("refresh", "promote") and own.id != verdict.id
    assert result.deployment is not None and result.deployment.outcome == "deployed", result.text
    assert own.evaluation.instead_of == verdict.id != instead(tried).evaluation.instead_of, "not that of the dry run"
    assert triggered(workspace, own).accounts == ("ann",), "its spec is another, its run is that of the replacement"
    monkeypatch.setattr("retraining.train.again.learn_again", lambda *_: pytest.fail("it was judged already"))
    assert instead(whole.run(workspace, admission)) == own


def test_a_run_killed_between_the_two_verdicts_ends_the_same(
    champion: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = edit(champion, {"training": {"candidates": WEAK}})
    with monkeypatch.context() as patch:
        patch.setattr("retraining.pipeline.replacing.fall_back", _killed)
        with pytest.raises(KeyboardInterrupt):
            retrain(workspace, SECOND)
    fitted = workspace.ledger.recorded(Trained, NAME, "train")
    result = retrain(workspace, SECOND)
    assert workspace.ledger.recorded(Trained, NAME, "train") == fitted, "the champion's recipe was fitted before"
    live = workspace.ledger.champion(NAME)
    assert live is not None and live.verdict_id == instead(result).id
    assert len(workspace.ledger.verdicts(NAME)) == 3


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_reverting_the_change_is_a_refresh_again(champion: Workspace) -> None:
    before = copy.deepcopy(champion.spec(NAME).spec.training)
    own = instead(retrain(edit(champion, {"training": {"candidates": WEAK}}), SECOND))
    workspace = edit(champion, {"training": {"candidates": [{"estimator": LINEAR}]}})
    assert workspace.spec(NAME).spec.training == before
    from retraining.evaluation.rule import rule_of

    live = workspace.ledger.champion(NAME)
    assert live is not None and live.verdict_id == own.id
    assert rule_of(workspace, workspace.spec(NAME), LINEAR, live) == "refresh"


def test_another_window_is_a_recipe_of_its_own(champion: Workspace) -> None:
    result = retrain(edit(champion, {"training": {"window": "21d"}}), SECOND)
    found = judged(result).evaluation.replacement
    assert found is not None and found.gain is not None and len(found.origins) == 2
    own = instead(result)
    trained = champion.ledger.recorded(Trained, NAME, "train")
    again = next(t for t in trained.values() if t.artifact_id == own.evaluation.candidate_id)
    assert again.snapshot_id != judged(result).evaluation.refit_id
    made = champion.ledger.release_of(own.id)
    assert made is not None and made.snapshot_id == own.evaluation.refit_id
    assert made.snapshot_id != judged(result).evaluation.refit_id, "28 days, not 21"


# --- what cannot be compared recipe against recipe ------------------------------------------------------------------


def test_a_recipe_whose_estimator_is_gone_is_compared_as_the_artifact_it_is(
    champion: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retraining.train import again, requirements

    real = requirements.require_candidate

    def gone(training: Any, candidate: Any) -> None:
        if candidate.params == {}:
            real(training, candidate.model_copy(update={"estimator": "sklearn.linear_model.Gone"}))
        real(training, candidate)

    monkeypatch.setattr(again, "require_candidate", gone)
    result = retrain(edit(champion, {"training": {"candidates": WEAK}}), SECOND)
    verdict = judged(result)
    assert verdict.evaluation.replacement is not None and verdict.evaluation.replacement.gain is None
    assert verdict.evaluation.over_champion is not None
    why = "its recipe cannot be learnt any more: training.candidates: there is no estimator sklearn.linear_model.Gone"
    assert any("compared as it is, not by its recipe: " + why in r for r in verdict.reasons)
    assert isinstance(result.instead, str) and result.instead in result.text
    assert result.instead.startswith(f"champion 1 cannot be refreshed in its place: {why}")


def test_room_for_one_origin_is_judged_on_the_newest_holdout(new: Workspace) -> None:
    retrain(edit(new, BLIND), FIRST)
    verdict = judged(retrain(edit(new, {**SEEING, "gate": {"origins": 1}}), SECOND))
    found = verdict.evaluation.replacement
    assert found is not None and found.gain is not None
    assert (len(found.origins), found.n_days) == (1, 7)
    assert any("in 1 holdout," in reason for reason in verdict.reasons), verdict.reasons


def test_an_origin_with_too_short_a_history_is_left_out_and_named(new: Workspace) -> None:
    write_csv(new.settings.models / f"{NAME}.csv", rows(range(23, N_DAYS)))
    retrain(edit(new, BLIND), day(48))
    verdict = judged(retrain(edit(new, SEEING), day(49)))
    found = verdict.evaluation.replacement
    assert found is not None and found.gain is not None and len(found.origins) == 2
    assert len(found.left_out) == 1 and "160 labelled rows; at least 200 are needed" in found.left_out[0]
    assert any("in 2 holdouts (1 left out)" in reason for reason in verdict.reasons), verdict.reasons


def test_a_yaml_that_asks_every_candidate_to_be_better_has_no_fallback(champion: Workspace) -> None:
    result = retrain(edit(champion, {"gate": {"rule": "replace"}}), SECOND)
    verdict = judged(result)
    assert verdict.evaluation.rule == "replace" and result.instead is None
    assert any("gate.rule is replace, and its recipe is the candidate's own" in r for r in verdict.reasons)


def test_a_champion_of_a_version_with_fewer_keys_is_refreshed(new: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    document = FrozenSpec.document

    def earlier(self: FrozenSpec) -> dict[str, Any]:
        found = copy.deepcopy(document(self))
        found["spec"]["training"].pop("calibration")
        found["spec"]["gate"].pop("origins")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(FrozenSpec, "document", earlier)
        patch.setattr(FrozenSpec, "learning_id", property(lambda _: "as an earlier version computed it"))
        retrain(new, FIRST)
    champion = new.ledger.champion(NAME)
    assert champion is not None
    assert "calibration" not in new.store.read_json(f"specs/{champion.spec_id}.json")["spec"]["training"]
    result = retrain(Workspace(new.settings), SECOND)
    assert judged(result).evaluation.rule == "refresh", result.text
    other = retrain(edit(new, {"training": {"calibration": "sigmoid"}}), SECOND)
    assert judged(other).evaluation.rule == "replace"


def test_stages_cross_origins_by_id(champion: Workspace) -> None:
    from retraining.pipeline import replacing
    from retraining.pipeline.admission import admit
    from retraining.pipeline.crossing import ids_of, recall

    workspace = edit(champion, {"training": {"candidates": WEAK}})
    frozen = workspace.spec(NAME)
    run = admit(workspace, frozen, as_of=SECOND, fallback=SECOND, trigger="person", reason="", dry_run=False)
    ingested = stages.validate(workspace, run, stages.ingest(workspace, run)).ingested
    trained = stages.train(workspace, run, ingested)
    assert replacing.origins(workspace, run, ingested, trained) == [0, 1, 2]
    assert replacing.roll(workspace, run, ingested, trained, 3) is None
    one = replacing.roll(workspace, run, ingested, trained, 1)
    assert one is not None and recall(workspace, Rolled, ids_of(one)) == one
    evaluation = stages.evaluate(workspace, run, ingested, trained, [one])
    assert evaluation.replacement is not None
    assert len(evaluation.replacement.origins) == 3, "missing ones are made up for"
