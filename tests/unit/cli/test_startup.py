"""Questions start quickly: none of them imports what learns, validates or tracks. What a shell may complete."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from retraining.artifacts.alias import read_alias
from retraining.cli import app
from retraining.cli.remembered import load_passed
from retraining.workspace import Workspace
from samples.databases import give_mlflow
from samples.records import champion, decision, request, verdict
from samples.tiny import environ, tiny, write_model

HEAVY = (
    "alembic",
    "duckdb",
    "evidently",
    "great_expectations",
    "mlflow",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "skops",
    "sqlalchemy.dialects.postgresql",
)
_CALLS = """
import json, sys
from retraining.cli import main
imported = {}
for command in sys.argv[1:]:
    sys.argv = ["retraining", *command.split()]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, ended.code
    imported[command] = sorted(sys.modules)
print(json.dumps(imported), file=sys.stderr)
"""
_RUN = """
import atexit, gc, json, runpy, sys

def collections():
    return sum(generation["collections"] for generation in gc.get_stats())

def tell():
    print(json.dumps([collections() - before, gc.get_freeze_count()]), file=sys.stderr)

atexit.register(tell)  # what is registered first is called last
sys.argv = ["retraining", *sys.argv[1:]]
before = collections()
runpy.run_module("retraining", run_name="__main__")
"""


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    """A small home with a champion, a verdict and what was watched."""
    made = tiny(tmp_path)
    made.ledger.add_decision(decision())
    made.ledger.add_request(request())
    made.ledger.add_verdict(verdict("abc123"), [])
    made.ledger.move_champion(champion(verdict_id="abc123"))
    give_mlflow(made.settings)
    return made


def imported(work: Workspace, *commands: str) -> dict[str, set[str]]:
    """Run commands one after the other in a new process; return what was imported by the end of each."""
    variables = {**os.environ, **environ(work.settings)}
    done = subprocess.run(
        [sys.executable, "-c", _CALLS, *commands], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {command: set(found) for command, found in json.loads(done.stderr.splitlines()[-1]).items()}


def check(work: Workspace) -> tuple[int, str]:
    """Check the model in this process, which imported everything long ago."""
    done = CliRunner().invoke(app.app, ["check", "tiny"], env=environ(work.settings))
    return done.exit_code, done.stdout


def test_questions_import_nothing_heavy(home: Workspace) -> None:
    first = imported(home, "check tiny")["check tiny"]  # the first time, a YAML is really checked
    assert "sklearn" in first and "skops" not in first
    commands = ("check tiny", "status", "history tiny", "explain tiny", "registry show tiny")
    found = imported(home, *commands)
    assert {command: names.intersection(HEAVY) for command, names in found.items()} == {key: set() for key in commands}
    assert not found["check tiny"].intersection(("sqlalchemy", "retraining.ledger")), "a check opens no ledger"


def test_a_question_ends_without_looking_for_garbage_and_closes_the_ledger(home: Workspace) -> None:
    home.ledger.close()
    variables = {**os.environ, **environ(home.settings)}
    command = [sys.executable, "-c", _RUN, "status"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    n_collections, n_frozen = json.loads(done.stderr.splitlines()[-1])
    assert n_collections <= 1 and n_frozen > 0  # one may fall between the count and our first line; it was a hundred
    assert [path.name for path in home.settings.home.glob("ledger.db*")] == ["ledger.db"]


def test_a_first_check_that_loads_duckdb_ends_without_a_word_of_leaks(tmp_path: Path) -> None:
    call = [sys.executable, "-m", "retraining", "check", "flight_delay"]  # a shipped example, in a new home
    variables = {**os.environ, "RETRAINING_HOME": str(tmp_path)}
    done = subprocess.run(call, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith("ok ")


def test_a_check_is_remembered_only_for_what_it_was_asked(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(home)[0] == 0
    assert load_passed(home.settings)
    ridge = {"training": {"candidates": [{"estimator": "sklearn.linear_model.RidgeClassifier"}]}}
    write_model(home.settings.models, changes=ridge)
    code, text = check(home)
    assert code == 1 and "broken" in text, "only who looks at the estimator sees that it gives no probabilities"
    monkeypatch.setenv("RETRAINING_TRUSTED", "other")
    changed = home.settings.__class__(**{**vars(home.settings), "trusted": ("other",)})
    assert not load_passed(changed)


def test_the_alias_is_read_as_mlflow_gives_it(home: Workspace) -> None:
    assert read_alias(home.settings, "tiny") is home.registry.alias("tiny") is None
    client = home.registry._client
    client.create_registered_model("tiny")
    for _ in range(2):
        client.create_model_version("tiny", (home.settings.home / "x").as_uri())
    home.registry.set_alias("tiny", 2)
    assert read_alias(home.settings, "tiny") == home.registry.alias("tiny") == 2


def test_every_command_is_where_the_table_says() -> None:
    for module, names in app._MODULES.items():
        assert set(app.commands_of(module)) == set(names), module


@pytest.mark.parametrize(
    ("words", "expected"), [("retraining sta", ["status"]), ("retraining run t", ["tiny"]), ("retraining run x", [])]
)
def test_a_shell_completes_commands_and_models(home: Workspace, words: str, expected: list[str]) -> None:
    variables = {**os.environ, **environ(home.settings), "_RETRAINING_COMPLETE": "complete_bash"}
    variables |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    call = "import sys; sys.argv = ['retraining']; from retraining.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", call], env=variables, capture_output=True, text=True, check=False)
    assert done.stdout.split() == expected, done.stderr
