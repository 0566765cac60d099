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
import pyarrow as pa

from retraining.errors import SourceError, Unavailable, shown
from retraining.records import Window
from retraining.sources import confined, csvs, remote
from retraining.sources.base import Places, bind, parameters_of, quoted_name
from retraining.sources.confined import quoted_text

_PACKAGE = "package://"
_WITH_OFFSET = r":\d{2}.*([Zz]|UTC|GMT|[+-]\d{2}(:?\d{2})?)\s*$"
"""How the text of a time ends that says its offset."""
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
    places
        The YAMLs' folder, against which relative paths are resolved, and the folder for converted copies.
    """

    def __init__(self, files: Mapping[str, str], sql: str | None, nulls: tuple[str, ...], places: Places) -> None:
        self._files, self._nulls, self._places = dict(files), nulls, places
        self._whole = sql is None
        self._sql = f"select * from {quoted_name(next(iter(files)))}" if sql is None else sql  # noqa: S608 - it is quoted

    def read(self, window: Window) -> pa.Table:
        """Return the rows of a window.

        Raises
        ------
        Unavailable
            When a store does not answer, or a file changed while it was read.
        SourceError
            When a file is missing or unreadable, credentials are refused, or the query is wrong or more than a select.
        """
        before = self._state()
        rows = self._query(window)
        changed = sorted(name for name, mark in self._state().items() if before.get(name) != mark)
        if changed:
            raise Unavailable(f"source {shown(changed)}: changed while it was read; nothing was kept of it")
        if self._whole and rows.num_rows == 0:
            raise SourceError(
                f"source {shown_files(self._files)}: has columns and not a single row. Check whether its export failed."
            )
        return rows

    def _query(self, window: Window) -> pa.Table:
        with duckdb.connect(config={"threads": 2}) as connection:
            connection.execute("set timezone = 'UTC'")
            confined.confine(connection, [self._attach(connection, name, url) for name, url in self._files.items()])
            values = {"start": window.start.astimezone(UTC), "end": window.end.astimezone(UTC)}
            used: dict[str, datetime] = {k: values[k] for k in parameters_of(self._sql)}
            try:
                problem = confined.problem_of(bind(self._sql, "$"))
                if problem is not None:
                    raise SourceError(f"source {shown_files(self._files)}: the query {problem}.")
                return connection.sql(bind(self._sql, "$"), params=used or None).to_arrow_table()
            except duckdb.PermissionException as error:
                raise SourceError(
                    f"source {shown_files(self._files)}: the query may open only these files: {_first_line(error)}. "
                    "Name what it needs under data.source.files."
                ) from error
            except duckdb.IOException as error:
                raise Unavailable(f"source {shown_files(self._files)}: {_first_line(error)}") from error
            except duckdb.Error as error:
                raise SourceError(
                    f"source {shown_files(self._files)}: the query failed: {_first_line(error)}. "
                    "Check the file and the .sql beside the YAML."
                ) from error

    def _state(self) -> dict[str, str]:
        """Return a mark per file that changes when its content does; files inside packages do not change."""
        marks: dict[str, str] = {}
        for url in self._files.values():
            if not url.startswith(_PACKAGE):
                marks |= remote.state(self._resolved(url))
        return marks

    def _resolved(self, url: str) -> str:
        if "://" in url and not url.startswith("file://"):
            return url
        return str(self._places.models / url.removeprefix("file://"))

    def _attach(self, connection: duckdb.DuckDBPyConnection, name: str, url: str) -> str:
        """Make a view of a file; return the path it reads."""
        path = self._local_path(connection, url)
        suffix = next((s for s in _READERS if s in Path(path).suffixes), None)
        if suffix is None:
            raise SourceError(f"source {url}: is not .csv, .parquet, .json or .jsonl. Convert it or use a connection.")
        options = self._csv_options() if suffix == ".csv" else ""
        view = quoted_name(name)
        try:
            rows = f"{_READERS[suffix]}({quoted_text(path)}{options})"
            bound = connection.sql(f"select * from {rows}")  # noqa: S608 - quoted; binding reads a CSV to guess its types
            connection.execute(f"create view {view} as select *{_without_nanoseconds(bound)} from {rows}")  # noqa: S608 - as above
            fault = _fault(connection, path, suffix) if csvs.looks_wrong(bound.columns) else None
            if suffix == ".csv" and fault is None:
                fault = self._mixed_times(connection, bound, path)
        except duckdb.Error as error:
            fault = csvs.first_fault(path) if suffix == ".csv" else None
            cause = f"{fault or _first_line(error)}"
            raise SourceError(f"source {url}: cannot be read: {cause}. Check the path and the file.") from error
        if fault is not None:
            raise SourceError(f"source {url}: cannot be read: {fault}.")
        return path

    def _mixed_times(
        self, connection: duckdb.DuckDBPyConnection, bound: duckdb.DuckDBPyRelation, path: str
    ) -> str | None:
        """Say which column has times with an offset beside times without one: DuckDB takes the latter for UTC."""
        kinds = zip(bound.columns, bound.types, strict=True)
        for name in (name for name, kind in kinds if str(kind) == "TIMESTAMP WITH TIME ZONE"):
            column = quoted_name(name)
            found = connection.execute(
                f"select min({column}) filter (not zoned), bool_or(zoned) from (select {column}, "  # noqa: S608 - both are quoted
                f"regexp_matches({column}, ?) as zoned from read_csv({quoted_text(path)}{self._csv_options()}, "
                f"all_varchar = true) where {column} is not null)",
                [_WITH_OFFSET],
            ).fetchall()[0]
            if found[0] is not None and found[1]:
                return f"{name} has times with an offset and without one (e.g. {found[0]}). Give all of them an offset"
        return None

    def _local_path(self, connection: duckdb.DuckDBPyConnection, url: str) -> str:
        if url.startswith(_PACKAGE):
            return str(self._converted(connection, _in_package(url)))
        resolved = self._resolved(url)
        if "://" in resolved:
            connection.register_filesystem(remote.file_system(resolved))
        return resolved

    def _converted(self, connection: duckdb.DuckDBPyConnection, path: Path) -> Path:
        """Turn a package's CSV (or zip of one) into Parquet, once per content: it never changes, and is read daily."""
        digest = hashlib.sha256(path.read_bytes() + repr(self._nulls).encode()).hexdigest()
        target = self._places.cache / f"{path.name.split('.')[0]}-{digest[:16]}.parquet"
        if target.exists():
            return target
        self._places.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._places.cache) as folder:
            csv = _unzipped(path, Path(folder)) if path.suffix == ".zip" else path
            parquet = Path(folder) / "converted.parquet"
            try:
                connection.execute(
                    f"copy (select * from read_csv({quoted_text(str(csv))}{self._csv_options()})) "  # noqa: S608 - both are quoted
                    f"to {quoted_text(str(parquet))} (format parquet)"
                )
            except duckdb.Error as error:
                cause = csvs.first_fault(str(csv)) or _first_line(error)
                raise SourceError(f"source {path}: cannot be read: {cause}. Replace the file.") from error
            parquet.replace(target)
        return target

    def _csv_options(self) -> str:
        texts = ", ".join(quoted_text(n) for n in ("", *self._nulls))
        # What is not said is guessed, and a guess that skips lines or takes a quote for text hides a broken file.
        fixed = "quote='\"', escape='\"', comment='', skip=0"
        return f", header=true, nullstr=[{texts}], sample_size=-1, {fixed}"


