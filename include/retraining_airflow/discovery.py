"""Which models a parse must build: one when a task starts, all otherwise; a broken one never stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from airflow.sdk import DAG

from retraining.errors import RetrainingError, SpecError
from retraining.settings import settings
from retraining.spec import FrozenSpec, find_models, load
from retraining_airflow.names import model_of

Build = Callable[[FrozenSpec], DAG | None]
T = TypeVar("T")


def build_dags(family: str, build: Build) -> dict[str, DAG]:
    """Build a family's DAGs. A spec that does not load is left out here; `check_specs` raises its error.

    At a task's start Airflow parses the file again for one DAG: then only that model's YAML is read.
    """
    dags: dict[str, DAG] = {}
    try:
        paths = find_models(settings().models)
    except SpecError:
        return dags  # raised by dags/check_specs.py
    for model in _wanted(family, paths):
        try:
            dag = build(load(paths[model]))
        except (RetrainingError, KeyError):
            continue  # raised, with file, key and remedy, by dags/check_specs.py
        if dag is not None:
            dags[dag.dag_id] = dag
    return dags


def build_shared(builds: Mapping[str, Callable[[], DAG]]) -> dict[str, DAG]:
    """Build the DAGs that are no model's, or the one this parse is for."""
    only = wanted_dag()
    return {name: build() for name, build in builds.items() if only in (None, name)}


def broken_specs() -> str | None:
    """Return the problems of all YAMLs that do not load, as one text; None when every one does."""
    problems = []
    for path in find_models(settings().models).values():
        try:
            load(path)
        except SpecError as error:
            problems.append(str(error))
    return "\n".join(problems) or None


def wanted_dag() -> str | None:
    """Return the only DAG this parse is for; None when it is for all of them."""
    from airflow.sdk import get_parsing_context

    return get_parsing_context().dag_id


def _wanted(family: str, models: Iterable[str]) -> list[str]:
    only = wanted_dag()
    if only is None:
        return list(models)
    model = model_of(only, family)
    return [] if model is None else [model]
