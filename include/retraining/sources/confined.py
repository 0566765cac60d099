"""Confined: DuckDB's SQL from a YAML reads the tables it is given; it writes nothing and opens no other file.

Two walls, because each has a gap: DuckDB refuses files and settings by its own configuration, which would let a query
overwrite a file that it may read; and a statement that is no select is not run at all.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from retraining.sources.base import bind

_SELECTS = (duckdb.StatementType.SELECT, duckdb.StatementType.MULTI)
"""What only reads. A pivot is several statements in one: it lists the values first that become columns."""
_NOTHING_OUTSIDE = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",  # else a name that is no table is looked up among our own variables
}


def connect(threads: int = 1) -> duckdb.DuckDBPyConnection:
    """Open a database in memory that reaches no file, no extension and no variable: only what is registered."""
    return duckdb.connect(config={**_NOTHING_OUTSIDE, "threads": threads})


def confine(connection: duckdb.DuckDBPyConnection, paths: Iterable[str]) -> None:
    """Let a connection open only these files from now on, and change no setting any more.

    Parameters
    ----------
    paths
        Files, patterns or URLs, as the connection's own views name them.
    """
    allowed = sorted({file for path in paths for file in (path, *_matching(connection, path))})
    connection.execute(f"set allowed_paths = [{', '.join(map(quoted_text, allowed))}]")
    for name, value in _NOTHING_OUTSIDE.items():
        connection.execute(f"set {name} = {value}")
    connection.execute("set lock_configuration = true")


def problem_of(sql: str) -> str | None:
    """Say what keeps a query from being run here, and what to do; None for a single select.

    Raises
    ------
    duckdb.Error
        When it is no SQL.

    >>> problem_of("select 1") is None
    True
    >>> problem_of("copy (select 1) to 'a.csv'")
    'is a copy, and a YAML may only read: write one select'
    >>> problem_of("select 1; select 2")
    'is 2 statements, and a YAML may only read: write one select'
    """
    found = duckdb.extract_statements(sql)
    if not found:
        return "gives no rows. Write a select"
    if len(found) == 1 and found[0].type in _SELECTS:
        return None
    what = f"{len(found)} statements" if len(found) > 1 else f"a {found[0].type.name.lower().replace('_', ' ')}"
    return f"is {what}, and a YAML may only read: write one select"


def problem_of_any(sql: str) -> str | None:
    """Say what `problem_of` says, also of a query with our parameters; None of a text that is no SQL."""
    try:
        return problem_of(bind(sql, "$"))
    except duckdb.Error:
        return None


def fetch(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyConnection:
    """Run a query that holds an expression of a YAML, which may have closed a bracket and begun another statement.

    Raises
    ------
    duckdb.Error
        When it is not a single select, or fails.
    """
    problem = problem_of(sql)
    if problem is not None:
        raise duckdb.PermissionException(f"with what surrounds it, it {problem}")
    return connection.execute(sql)


def quoted_text(text: str) -> str:
    """Quote a text for SQL.

    >>> quoted_text("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def _matching(connection: duckdb.DuckDBPyConnection, path: str) -> list[str]:
    """Return the files of a path as DuckDB names them when it opens them: not always as they were written."""
    found = connection.execute(f"select file from glob({quoted_text(path)})").fetchall()  # noqa: S608 - it is quoted
    return [str(file) for (file,) in found]