def _unzipped(archive: Path, folder: Path) -> Path:
    try:
        with zipfile.ZipFile(archive) as packed:
            return Path(packed.extract(packed.namelist()[0], folder))
    except (OSError, zipfile.BadZipFile, IndexError) as error:
        raise SourceError(f"source {archive}: cannot be unpacked: {error}. Replace the file.") from error


def _fault(connection: duckdb.DuckDBPyConnection, path: str, suffix: str) -> str | None:
    if suffix == ".csv":
        return csvs.first_fault(path)
    if suffix != ".parquet":
        return None
    found = connection.execute(f"select file_name, name from parquet_schema({quoted_text(path)})").fetchall()  # noqa: S608 - quoted
    first = [name for file, name in found if file == found[0][0]]
    return csvs.doubled(first[1:])  # the first one is the schema itself


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
        raise SourceError(f"source {url}: the package {package} has no file {inside}. Correct the path.")
    return path


def _without_nanoseconds(bound: duckdb.DuckDBPyRelation) -> str:
    """Return the clause that reads times in microseconds: DuckDB compares nanoseconds, which pandas writes, with no
    other time, so that a query's bounds would be refused."""
    kinds = {"TIMESTAMP_NS": "timestamp", "TIMESTAMPTZ_NS": "timestamptz"}
    names = [(quoted_name(n), str(t)) for n, t in zip(bound.columns, bound.types, strict=True)]
    casts = [f"{name}::{kinds[kind]} as {name}" for name, kind in names if kind in kinds]
    return f" replace ({', '.join(casts)})" if casts else ""


def _first_line(error: Any) -> str:
    return str(error).strip().splitlines()[0][:300]
