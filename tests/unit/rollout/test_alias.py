"""The alias follows the ledger when two runs move both: what the one does between two steps of the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from retraining.ledger import Ledger
from retraining.rollout.alias import sync_alias
from samples.records import champion
from samples.tiny import NAME, day


class Registry:
    """The alias of a registry that another run uses at the same time: it acts once, after the alias was read."""

    def __init__(self, version: int | None) -> None:
        self.version, self.meanwhile = version, (lambda: None)

    def alias(self, _model: str) -> int | None:
        found, act, self.meanwhile = self.version, self.meanwhile, lambda: None
        act()
        return found

    def set_alias(self, _model: str, version: int) -> None:
        self.version = version

    def version_exists(self, _model: str, _version: int) -> bool:
        return True


class Installation:
    """The two parts that the alias is about."""

    def __init__(self, ledger: Ledger, version: int | None) -> None:
        self.ledger, self.registry = ledger, Registry(version)

    def sync(self, meanwhile: Callable[[], object] = lambda: None) -> object:
        self.registry.meanwhile = meanwhile  # type: ignore[assignment]  # what it returns is nobody's business
        return sync_alias(self, NAME, day(50))  # type: ignore[arg-type]  # the parts that it uses


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Installation]:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.move_champion(champion(1))
    made = Installation(ledger, None)
    assert made.sync() is None and made.registry.version == 1
    yield made
    ledger.close()


def test_of_two_runs_that_set_the_same_alias_none_calls_it_moved_by_hand(live: Installation) -> None:
    live.ledger.move_champion(champion(2))
    assert live.sync(meanwhile=live.sync) is None
    assert (live.registry.version, live.ledger.alerts(NAME)) == (2, [])


def test_a_slow_run_does_not_put_back_an_older_champion(live: Installation) -> None:
    live.ledger.move_champion(champion(2))

    def another_promotes() -> None:
        live.ledger.move_champion(champion(3))
        live.sync()

    assert live.sync(another_promotes) is None
    assert (live.registry.version, live.ledger.alerts(NAME)) == (3, [])


def test_a_champion_whose_run_was_killed_before_the_alias_is_no_move_by_hand(live: Installation) -> None:
    live.ledger.move_champion(champion(2))
    live.ledger.move_champion(champion(3))
    assert live.sync() is None
    assert (live.registry.version, live.ledger.alerts(NAME)) == (3, [])


def test_an_alias_that_a_person_moved_stays_and_is_told(live: Installation) -> None:
    live.registry.version = 7
    assert live.sync() is not None
    assert live.registry.version == 7 and [a.kind for a in live.ledger.alerts(NAME)] == ["alias moved"]
