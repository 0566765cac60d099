"""Render a draft as YAML, prove that it loads and passes `check`, and put it where models are."""

from __future__ import annotations

import tempfile
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from retraining.checking import check_spec
from retraining.errors import RequestError, SpecError
from retraining.scaffold.choices import Choice, Draft
from retraining.spec import FrozenSpec, find_models, load
from retraining.windows import format_duration

_WIDTH = 110
"""Columns of a comment."""


def render(draft: Draft) -> str:
    """Return the YAML's text."""
    environment = Environment(
        loader=PackageLoader("retraining.scaffold", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - this is YAML; every value goes through `plain`
    )
    environment.filters["plain"] = plain
    environment.filters["comment"] = comment
    environment.globals["choice"] = choice
    return environment.get_template("model.yaml.j2").render(d=draft, t=draft.timing, a=draft.amounts)


def plain(value: Any) -> str:
    """Return a value as YAML on one line.

    >>> plain(["a: b", 1, None]), plain("0 4 * * 1"), plain(timedelta(days=7)), plain({"x": "yes"})
    ("['a: b', 1, null]", '0 4 * * 1', '7d', "{x: 'yes'}")
    """
    if isinstance(value, timedelta):
        return format_duration(value)
    value = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=float("inf"), allow_unicode=True)
    return text.removesuffix("...\n").strip()


def comment(text: str, indent: int = 0) -> str:
    """Return a text as comment lines."""
    lead = " " * indent + "# "
    return "\n".join(textwrap.wrap(text, _WIDTH, initial_indent=lead, subsequent_indent=lead))


def choice(indent: int, key: str, chosen: Choice) -> str:
    """Return a key with its value and, above it, the reason."""
    return f"{comment(chosen.why, indent)}\n{' ' * indent}{key}: {plain(chosen.value)}"


def checked(name: str, text: str) -> FrozenSpec:
    """Return the spec that a text becomes.

    Raises
    ------
    SpecError
        When it does not load or `check` finds a problem.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        frozen = load(path)
    problems = check_spec(frozen)
    if problems:
        raise SpecError("\n".join([f"{name}.yaml: cannot be written for this table:", *problems]))
    return frozen


def place_for(name: str, models: Path, *, force: bool) -> Path:
    """Return where a new model's YAML goes.

    Raises
    ------
    RequestError
        When the name cannot be a model's, or is taken.
    SpecError
        When there is no folder of models.
    """
    if not name.isidentifier():
        raise RequestError(
            f"NAME {name}: use letters, digits and underscores, not a digit first, for example "
            f"{_suggested(name)}. Nothing was written."
        )
    taken = find_models(models).get(name)
    if taken is not None and not force:
        raise RequestError(f"{taken}: exists. Nothing was written. Take another name, or --force to replace it.")
    return taken or models / f"{name}.yaml"


def put(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.stem}-", suffix=".new", delete=False
    ) as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def _suggested(name: str) -> str:
    letters = "".join(c if c.isalnum() else "_" for c in name).strip("_")
    return letters if letters.isidentifier() else f"model_{letters}".rstrip("_")
