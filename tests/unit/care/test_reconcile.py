"""Housekeeping goes on with the other models when it fails for one, and says so at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from retraining.care import reconcile
from retraining.errors import RegistryError, RetrainingError, Unavailable
from retraining.workspace import Workspace
from samples.records import champion, evaluation, verdict
from samples.tiny import day, tiny, write_model

MODELS = ("ann", "bad", "tiny")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = tiny(tmp_path)
    for model in MODELS:
        write_model(made.settings.models, model)
        made.ledger.move_champion(champion(model=model, verdict_id=f"v {model}"))
    return made


@pytest.mark.parametrize(
    ("error", "ends"), [(RegistryError("bad: refused."), RetrainingError), (Unavailable("no answer."), Unavailable)]
)
def test_one_models_registry_error_stops_no_other(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, error: Exception, ends: type[Exception]
) -> None:
    def sync(_: Workspace, model: str, as_of: object) -> None:
        if model == "bad":
            raise error

    monkeypatch.setattr(reconcile, "sync_alias", sync)
    for number in (50, 51):
        found = reconcile.reconcile_all(workspace, day(number))
        agree = "ledger and registry agree on version 1"
        assert (found.said[0], found.said[2]) == (f"ann: {agree}", f"tiny: {agree}")
        with pytest.raises(ends, match="housekeeping failed for bad; all others are done"):
            found.require_whole()
    assert [len(workspace.ledger.alerts(model)) for model in MODELS] == [0, 1, 0]
    ((first, second),) = workspace.ledger.incidents("bad")
    assert (first.kind, second.as_of) == ("housekeeping failed", day(51))


def test_a_broken_yaml_stops_no_other_and_a_stale_model_is_one_alert(workspace: Workspace) -> None:
    write_model(workspace.settings.models, "bad", changes={"gate": {"marign": 1}})
    (workspace.settings.models / "ann.yaml").unlink()
    workspace.ledger.add_verdict(verdict("v1", evaluation=evaluation(as_of=day(40))), [])
    for number in range(60, 64):
        found = reconcile.find_stale(workspace, day(number))
        assert found.said[2].startswith(f"tiny: last verdict is {number - 40} days old")
        with pytest.raises(RetrainingError, match="housekeeping failed for bad.*Did you mean margin"):
            found.require_whole()
    assert [len(workspace.ledger.alerts(model)) for model in MODELS] == [1, 1, 1]
    assert "no YAML in models" in workspace.ledger.alerts("ann")[0].message
    told = workspace.ledger.incidents("tiny")[0]
    assert (len(told), told[0].as_of, told[-1].as_of) == (4, day(60), day(63))
    workspace.ledger.add_verdict(verdict("v2", evaluation=evaluation(as_of=day(63))), [])
    reconcile.find_stale(workspace, day(90))
    assert [a.kind for a in workspace.ledger.alerts("tiny")] == ["stale", "stale"], "stale again is another incident"
