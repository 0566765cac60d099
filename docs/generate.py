"""Writes docs/reference/: YAML keys from the schema, commands from their help, DAGs from their pages.

Run `python -m docs.generate` after changing one of them; a test compares the files with what this gives.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from retraining.pages.markdown import table
from retraining.spec import Spec, load
from retraining.spec.model import Check
from retraining.windows import format_duration

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
_NOTE = "<!-- Written by `python -m docs.generate` from {source}. Change that, not this page. -->"
_EXAMPLE = "flight_delay"
"""The model whose DAGs stand for every model's; its name is written as M."""


def render() -> dict[str, str]:
    """Return the text of every generated page by its file name."""
    return {"yaml.md": yaml_page(), "cli.md": cli_page(), "dags.md": dags_page()}


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in render().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"docs/reference/{name}")


# --- yaml.md ------------------------------------------------------------------------------------------------------


def yaml_page() -> str:
    """Return every key of the YAML with its type, default and meaning."""
    parts = [
        _NOTE.format(source="include/retraining/spec/"),
        "# The YAML",
        "One file per model in `include/models/` (or the folder that `RETRAINING_MODELS` names); the file's name is "
        "the model's name. An unknown key is an error. Durations are a whole number and `h`, `d` or `w`: `6h`, `90d`. "
        "Times are UTC. [How to add a model](../how-to/add-a-model.md) has complete examples.",
        "`python -m retraining check` reads every file and names each problem with its key.",
    ]
    for path, group in _groups(Spec, ""):
        parts += [f"## {path or 'The file'}", _first_paragraph(group), _table(group, path)]
        if group is Check:
            parts.append(
                "All other keys are the expectation's own arguments, under the names Great Expectations gives them. "
                "Row count and schema are always checked."
            )
    return "\n\n".join(parts) + "\n"


def _groups(group: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, group
    seen: set[type[BaseModel]] = set()
    for name, field in group.model_fields.items():
        inner, many = _inner_group(field.annotation)
        if inner is not None and inner not in seen:
            seen.add(inner)
            inside = f"{path}.{name}".lstrip(".") + ("[]" if many else "")
            yield from _groups(inner, "checks.rows[] and checks.window[]" if inner is Check else inside)


def _inner_group(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the group a key holds, and whether it holds a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    many = get_origin(annotation) is tuple
    for argument in get_args(annotation):
        inner, _ = _inner_group(argument)
        if inner is not None:
            return inner, many
    return None, False


def _table(group: type[BaseModel], path: str) -> str:
    rows = []
    for name, field in group.model_fields.items():
        if not field.description:
            raise ValueError(f"{path}.{name} has no description. Give its Field one in retraining/spec/.")
        cells = (f"`{name}`", _type(field), _default(field), field.description)
        rows.append([cell.replace("|", "\\|") for cell in cells])
    return table(("key", "type", "default", "meaning"), rows)


def _type(field: FieldInfo) -> str:
    return _type_name(field.annotation) + _limits(field)


def _type_name(annotation: Any) -> str:
    inner, many = _inner_group(annotation)
    if inner is not None and get_origin(annotation) is not dict:
        return f"list of {inner.__name__.lower()}s" if many else "group"
    origin, arguments = get_origin(annotation), [a for a in get_args(annotation) if a not in (type(None), Ellipsis)]
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{a}`" for a in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type_name(a) for a in arguments)
    if origin in (tuple, list):
        return f"list of {_type_name(arguments[0])}s"
    if origin is dict:
        return f"{_type_name(arguments[1])} by name"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", timedelta: "duration"}
    return names.get(annotation, "value" if annotation is Any else annotation.__name__.lower())


def _limits(field: FieldInfo) -> str:
    signs = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "multiple_of": "a multiple of"}
    found = [f"{text} {getattr(m, sign)}" for m in field.metadata for sign, text in signs.items() if hasattr(m, sign)]
    return f", {', '.join(found)}" if found else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    inner, many = _inner_group(field.annotation)
    value = field.get_default(call_default_factory=True)
    if inner is not None and not many and value != {}:
        return "none" if value is None else "see its keys"
    if value is None:
        return "none"
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value in ((), {}, ""):
        return "see meaning" if "Default:" in (field.description or "") else "empty"
    return f"`{value}`"


# --- cli.md -------------------------------------------------------------------------------------------------------


def cli_page() -> str:
    """Return every command with its arguments and options."""
    from retraining.cli.app import app

    parts = [
        _NOTE.format(source="include/retraining/cli/"),
        "# The command line",
        "`python -m retraining COMMAND`, or `retraining COMMAND` where the package is installed. `--help` says the "
        "same. Exit codes: 0 done (a rejected challenger is done), 1 the work failed, 2 the request was wrong. Progress"
        " goes to standard error, so that `--json` stays one JSON value.",
    ]
    for name, command in _commands(typer.main.get_command(app), ""):
        parts += [f"## {name}", inspect.cleandoc(command.help or ""), _parameters(command)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    context = command.make_context("retraining", [], resilient_parsing=True)
    for name in command.list_commands(context):
        inner, full = command.get_command(context, name), f"{path} {name}".strip()
        if hasattr(inner, "list_commands"):
            yield from _commands(inner, full)
        else:
            yield full, inner


def _parameters(command: Any) -> str:
    rows = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        argument = parameter.param_type_name == "argument"
        name = (parameter.name or "").upper() if argument else ", ".join(parameter.opts)
        flag = argument or getattr(parameter, "is_flag", False)
        value = "" if flag else " VALUE"
        default = "**required**" if parameter.required else _shown(parameter.default)
        rows.append((f"`{name}{value}`", default, parameter.help or ""))
    return table(("argument or option", "default", "meaning"), rows)


def _shown(default: Any) -> str:
    return "none" if default in (None, "", False) or callable(default) else f"`{default}`"


# --- dags.md ------------------------------------------------------------------------------------------------------


def dags_page() -> str:
    """Return every DAG's page, one model's for all, without the YAML that follows it in the UI."""
    from retraining_airflow.graphs import monitor, operations, retrain, score

    frozen = load(ROOT / "include" / "models" / f"{_EXAMPLE}.yaml")
    parts = [
        _NOTE.format(source="include/retraining_airflow/graphs/"),
        "# The DAGs",
        f"Three per model (here for `{_EXAMPLE}`, with its schedules; M is the model's name) and four for all of "
        "them. In Airflow's UI each page also has the model's YAML with all defaults filled in.",
    ]
    models = [build(frozen) for build in (retrain.build, score.build, monitor.build)]
    shared = [build() for build in operations.BUILDS.values()]
    for dag in (*models, *shared):
        name = dag.dag_id.replace(_EXAMPLE, "M")
        parts += [f"## {name}", f"`{' > '.join(_in_order(dag))}`", _body(dag.doc_md or "")]
    return "\n\n".join(parts) + "\n"


def _in_order(dag: Any) -> list[str]:
    return [task.task_id for task in dag.topological_sort()]


def _body(text: str) -> str:
    """Drop what is about one model: the page's title, the model's description and owner, and the YAML."""
    text = text.partition("### The YAML")[0].partition("\n")[2]
    model, found, rest = text.partition("### What starts it")
    return (found + rest if found else model).strip().replace(_EXAMPLE, "M")


def _first_paragraph(group: type[BaseModel]) -> str:
    return inspect.cleandoc(group.__doc__ or "").split("\n\n")[0]


if __name__ == "__main__":
    main()
