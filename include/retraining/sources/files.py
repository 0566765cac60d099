"""Files read by DuckDB, out of core: CSV, Parquet and JSON lines; local or on any fsspec store."""

from __future__ import annotations

import hashlib
import importlib.util
import tempfile
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pyarrow as pa

from retraining.errors import SourceError, Unavailable
from retraining.records import Window
from retraining.sources.base import bind, parameters_of

_PACKAGE = "package://"
_READERS = {".csv": "read_csv", ".parquet": "read_parquet", ".jsonl": "read_json", ".json": "read_json"}


class FileSource:
    """Named files and an optional query over them.

    Parameters
    ----------
    files
        Path, pattern or URL by the name a query uses. `package://NAME/path` is a file inside an installed package.
    sql
        The query, or None for all columns of the only file.
    nulls
        Texts that mean a missing value in CSV files, beside the empty text.
    cache
        Folder for converted copies of files inside packages.
    """

    def __init__(self, files: Mapping[str, str], sql: str | None, nulls: tuple[str, ...], cache: Path) -> None:
        self._files, self._nulls, self._cache = dict(files), nulls, cache
        self._sql = sql or f'select * from "{next(iter(files))}"'  # noqa: S608 - the name comes from the YAML's key

    def read(self, window: Window) -> pa.Table:
        """Return the rows of a window.

        Raises
        ------
        SourceError
            When a file is missing or unreadable, or the query is wrong.
        """
        with duckdb.connect(config={"threads": 2}) as connection:
            connection.execute("set timezone = 'UTC'")
            for name, url in self._files.items():
                self._attach(connection, name, url)
            values = {"start": window.start.astimezone(UTC), "end": window.end.astimezone(UTC)}
            used: dict[str, datetime] = {k: values[k] for k in parameters_of(self._sql)}
            try:
                return connection.sql(bind(self._sql, "$"), params=used or None).to_arrow_table()
            except duckdb.IOException as error:
                raise Unavailable(f"source {shown_files(self._files)}: {_first_line(error)}") from error
            except duckdb.Error as error:
                raise SourceError(
                    f"source {shown_files(self._files)}: the query failed: {_first_line(error)}. "
                    "Check the file and the .sql beside the YAML."
                ) from error

    def _attach(self, connection: duckdb.DuckDBPyConnection, name: str, url: str) -> None:
        path = self._local_path(connection, url)
        suffix = next((s for s in _READERS if s in Path(path).suffixes), None)
        if suffix is None:
            raise SourceError(f"source {url}: is not .csv, .parquet, .json or .jsonl. Convert it or use a connection.")
        options = self._csv_options() if suffix == ".csv" else ""
        identifier = name.replace('"', '""')
        try:
            connection.execute(
                f'create view "{identifier}" as select * from {_READERS[suffix]}({_quoted(path)}{options})'  # noqa: S608 - both are quoted
            )
        except duckdb.Error as error:
            raise SourceError(
                f"source {url}: cannot be read: {_first_line(error)}. Check the path and the file."
            ) from error

    def _local_path(self, connection: duckdb.DuckDBPyConnection, url: str) -> str:
        if url.startswith(_PACKAGE):
            return str(self._converted(connection, _in_package(url)))
        if "://" in url and not url.startswith("file://"):
            connection.register_filesystem(fsspec.filesystem(url.split("://", 1)[0]))
            return url
        path = Path(url.removeprefix("file://"))
        if "*" not in url and not path.is_file():
            raise SourceError(f"source {url}: there is no such file. Check data.source.files.")
        return str(path)

    def _converted(self, connection: duckdb.DuckDBPyConnection, path: Path) -> Path:
        """Turn a package's CSV (or zip of one) into Parquet, once per content: it never changes, and is read daily."""
        digest = hashlib.sha256(path.read_bytes() + repr(self._nulls).encode()).hexdigest()
        target = self._cache / f"{path.name.split('.')[0]}-{digest[:16]}.parquet"
        if target.exists():
            return target
        self._cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._cache) as folder:
            csv = _unzipped(path, Path(folder)) if path.suffix == ".zip" else path
            parquet = Path(folder) / "converted.parquet"
            connection.execute(
                f"copy (select * from read_csv({_quoted(str(csv))}{self._csv_options()})) "  # noqa: S608 - both are quoted
                f"to {_quoted(str(parquet))} (format parquet)"
            )
            parquet.replace(target)
        return target

    def _csv_options(self) -> str:
        texts = ", ".join(_quoted(n) for n in ("", *self._nulls))
        return f", nullstr=[{texts}], sample_size=-1"


def _unzipped(archive: Path, folder: Path) -> Path:
    try:
        with zipfile.ZipFile(archive) as packed:
            return Path(packed.extract(packed.namelist()[0], folder))
    except (OSError, zipfile.BadZipFile, IndexError) as error:
        raise SourceError(f"source {archive}: cannot be unpacked: {error}. Replace the file.") from error


def shown_files(files: Mapping[str, str]) -> str:
    """Name files the way messages do."""
    return ", ".join(files.values())


def _in_package(url: str) -> Path:
    package, _, inside = url.removeprefix(_PACKAGE).partition("/")
    found = importlib.util.find_spec(package)  # locates without importing
    if found is None or not found.submodule_search_locations:
        raise SourceError(f"source {url}: the package {package} is not installed. Install it, then run again.")
    path = Path(found.submodule_search_locations[0]) / inside
    if not path.is_file():
        raise SourceError(f"source {url}: the package {package} has no file {inside}.")
    return path


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Any) -> str:
    return str(error).strip().splitlines()[0][:300]
