"""The demo's story: a first champion, quiet days, a real fall, the retraining it causes, and a request that is held."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from retraining.ledger import Ledger
from retraining.records import short
from retraining.spec import find_models
from retraining.windows import parse_time
from retraining_airflow.demo.stack import ROOT, Stack
from retraining_airflow.names import MONITOR, RETRAIN, SCORE, dag_id

MODEL = "flight_delay"
FIRST, QUIET, MIDDLE, FALL, AFTER = "2025-08-18", "2025-08-25", "2025-09-01", "2025-09-07", "2025-09-08"
"""As-of days. The feed replays 2013 with the same weekdays, so these are early September 2013 and the weeks after:
calm weeks, then a stretch of storms in which passengers are no longer warned."""
_RUN_TIMEOUT_S = 600.0
"""A whole retrain takes half a minute; ten minutes mean that something hangs."""
_POLL_S = 0.7
"""Each look costs the API server some 50 ms of the machine on which the models are trained."""
_FAMILIES = (RETRAIN, SCORE, MONITOR)


class StoryFailed(Exception):
    """Raise when the loop did not do what the story says; the message names the run and its failed task."""


@dataclass(frozen=True)
class Event:
    """One line of the closing table."""

    as_of: str
    what: str
    outcome: str
    why: str
    seconds: float


def copy_models(target: Path) -> None:
    """Copy the shipped models with their schedules off, so that nothing but the story happens."""
    shutil.copytree(ROOT / "include" / "models", target, dirs_exist_ok=True)
    for path in find_models(target).values():
        values = yaml.safe_load(path.read_text())
        for group in _FAMILIES:
            values.setdefault(group, {})["schedule"] = None
        path.write_text(yaml.safe_dump(values, sort_keys=False))


class Story:
    """Drives the loop through Airflow's API and reads what came of it from the ledger."""

    def __init__(self, stack: Stack, ledger: Ledger, console: Console) -> None:
        self._stack, self._ledger, self._console = stack, ledger, console
        self.events: list[Event] = []

    def tell(self) -> None:
        """Play the whole story.

        Raises
        ------
        StoryFailed
            When a run fails, or the loop decides something else than the story says.
        """
        self._retrain_by_hand()
        self._score(QUIET)
        self._monitor(QUIET, {"quiet", "watch"})
        self._nothing_was_woken()
        self._score(MIDDLE)
        self._score(FALL)
        self._monitor(FALL, {"ask"})
        self._retrain_by_request()
        self._score(AFTER)
        self._monitor(AFTER, {"held"})

    def table(self) -> Table:
        """Return what happened, as a table."""
        table = Table(title="What happened", title_justify="left", title_style="bold", box=None, pad_edge=False)
        for name in ("as of", "what", "outcome", "why", "s"):
            table.add_column(name, overflow="fold", justify="right" if name == "s" else "left")
        for e in self.events:
            table.add_row(e.as_of, e.what, f"[bold]{escape(e.outcome)}[/]", escape(e.why), f"{e.seconds:.0f}")
        return table

    def _retrain_by_hand(self) -> None:
        started = time.monotonic()
        self._run(RETRAIN, {"as_of": _iso(FIRST), "reason": "the first champion"}, "first champion, started by hand")
        self._note_verdict(FIRST, "retrain, by hand", "promote", started)

    def _retrain_by_request(self) -> None:
        started = time.monotonic()
        name = dag_id(RETRAIN, MODEL)
        with self._waiting("the request wakes the retraining"):
            run_id = self._wait_for_wake_up(name)
        self._follow(name, run_id, "retraining, woken by the monitor's request")
        self._note_verdict(FALL, "retrain, by request", "promote", started)

    def _score(self, as_of: str) -> None:
        started = time.monotonic()
        self._run(SCORE, {"as_of": _iso(as_of)}, f"predictions up to {as_of}")
        window = [p for p in self._ledger.all_predictions(MODEL) if p.as_of == parse_time(as_of)]
        rows = sum(p.n_rows for p in window)
        sequences = sorted({p.sequence for p in window})
        why = f"{rows:,} flights on {len(window)} days by champion {', '.join(map(str, sequences))}"
        self.events.append(Event(as_of, "score", "published", why, time.monotonic() - started))

    def _monitor(self, as_of: str, expected: set[str]) -> None:
        started = time.monotonic()
        self._run(MONITOR, {"as_of": _iso(as_of)}, f"the monitor looks at the day before {as_of}")
        decision = self._ledger.decision(MODEL, parse_time(as_of))
        if decision is None or decision.outcome not in expected:
            found = decision.outcome if decision else "no decision"
            raise StoryFailed(f"the monitor as of {as_of} should be {' or '.join(sorted(expected))}; it was {found}")
        why = "; ".join(decision.reasons)
        self.events.append(Event(as_of, "monitor", decision.outcome, why, time.monotonic() - started))

    def _nothing_was_woken(self) -> None:
        runs = len(self._stack.runs(dag_id(RETRAIN, MODEL)))
        if runs != 1:
            raise StoryFailed(f"a quiet day must start no retraining, but there are {runs} runs")

    def _note_verdict(self, as_of: str, what: str, expected: str, started: float) -> None:
        verdict = self._ledger.verdicts(MODEL)[-1]
        champion = self._ledger.champion(MODEL)
        if verdict.decision != expected or champion is None or champion.verdict_id != verdict.id:
            raise StoryFailed(f"the verdict as of {as_of} is {verdict.decision}: {'; '.join(verdict.reasons)}")
        why = f"{verdict.reasons[-1]}; champion {champion.sequence} is version {champion.version}"
        outcome = f"{verdict.decision} {short(verdict.id)}"
        self.events.append(Event(as_of, what, outcome, why, time.monotonic() - started))

    def _run(self, family: str, conf: dict[str, Any], what: str) -> None:
        name = dag_id(family, MODEL)
        self._follow(name, self._stack.trigger(name, conf), what)

    def _follow(self, name: str, run_id: str, what: str) -> None:
        """Show a run's tasks as they end, and wait for its end."""
        started, seen = time.monotonic(), set[str]()
        with self._waiting(f"{name}: {what}") as status:
            while True:
                state = self._stack.run_state(name, run_id)
                tasks = self._stack.tasks(name, run_id)
                for task in sorted(tasks, key=lambda t: t["end_date"] or "~"):
                    if task["state"] in ("success", "skipped", "failed") and task["task_id"] not in seen:
                        seen.add(task["task_id"])
                running = [t["task_id"] for t in tasks if t["state"] == "running"]
                status.update(
                    f"{name}: {what}: {', '.join(running) or 'scheduling'} ({len(seen)} of {len(tasks)} tasks)"
                )
                if state in ("success", "failed"):
                    break
                if time.monotonic() - started > _RUN_TIMEOUT_S:
                    raise StoryFailed(f"{name} {run_id} did not end within {_RUN_TIMEOUT_S:.0f} s")
                self._stack.check()
                time.sleep(_POLL_S)  # polling a server's state
        took = time.monotonic() - started
        self._console.print(f"[green]done[/] {name}: {escape(what)} [dim]{len(seen)} tasks, {took:.0f} s[/]")
        if state == "failed":
            failed = [t["task_id"] for t in tasks if t["state"] == "failed"]
            raise StoryFailed(f"{name} {run_id} failed in {', '.join(failed)}; logs are under {self._stack.home}")

    def _wait_for_wake_up(self, name: str) -> str:
        end = time.monotonic() + _RUN_TIMEOUT_S
        while time.monotonic() < end:
            woken = [r for r in self._stack.runs(name) if r["run_type"] == "asset_triggered"]
            if woken:
                return str(woken[-1]["dag_run_id"])
            self._stack.check()
            time.sleep(_POLL_S)  # polling a server's state
        raise StoryFailed("the monitor's request did not wake the retraining")

    @contextmanager
    def _waiting(self, text: str) -> Iterator[Any]:
        with self._console.status(escape(text)) as status:
            yield status


def _iso(day: str) -> str:
    return parse_time(day).isoformat()
