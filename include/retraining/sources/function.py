"""Rows from a Python function in a file beside the YAML."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pyarrow as pa

from retraining.errors import SourceError, Unavailable
from retraining.records import Window


class FunctionSource:
    """Calls `NAME(start, end)` of a frozen file; it returns a data frame or an Arrow table.

    Parameters
    ----------
    function
        `FILE.py:NAME`.
    code
        The file's text as it was when the run was admitted. It is part of the spec's id, which the reader of a frozen
        spec compares with its content, so what runs is what was admitted.
    """

    def __init__(self, function: str, code: str, folder: Path) -> None:
        file, _, self._name = function.partition(":")
        self._function, self._code, self._path = function, code, folder / file

    def read(self, window: Window) -> pa.Table:
        """Return the function's rows.

        Raises
        ------
        Unavailable
            When the function raises an error of the network or the operating system.
        SourceError
            When the function is missing, fails in another way, or returns something else than rows.
        """
        function = self._load()
        try:
            rows = function(window.start, window.end)
        except (ConnectionError, TimeoutError, OSError) as error:
            raise Unavailable(f"source {self._function}: {type(error).__name__}: {error}") from error
        except (Exception, SystemExit) as error:  # the function is the user's own: whatever it raises is the source's
            raise SourceError(
                f"source {self._function}: {type(error).__name__}: {error}. Mend the function."
            ) from error
        if isinstance(rows, pd.DataFrame):
            return self._table(rows)
        if isinstance(rows, pa.Table):
            return rows
        raise SourceError(
            f"source {self._function}: returned {type(rows).__name__}; return a pandas data frame or an Arrow table."
        )

    def _load(self) -> Any:
        module = ModuleType(self._path.stem)
        module.__file__ = str(self._path)
        try:
            exec(compile(self._code, str(self._path), "exec"), module.__dict__)  # noqa: S102 - the repository's own code
        except (Exception, SystemExit) as error:  # as above: an import or a top-level line of the user's file
            raise SourceError(
                f"source {self._function}: cannot be loaded: {type(error).__name__}: {error}. Mend the file."
            ) from error
        found = getattr(module, self._name, None)
        if not callable(found):
            raise SourceError(
                f"source {self._function}: {self._path.name} has no function {self._name}. Correct the name."
            )
        return found

    def _table(self, rows: pd.DataFrame) -> pa.Table:
        try:
            return pa.Table.from_pandas(rows, preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise SourceError(
                f"source {self._function}: {' '.join(str(error).split())[:200]}. Give each column one type "
                "and a name of its own."
            ) from error
