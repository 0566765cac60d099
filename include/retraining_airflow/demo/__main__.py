"""Runs the demo: `python -m retraining_airflow.demo`; `KEEP=0` ends it when the story is told."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import httpx
from rich.console import Console

from retraining.ledger import Ledger
from retraining.settings import settings
from retraining_airflow.demo.processes import StartFailed
from retraining_airflow.demo.stack import Stack
from retraining_airflow.demo.story import MODEL, Story, StoryFailed, copy_models
from retraining_airflow.names import MONITOR, RETRAIN, SCORE, dag_id

_WIDTH_IN_PIPES = 140


def main() -> int:
    """Play the story; return the exit code."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_IN_PIPES)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    started = time.monotonic()
    home = _next_home(settings().home / "demo")
    copy_models(home / "models")
    stack = Stack(home, home / "models")
    for line in stack.ports.moved:
        console.print(f"[yellow]note[/] {line}")
    try:
        with console.status("starting MLflow and Airflow"):
            stack.start()
            stack.wait_for_dags({dag_id(f, MODEL) for f in (RETRAIN, SCORE, MONITOR)})
        console.print(f"[green]done[/] MLflow and Airflow are up [dim]{time.monotonic() - started:.0f} s[/]")
        story = Story(stack, Ledger(stack.settings.ledger), console)
        story.tell()
        console.print(story.table())
        _farewell(console, stack, time.monotonic() - started)
        if os.environ.get("KEEP", "1") != "0":
            console.print("The user interfaces stay up. End with Ctrl-C.")
            threading.Event().wait()
    except KeyboardInterrupt:
        console.print("ending")
    except (StartFailed, StoryFailed, httpx.HTTPError) as error:
        console.print(f"[red bold]{type(error).__name__}[/]: {error}\nLogs: {home / 'logs'}", markup=True)
        return 1
    finally:
        stack.stop()
    return 0


def _next_home(folder: Path) -> Path:
    """Every demo has a home of its own, so that it tells the same story each time; earlier ones stay readable."""
    number = 1 + max((int(p.name) for p in folder.glob("[0-9]*") if p.name.isdigit()), default=0)
    home = folder / str(number)
    home.mkdir(parents=True)
    return home


def _farewell(console: Console, stack: Stack, seconds: float) -> None:
    console.print(f"\nAirflow  {stack.airflow_url}  (no login: this machine only)")
    console.print(f"MLflow   {stack.mlflow_url}")
    console.print(f"Ledger   RETRAINING_HOME={stack.home} python -m retraining history {MODEL}")
    console.print(f"It took {seconds:.0f} s.")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
