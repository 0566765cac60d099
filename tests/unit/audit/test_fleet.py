"""What is asked of the ledger does not grow: not with the number of models, and not with their history."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from retraining.audit.history import events_of
from retraining.audit.status import Known, status
from retraining.care.reconcile import find_stale
from retraining.ledger.connection import Connected
from retraining.monitor import performance
from retraining.pipeline import monitor
from retraining.workspace import Workspace
from samples.fleet import WEEK, fleet, names
from samples.queries import asked
from samples.tiny import day

SHORT, LONG = 10, 100


@dataclasses.dataclass(frozen=True)
class Cost:
    """Queries, and the rows they gave."""

    queries: int
    rows: int


Measure = Callable[[Callable[[], object]], Cost]


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return fleet(tmp_path_factory.mktemp("few"), 2, SHORT)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return fleet(tmp_path_factory.mktemp("many"), 20, SHORT)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return fleet(tmp_path_factory.mktemp("old"), 2, LONG)


@pytest.fixture
def cost(monkeypatch: pytest.MonkeyPatch) -> Measure:
    n_rows = 0
    read_all, read_one = Connected._all, Connected._one

    def count_all(self: Connected, query: object) -> object:
        nonlocal n_rows
        found = read_all(self, query)  # type: ignore[arg-type]  # handed on as it is
        n_rows += len(found)
        return found

    def count_one(self: Connected, query: object) -> object:
        nonlocal n_rows
        n_rows += 1
        return read_one(self, query)  # type: ignore[arg-type]  # as above

    def measure(work: Callable[[], object]) -> Cost:
        nonlocal n_rows
        n_rows = 0
        with asked() as seen:
            work()
        return Cost(len(seen), n_rows)

    monkeypatch.setattr(Connected, "_all", count_all)
    monkeypatch.setattr(Connected, "_one", count_one)
    return measure


def all_states(workspace: Workspace, n_models: int) -> Callable[[], object]:
    workspace.ledger  # noqa: B018 - opened, and its schema looked at, before anything is counted
    specs = [workspace.spec(name) for name in names(n_models)]

    def ask() -> None:
        known = Known.of_all(workspace.ledger, day(LONG + 30))
        found = [status(workspace, spec, day(SHORT), known) for spec in specs]
        assert all(s.champion and s.verdict and s.decision for s in found)

    return ask


def test_the_states_of_all_models_take_as_many_queries_as_one(
    few: Workspace, many: Workspace, old: Workspace, cost: Measure
) -> None:
    two, twenty, long = cost(all_states(few, 2)), cost(all_states(many, 20)), cost(all_states(old, 2))
    assert two.queries == twenty.queries == long.queries <= 8
    assert long.rows <= two.rows + 4, "an open request and an alert each; verdicts and decisions are not read"


def test_the_state_of_one_model_is_the_same_alone_and_among_all(old: Workspace) -> None:
    known = Known.of_all(old.ledger, day(LONG + 30))
    for name in names(2):
        spec = old.spec(name)
        assert status(old, spec, day(LONG + 30)) == status(old, spec, day(LONG + 30), known)
    assert status(old, spec, day(LONG + 30), known).stale


def test_stale_models_are_found_with_a_few_queries_beside_their_alerts(
    few: Workspace, many: Workspace, cost: Measure
) -> None:
    assert cost(lambda: find_stale(few, day(SHORT))).queries == cost(lambda: find_stale(many, day(SHORT))).queries <= 9


def test_the_newest_events_are_those_at_the_end_of_the_history(old: Workspace, cost: Measure) -> None:
    model = names(1)[0]
    every = events_of(old.ledger, model)
    assert events_of(old.ledger, model, newest=25) == every[-25:]
    whole, newest = cost(lambda: events_of(old.ledger, model)), cost(lambda: events_of(old.ledger, model, newest=25))
    assert newest.queries <= whole.queries + 1 < 18  # of incidents the newest are found first
    assert newest.rows < whole.rows / 2


def monitored(workspace: Workspace, n_days: int) -> Callable[[], object]:
    """Return what a monitor run asks of the ledger on a day."""
    model = names(1)[0]
    frozen, ledger, as_of = workspace.spec(model), workspace.ledger, day(n_days)
    champion, measured = ledger.champion(model), ledger.measurement(model, as_of)
    assert champion and measured
    later = dataclasses.replace(measured, as_of=as_of + timedelta(hours=1))

    def ask() -> None:
        performance.compare(workspace, frozen, champion, as_of)
        monitor.decide(workspace, frozen, later)

    return ask


@pytest.mark.parametrize("every", [7, 1000], ids=["retrained weekly", "never retrained"])
def test_a_day_of_monitoring_costs_the_same_whatever_came_before(tmp_path: Path, cost: Measure, every: int) -> None:
    days = (LONG - 8 * WEEK, LONG)  # the same day of the week, as far from a promotion
    young, aged = (fleet(tmp_path / str(n_days), 1, n_days, every=every) for n_days in days)
    assert cost(monitored(young, days[0])) == cost(monitored(aged, days[1]))
