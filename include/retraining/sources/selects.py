"""Selects: is a query for somebody else's database a single one that only reads, by its words alone?

A database's own means come first (`SqlSource` asks for a read-only transaction where there is one); this holds for all
of them, and before anything is sent. It does not know every dialect, so what it cannot tell apart it refuses: a query
can always be written in another way. It is no substitute for a database user that may only read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<text>'(?:[^']|'')*')
      | (?P<name>"(?:[^"]|"")*"|`[^`]*`)
      | (?P<word>[^\W\d]\w*)
      | (?P<mark>\S)""",
    re.VERBOSE | re.DOTALL,
)
_UNCLEAR = {
    r"\\['\"`]": "a backslash before a quote: write the quote twice",
    r"\$\w*\$": "a text between dollars: write it between quotes",
    r"/\*M?!": "a comment that some databases run: remove it",
    r"/\*(?:(?!\*/).)*/\*": "a comment within a comment: remove it",
}
"""What databases read in different ways, so that a text could hide a statement from this look and not from them."""
_UNCLEAR_IN_MYSQL = {
    r"--(?=\S)": "two minus signs that MySQL takes for no comment: put a space after them",
    "#": "a # that MySQL takes for a comment: write it in another way",
}
_BEGINNINGS = ("select", "with", "values", "table", "(")
_WRITES = {("insert", "into"), ("delete", "from"), ("merge", "into")}
_REACHING_OUT = frozenset(
    (
        *("pg_read_file", "pg_read_binary_file", "pg_ls_dir", "pg_stat_file", "pg_file_write"),
        *("lo_import", "lo_export", "lo_put", "lo_from_bytea", "dblink", "dblink_exec", "dblink_connect"),
        *("load_file", "load_extension", "readfile", "writefile"),
        *("openrowset", "opendatasource", "openquery", "xp_cmdshell", "xp_dirtree", "utl_file"),
    )
)
"""Functions of the usual databases that read or write files, or other servers, from within a select."""


def problem_of(sql: str, dialect: str = "") -> str | None:
    """Say what keeps a query from being sent, and what to do; None for a single select.

    Parameters
    ----------
    dialect
        SQLAlchemy's name of the database; empty where it is not known yet.

    >>> problem_of("with a as (select 1) select * from a; -- all") is None
    True
    >>> problem_of("select * from a; drop table a")
    'is more than one statement, and a YAML may only read: write one select'
    >>> problem_of("select * into b from a")
    'writes (into), and a YAML may only read: write one select'
    """
    unclear = _UNCLEAR | (_UNCLEAR_IN_MYSQL if dialect in ("mysql", "mariadb") else {})
    for pattern, text in unclear.items():
        if re.search(pattern, sql, re.DOTALL):
            return f"holds {text}"
    tokens = list(_tokens(sql))
    while tokens and tokens[-1] == ";":
        tokens.pop()
    if not tokens:
        return "is empty: write one select"
    if tokens[0] not in _BEGINNINGS:
        return f"begins with {tokens[0][:30]}, and a YAML may only read: write one select"
    what = _written(tokens)
    return None if what is None else f"{what}, and a YAML may only read: write one select"


def _written(tokens: list[str]) -> str | None:
    if ";" in tokens:
        return "is more than one statement"
    outside = _REACHING_OUT.intersection(token.strip('"`') for token in tokens)
    if outside:
        return f"reaches out of its tables ({min(outside)})"
    pairs = set(pairwise(tokens))
    found = sorted(" ".join(pair) for pair in _WRITES & pairs)
    if not found and "update" in tokens and "set" in tokens[tokens.index("update") :]:
        found = ["update"]
    if not found and "into" in tokens:
        found = ["into"]
    return f"writes ({found[0]})" if found else None


def _tokens(sql: str) -> Iterator[str]:
    """Give a query's words and marks in lower case, quoted names with their quotes; texts and comments are left out."""
    for match in _TOKEN.finditer(sql):
        if match.lastgroup not in ("comment", "text"):
            yield match.group().lower()
