"""Queries: the SQL around an expression of a YAML, said once for who checks it and who runs it."""

from __future__ import annotations


def condition_query(where: str) -> str:
    """Return the query that tells for which of `rows` a condition holds; where it is unknown it does not hold."""
    return f"select coalesce(({where})::boolean, false) as hit from rows"  # noqa: S608 - the YAML's own SQL


def figure_query(sql: str) -> str:
    """Return the query of a figure over the table `scored`."""
    return f"select {sql} from scored"  # noqa: S608 - the YAML's own SQL
