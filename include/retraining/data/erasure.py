"""Erased keys: rows of persons who were erased are recognised by a keyed digest, and dropped whenever they are read.

The store keeps a random salt, the ledger the digests, nobody the values. A digest says of a value that is tried whether
it was erased; whoever has both salt and ledger can try all values of a small space, so the two are kept apart.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product

import pyarrow as pa

from retraining.data import chunks
from retraining.errors import RequestError, SourceError, shown
from retraining.ledger import Ledger
from retraining.records import digest_of
from retraining.store import Store
from retraining.windows import parse_time

SALT = f"{chunks.ERASED}salt"

Text = tuple[str, str]
"""A value as its kind (text, number, time, truth) and its canonical text, so that 42 and 42.0 are one number."""


def salt_of(store: Store) -> bytes:
    """Return the store's salt, made when it is first needed."""
    store.write_once(SALT, secrets.token_hex(32).encode())
    return store.read(SALT)


def digests_of(salt: bytes, given: Mapping[str, str]) -> set[str]:
    """Return the digests of a key that a person typed: one per kind that its texts can be read as."""
    columns = sorted(given)
    return {digest(salt, columns, texts) for texts in product(*(_readings_of(given[name]) for name in columns))}


def digest(salt: bytes, columns: Sequence[str], texts: Iterable[Text]) -> str:
    """Return the keyed digest of a row's values in some columns."""
    message = json.dumps([list(columns), [list(t) for t in texts]])
    return hmac.new(salt, message.encode(), hashlib.sha256).hexdigest()


def texts_of(table: pa.Table, columns: Sequence[str]) -> list[tuple[Text, ...]]:
    """Return each row's values in some columns in canonical form."""
    listed = [chunks.canonical(name, table.column(name)).to_pylist() for name in columns]
    return [tuple(_text(value) for value in values) for values in zip(*listed, strict=True)]


def holds(table: pa.Table, columns: Sequence[str], wanted: set[str], salt: bytes) -> list[bool]:
    """Tell of each row whether its key is among the digests."""
    names, known = sorted(columns), dict[tuple[Text, ...], bool]()
    found = []
    for texts in texts_of(table, names):
        if texts not in known:
            known[texts] = digest(salt, names, texts) in wanted
        found.append(known[texts])
    return found


def without_erased(store: Store, ledger: Ledger, model: str, rows: pa.Table, where: str) -> pa.Table:
    """Drop the rows of persons who were erased from a model, and record how many there were.

    Raises
    ------
    SourceError
        When a column that an erased key is made of is no longer there, so that nobody can tell whose rows they are.
    """
    wanted: dict[tuple[str, ...], set[str]] = {}
    for found, key in ledger.erased_keys(model).items():
        wanted.setdefault(key.columns, set()).add(found)
    if not wanted:
        return rows
    missing = {name for columns in wanted for name in columns} - set(rows.column_names)
    if missing:
        raise SourceError(
            f"{where}: persons were erased by {shown(missing)}, which the source no longer gives, so their rows cannot "
            "be told. Nothing was stored. Keep the column in the query, under its old name."
        )
    salt, n_before = store.read(SALT), rows.num_rows
    for columns, digests in sorted(wanted.items()):
        rows = rows.filter(pa.array([not hit for hit in holds(rows, columns, digests, salt)], pa.bool_()))
    if rows.num_rows < n_before:
        ledger.add_erased_rows(model, digest_of([model, where]), n_before - rows.num_rows)
    return rows


def _text(value: object) -> Text:
    if value is None:
        return "null", ""
    if isinstance(value, bool):
        return "truth", str(value).lower()
    if isinstance(value, (int, float)):
        return "number", _number(value)
    if isinstance(value, datetime):
        return "time", value.astimezone(UTC).isoformat()
    return "text", str(value)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)


def _readings_of(text: str) -> list[Text]:
    """Return what a typed text can mean: itself, and a number, a time or a truth where it reads as one."""
    found = [("text", text)]
    with contextlib.suppress(ValueError, OverflowError):
        found.append(("number", _number(int(text) if text.lstrip("+-").isdigit() else float(text))))
    with contextlib.suppress(RequestError):
        found.append(_text(parse_time(text)))
    if text.lower() in ("true", "false"):
        found.append(("truth", text.lower()))
    return found
