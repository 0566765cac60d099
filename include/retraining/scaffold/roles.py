"""What each column is for: key, number, category, outcome, or nothing the model may see."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from retraining.errors import RequestError
from retraining.scaffold.choices import Aside, Choice, Roles
from retraining.scaffold.look import Column, Table
from retraining.spec.gate import TELLS

_ID_NAME = re.compile(r"(^|_|\b)(id|uuid|guid|key)$|^(id|uuid)_|[a-z](Id|ID|Key|Uuid)$", re.IGNORECASE)
"""`id`, `order_id`, `OrderID`, `uuid`; not `paid`."""
_ROW_NUMBER = re.compile(r"^(|index|row|rownames?|row_?(id|number|num|nr)|unnamed.*|column0+)$", re.IGNORECASE)
MOST_CATEGORIES = 500
"""A model learns at most 250 categories per column; a column with many times more is a name."""
FREQUENT_ROWS = 20
"""A category needs some rows to be learnt from, see `features`."""
_FEW_IDS = 20
"""Fewer different numbers than a target has classes are a code, which a model can learn from."""
_OURS = ("prediction", "row_id", "hashed_time")


def choose_roles(
    table: Table, target: str, time: str | None, key: tuple[str, ...], *, classes: bool, unique: Callable[[str], bool]
) -> Roles:
    """Decide what each column is for.

    Parameters
    ----------
    unique
        Tells whether a column's values name the rows of the whole table.

    Raises
    ------
    RequestError
        When no column is left to learn from.
    """
    named = _choose_key(table, (target, time), key, unique)
    aside: list[Aside] = [Aside(name, "key", "names a row") for name in named.value]
    if time is not None and time not in named.value:
        aside.append(Aside(time, "time", "is the time"))
    numeric: list[str] = []
    categorical: list[str] = []
    for column in table.columns:
        if column.name in {target, *(a.name for a in aside)}:
            continue
        why = _unusable(column, table)
        if why is not None:
            aside.append(Aside(column.name, "unusable", why))
            continue
        told = table.tells(column.name, target, classes=classes)
        if told >= TELLS:
            aside.append(Aside(column.name, "told", f"alone it tells {told:.1%} of the target"))
        else:
            (categorical if column.kind == "string" else numeric).append(column.name)
    if not numeric and not categorical:
        raise RequestError(_nothing_left(table, target, aside))
    doubtful = tuple(name for name in numeric if _is_like_id(table.column(name)))
    return Roles(named, tuple(numeric), tuple(categorical), tuple(aside), doubtful)


def looks_like_id(name: str) -> bool:
    """Tell whether a column's name is that of a key.

    >>> [looks_like_id(n) for n in ("id", "order_id", "OrderID", "customerId", "paid", "humid", "key")]
    [True, True, True, True, False, False, True]
    """
    return bool(_ID_NAME.search(name)) and not re.search(r"(paid|humid|void|avoid|rapid|solid|valid)$", name, re.I)


def _is_like_id(column: Column) -> bool:
    """Tell whether each row has a whole number of its own, as ids are and amounts hardly ever."""
    return column.kind == "number" and column.whole and column.n_distinct == column.n_there > _FEW_IDS


def _choose_key(
    table: Table, other: Sequence[str | None], key: tuple[str, ...], unique: Callable[[str], bool]
) -> Choice:
    if key:
        return Choice(key, "Names a row, as it was asked for; every value is there once.")
    for column in table.columns:
        usable = column.kind in ("number", "string") and column.name not in other and column.n_null == 0
        numbers = _ROW_NUMBER.fullmatch(column.name)
        apart = column.n_distinct == table.n_sample
        if usable and apart and not numbers and looks_like_id(column.name) and unique(column.name):
            return Choice((column.name,), f"Names a row: each of the {table.n_rows:,} values is there once.")
    return Choice((), "")


def _unusable(column: Column, table: Table) -> str | None:
    return next(_reasons(column, table), None)


def _reasons(column: Column, table: Table) -> Iterator[str]:
    if column.name in _OURS:
        yield "the name is one of ours"
    if column.kind == "null" or column.n_null == table.n_rows:
        yield "it is always empty"
    if column.kind == "timestamp":
        yield "it is a time; derive numbers from it in a query, for example its hour or an age"
    if column.n_distinct == 1 and column.n_null == 0:
        yield f"it is always {column.example[:30]}"
    if column.n_distinct == 1 and column.kind == "string" and column.most_rows < FREQUENT_ROWS:
        yield "hardly a row has a value"
    if column.counting or (_ROW_NUMBER.fullmatch(column.name) and column.n_distinct == table.n_sample):
        yield "it numbers the rows"
    if column.n_distinct == table.n_sample and looks_like_id(column.name):
        yield "it names a row"
    elif column.kind == "number" and column.whole and column.n_distinct > _FEW_IDS and looks_like_id(column.name):
        yield "its name is an id's, and a larger id means nothing; join what is known of it, or add it to features"
    if column.kind == "string":
        if column.n_distinct > 0.5 * column.n_there:
            yield f"free text or a name: {column.n_distinct:,} different values in {column.n_there:,} rows"
        if column.n_distinct > MOST_CATEGORIES:
            yield f"{column.n_distinct:,} different texts are too many categories; group them in a query"
        if column.most_rows < FREQUENT_ROWS:
            yield f"no value is in {FREQUENT_ROWS} rows, so that none can be learnt from"


def _nothing_left(table: Table, target: str, aside: Sequence[Aside]) -> str:
    lines = [f"  - {a.name}: {a.why}" for a in aside]
    head = f"--data {table.url}: there is no column to learn {target} from. Nothing was written."
    return "\n".join([head, *lines, "Add columns that are known when the prediction is needed."])
