"""Read, check and freeze a model's YAML. Errors name file, key, problem and remedy."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from retraining.errors import SHOWN_ITEMS, SpecError
from retraining.records import digest_of
from retraining.spec.cases import CASES, Case
from retraining.spec.data import Source
from retraining.spec.gate import CASES_SUFFIX
from retraining.spec.model import Spec
from retraining.spec.secrets import hidden

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FORMS = ("str", "dict[str,str]", "<plain>", "<mapping>")
"""What pydantic calls the forms of a key that has several; nobody typed these words."""
_DOCUMENTATION = ("owner", "contact", "upstream", "refresh")


@dataclass(frozen=True)
class FrozenSpec:
    """A spec as it was when a run was admitted, with the text of the files it names. `id` is the digest of both."""

    model: str
    spec: Spec
    files: Mapping[str, str]
    """The SQL, Python and behavioural cases beside the YAML, by file name."""
    text: str = field(default="", compare=False, repr=False)
    """The YAML as it was typed, for people; empty where a spec comes back from the store."""

    @cached_property
    def id(self) -> str:
        """The digest of the resolved YAML and the files it names."""
        return digest_of(self.document())

    @cached_property
    def learning_id(self) -> str:
        """The digest of what decides the model itself (data, features, training): equal ids are a refresh.

        What is only said about the data (owners, meanings) decides nothing.
        """
        resolved = self.spec.model_dump(mode="json")
        data = {k: v for k, v in resolved["data"].items() if k not in ("source", "labels", "columns")}
        sources = {name: without_documentation(resolved["data"][name]) for name in ("source", "labels")}
        learnt = {key: resolved[key] for key in ("features", "training")}
        files = {name: text for name, text in self.files.items() if name != self.spec.gate.cases}
        return digest_of({"files": files, "data": data, **sources, **learnt})

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """The behavioural cases that every release must meet.

        Raises
        ------
        SpecError
            When the file of cases cannot be read as such.
        """
        name = self.spec.gate.cases
        return () if name is None else _read_cases(name, self.files[name])

    def file(self, source: Source) -> str | None:
        """Return the text of the SQL or Python file a source names; None when it names none."""
        return None if source.text_file is None else self.files[source.text_file]

    def document(self) -> dict[str, Any]:
        """The JSON that is frozen under `specs/<id>.json`."""
        return {"model": self.model, "spec": self.spec.model_dump(mode="json"), "files": dict(self.files)}


def without_documentation(source: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a source's values without what is only said about it."""
    return {k: v for k, v in (source or {}).items() if k not in _DOCUMENTATION}


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
    for path in _model_files(folder):
        if path.stem in found:
            raise SpecError(f"{path}: {found[path.stem].name} has the same model name. Rename one of them.")
        found[path.stem] = path
    return found


def _model_files(folder: Path) -> list[Path]:
    """Return a folder's YAMLs, sorted, without the files of behavioural cases beside them; none without a folder."""
    found = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    return [path for path in found if not path.stem.endswith(CASES_SUFFIX)]


def load(path: Path) -> FrozenSpec:
    """Read and check one YAML and the SQL or Python files it names.

    Raises
    ------
    SpecError
        When the file cannot be read, or a key or value is wrong. The message lists each problem with its key.
    """
    if not path.stem.isidentifier():
        raise SpecError(f"{path.name}: the file's name is the model's name: use letters, digits and underscores only.")
    text, values = _read_yaml(path)
    try:
        spec = Spec.model_validate(values)
    except ValidationError as error:
        raise SpecError(_explain(path.name, error)) from error
    frozen = FrozenSpec(path.stem, spec, _read_files(path, spec), text)
    _ = frozen.cases  # a case that does not parse is an error of the YAML, not of a run
    return frozen


def spec_key(identity: str) -> str:
    """Return the store key of a frozen spec."""
    return f"specs/{identity}.json"


def freeze(frozen: FrozenSpec) -> bytes:
    """Return the bytes that `thaw` reads."""
    return json.dumps(frozen.document(), sort_keys=True, indent=1).encode()


