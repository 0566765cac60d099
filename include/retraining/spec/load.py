"""Read, check and freeze a model's YAML. Errors name file, key, problem and remedy."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from retraining.errors import SHOWN_ITEMS, SpecError
from retraining.records import digest_of
from retraining.spec.model import Spec

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MODEL_KEYS = ("data", "features", "training")


@dataclass(frozen=True)
class FrozenSpec:
    """A spec as it was when a run was admitted, with the text of its SQL. `id` is the digest of both."""

    model: str
    spec: Spec
    sql: str | None

    @property
    def id(self) -> str:
        """The digest of the resolved YAML and its SQL."""
        return digest_of(self.document())

    @property
    def learning_id(self) -> str:
        """The digest of what decides the model itself (data, features, training): equal ids are a refresh."""
        resolved = self.spec.model_dump(mode="json")
        return digest_of({"sql": self.sql, **{key: resolved[key] for key in _MODEL_KEYS}})

    def document(self) -> dict[str, Any]:
        """The JSON that is frozen under `specs/<id>.json`."""
        return {"model": self.model, "spec": self.spec.model_dump(mode="json"), "sql": self.sql}


def find_models(folder: Path) -> dict[str, Path]:
    """Return the YAML files of a folder by model name, sorted.

    Raises
    ------
    SpecError
        When the folder is missing, or two files have the same name.
    """
    if not folder.is_dir():
        raise SpecError(f"{folder}: there is no such folder of models. Set RETRAINING_MODELS to the folder of YAMLs.")
    found: dict[str, Path] = {}
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        if path.stem in found:
            raise SpecError(f"{path}: {found[path.stem].name} has the same model name. Rename one of them.")
        found[path.stem] = path
    return found


def load(path: Path) -> FrozenSpec:
    """Read and check one YAML and the SQL it names.

    Raises
    ------
    SpecError
        When the file cannot be read, or a key or value is wrong. The message lists each problem with its key.
    """
    if not path.stem.isidentifier():
        raise SpecError(f"{path.name}: the file's name is the model's name: use letters, digits and underscores only.")
    values = _read_yaml(path)
    try:
        spec = Spec.model_validate(values)
    except ValidationError as error:
        raise SpecError(_explain(path.name, error)) from error
    return FrozenSpec(path.stem, spec, _read_sql(path, spec.data.source.query))


def freeze(frozen: FrozenSpec) -> bytes:
    """Return the bytes that `thaw` reads."""
    return json.dumps(frozen.document(), sort_keys=True, indent=1).encode()


def thaw(data: bytes) -> FrozenSpec:
    """Rebuild a frozen spec."""
    document = json.loads(data)
    return FrozenSpec(document["model"], Spec.model_validate(document["spec"]), document["sql"])


def _read_yaml(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.load(text, Loader=_Loader)  # noqa: S506 - CSafeLoader is the C build of the safe loader
    except FileNotFoundError as error:
        raise SpecError(f"{path}: there is no such file.{_nearby(path)}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"{path.name}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise SpecError(f"{path.name}: is empty or not a mapping of keys. Start from docs/how-to/add-a-model.md.")
    return values


def _nearby(path: Path) -> str:
    known = [p.stem for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.stem, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _read_sql(path: Path, query: str | None) -> str | None:
    if query is None:
        return None
    file = path.parent / query
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path.name}: data.source.query: cannot read {query} beside the YAML: {error}") from error


def _explain(name: str, error: ValidationError) -> str:
    problems = [_problem(e) for e in error.errors(include_url=False)]
    head = f"{name}: {len(problems)} problem{'s' if len(problems) > 1 else ''}"
    lines = [f"  - {line}" for line in problems[:SHOWN_ITEMS]]
    if len(problems) > SHOWN_ITEMS:
        lines.append(f"  - and {len(problems) - SHOWN_ITEMS} more")
    return "\n".join([head, *lines, "docs/reference/yaml.md lists every key with its default."])


def _problem(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"] if part not in ("str", "dict[str,str]")) or "whole file"
    if error["type"] == "extra_forbidden":
        known = sorted(_fields_at(error["loc"][:-1]))
        close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        return f"{where}: unknown key. " + (f"Did you mean {close[0]}?" if close else f"Known: {', '.join(known)}")
    if error["type"] == "missing":
        return f"{where}: missing. Add this key."
    text = error["msg"].removeprefix("Value error, ")
    given = error.get("input")
    shown = f" (got {str(given)[:60]!r})" if isinstance(given, (str, int, float, bool)) else ""
    return f"{where}: {text[0].lower() + text[1:]}{shown}"


def _fields_at(loc: Iterable[object]) -> set[str]:
    model: type[BaseModel] = Spec
    for part in loc:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        inner = [a for a in (field.annotation, *_flatten(field.annotation)) if isinstance(a, type)]
        model = next((a for a in inner if issubclass(a, BaseModel)), model)
    return set(model.model_fields)


def _flatten(annotation: Any) -> list[Any]:
    found: list[Any] = []
    for arg in get_args(annotation):
        found += [arg, *_flatten(arg)]
    return found
