"""The examples that ship: every YAML is fit to run as it stands, and lives through one turn of the loop."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from retraining.cli.app import app
from retraining.pipeline import monitor, score
from retraining.settings import settings
from retraining.spec import find_models
from retraining.workspace import Workspace
from samples.tiny import environ, retrain, settings_in

SHIPPED = settings({}).models
EXAMPLES = find_models(SHIPPED)
AS_OF = datetime(2025, 7, 7, tzinfo=UTC)
"""A Monday whose holdouts every example passes: the weather decides much in the replayed July, and little in autumn."""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """An empty installation with the YAMLs where they are; the examples read the same flights, as they would there."""
    return Workspace(replace(settings_in(tmp_path_factory.mktemp("examples")), models=SHIPPED))


def test_the_examples_are_those_that_ship() -> None:
    assert Path(__file__).parents[2] / "include" / "models" == SHIPPED
    assert EXAMPLES and len(EXAMPLES) == len(list(SHIPPED.glob("*.yaml"))) - len(list(SHIPPED.glob("*.cases.yaml")))


@pytest.mark.parametrize("name", EXAMPLES)
def test_check_has_nothing_to_say(shipped: Workspace, name: str) -> None:
    done = CliRunner().invoke(app, ["check", name], env=environ(shipped.settings))
    first, note = done.stdout.splitlines()
    assert (done.exit_code, first.split()) == (0, ["ok", name])
    assert note.startswith(f"{name}.yaml: note: a replacement is judged over "), "and nothing else"


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_trained_scores_a_day_and_is_watched(shipped: Workspace, name: str) -> None:
    frozen, evening = shipped.spec(name), AS_OF + timedelta(days=3)  # before it, the feed itself lacks pressures
    result = retrain(shipped, AS_OF, name)
    assert result.deployment is not None and result.deployment.outcome == "deployed", result.text
    scored = score.run(shipped, frozen, evening)
    new = [AS_OF + timedelta(days=number) for number in (-1, 0, 1, 2)]
    assert [p.window.start for p in scored] == new, "the days newer than its training"
    assert all(p.n_rows > 500 for p in scored), "a day has some 900 flights"
    decision = monitor.run(shipped, frozen, evening)
    assert decision.outcome in ("quiet", "watch"), decision
    watched = shipped.ledger.measurement(name, evening)
    assert watched is not None and (watched.n_rows, watched.health) == (scored[-1].n_rows, ())
    assert {one.column for one in watched.drift} >= set(frozen.spec.monitor.columns or ())
    assert {alert.kind for alert in shipped.ledger.alerts(name)} <= {"skew"}, "a few rows beyond the training may be"