def thaw(data: bytes) -> FrozenSpec:
    """Rebuild a frozen spec."""
    document = json.loads(data)
    return FrozenSpec(document["model"], Spec.model_validate(document["spec"]), document["files"])


def _read_yaml(path: Path) -> tuple[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.load(text, Loader=_Loader)  # noqa: S506 - CSafeLoader is the C build of the safe loader
    except FileNotFoundError as error:
        raise SpecError(f"{path}: there is no such file.{_nearby(path)}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(
            f"{path.name}: cannot be read as YAML: {' '.join(str(error).split())}. Mend it, as UTF-8."
        ) from error
    if not isinstance(values, dict):
        raise SpecError(f"{path.name}: is empty or not a mapping of keys. Start from docs/how-to/add-a-model.md.")
    return text, values


def _nearby(path: Path) -> str:
    known = [p.stem for p in _model_files(path.parent)]
    close = difflib.get_close_matches(path.stem, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _read_files(path: Path, spec: Spec) -> dict[str, str]:
    sources = {"data.source": spec.data.source, "data.labels": spec.data.labels}
    names = {where: source.text_file for where, source in sources.items() if source}
    found = {}
    for where, name in {**names, "gate.cases": spec.gate.cases}.items():
        if name is None:
            continue
        if not _is_within(path.parent, name):
            text = hidden(f"{path.name}: {where}: {name} is not within the folder of the YAML, {path.parent.name}")
            raise SpecError(f"{text}. Put the file beside the YAML.")
        try:
            found[name] = (path.parent / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            text = hidden(f"{path.name}: {where}: cannot read {name} beside the YAML: {error}")
            raise SpecError(f"{text}. Correct the name, or write the file as UTF-8.") from error
    return found


def _read_cases(name: str, text: str) -> tuple[Case, ...]:
    try:
        cases = CASES.validate_python(yaml.load(text, Loader=_Loader) or [])  # noqa: S506 - as above
    except yaml.YAMLError as error:
        raise SpecError(f"{name}: cannot be read as YAML: {' '.join(str(error).split())}. Mend it.") from error
    except ValidationError as error:
        problems = [_problem(e) for e in error.errors(include_url=False)]
        lines = "\n".join(f"  - {line}" for line in problems[:SHOWN_ITEMS])
        raise SpecError(
            f"{name}: not a list of behavioural cases:\n{lines}\ndocs/how-to/gate.md shows one of each kind."
        ) from error
    if not cases:
        raise SpecError(f"{name}: holds no behavioural case. Add one, or remove gate.cases.")
    return cases


def _is_within(folder: Path, name: str) -> bool:
    """Tell whether a file lies in a folder once links are followed; what a spec freezes is shown to its readers."""
    try:
        return (folder / name).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):  # a loop of links, or a name that none can have
        return False


def _explain(name: str, error: ValidationError) -> str:
    problems = [_problem(e) for e in error.errors(include_url=False)]
    head = f"{name}: {len(problems)} problem{'s' if len(problems) > 1 else ''}"
    lines = [f"  - {line}" for line in problems[:SHOWN_ITEMS]]
    if len(problems) > SHOWN_ITEMS:
        lines.append(f"  - and {len(problems) - SHOWN_ITEMS} more")
    return "\n".join([head, *lines, "docs/reference/yaml.md lists every key with its default."])


def _problem(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"] if part not in _FORMS) or "whole file"
    if error["type"] == "extra_forbidden":
        known = sorted(_fields_at(error["loc"][:-1]))
        close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        return f"{where}: unknown key. " + (f"Did you mean {close[0]}?" if close else f"Known: {', '.join(known)}")
    if error["type"] == "missing":
        return f"{where}: missing. Add this key."
    text = error["msg"].removeprefix("Value error, ")
    given = error.get("input")
    shown = f" (got {str(given)[:60]!r})" if isinstance(given, (str, int, float, bool)) else ""
    return hidden(f"{where}: {text[0].lower() + text[1:]}{shown}")


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
