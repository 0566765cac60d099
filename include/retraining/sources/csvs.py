"""What is wrong with a CSV file that cannot be read: looked for line by line, once it is known that something is."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator

import fsspec

_DELIMITERS = ",;\t|"
_LARGEST_FIELD = 2**24
"""An unclosed quote swallows the lines after it: sixteen megabytes are a field no longer."""


def looks_wrong(columns: list[str]) -> bool:
    """Tell whether columns look like those of a file that was misread: none, one of all, or a name given twice."""
    lower = {name.lower() for name in columns}
    if columns == ["column0"] or (len(columns) == 1 and any(d in columns[0] for d in _DELIMITERS)):
        return True
    stems = (name.lower().rpartition("_") for name in columns)
    return any(stem in lower and number.isdigit() for stem, _, number in stems)


def first_fault(url: str) -> str | None:
    """Return the first fault of the CSV files of a path, pattern or URL, and what to do; None when there is none."""
    try:
        for opened in fsspec.open_files(url, "rb", compression="infer"):
            with opened as file:
                found = _fault(file)
            if found:
                return found
    except (OSError, EOFError):  # it cannot even be opened: DuckDB's own message says more
        return None
    return None


def doubled(names: Iterable[str]) -> str | None:
    """Name the first column that appears twice, in upper or lower case; None when there is none."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return f"the column {name} appears twice. Name the columns apart, also in lower case"
        seen.add(name.lower())
    return None


def _fault(file: Iterable[bytes]) -> str | None:
    limit = csv.field_size_limit(_LARGEST_FIELD)
    lines = _Lines(file)
    try:
        head = next(lines, "")
        delimiter = max(_DELIMITERS, key=head.count)
        names = next(csv.reader([head], delimiter=delimiter, strict=True), [])
        if not names:
            return "it is empty. Check whether its export failed"
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        for row in reader:
            if row and len(row) != len(names):
                return f"line {lines.number} has {len(row)} fields, the header {len(names)}. Mend or remove the line"
        return doubled(names)
    except UnicodeDecodeError:
        return f"line {lines.number} is not UTF-8 text. Save the file as UTF-8"
    except csv.Error as error:
        return f"line {lines.number}: {error}; a quote may not be closed. Mend the line"
    finally:
        csv.field_size_limit(limit)


class _Lines(Iterator[str]):
    """The lines of a file as text, and which one was read last."""

    def __init__(self, file: Iterable[bytes]) -> None:
        self._file, self.number = iter(file), 0

    def __next__(self) -> str:
        data = next(self._file)
        self.number += 1
        return (data.removeprefix(codecs.BOM_UTF8) if self.number == 1 else data).decode("utf-8")
