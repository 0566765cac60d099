"""Erased keys: rows of persons who were erased are recognised by a keyed digest, and dropped whenever they are read.

The store keeps a random salt, the ledger the digests, nobody the values. A digest says of a value that is tried whether
it was erased; whoever has both salt and ledger can try all values of a small space, so the two are kept apart.

A key holds for the model it was erased for and for every model that reads the same source. A model that is given the
very rows of an erased chunk by another way takes the key over from the chunk's tombstone.
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
from retraining.data.readings import standing_in
from retraining.errors import RequestError, SourceError, shown
from retraining.ledger import Ledger
from retraining.ledger.erasures import ErasedKey
from retraining.ledger.work import EVERY_MODEL
from retraining.records import Chunk, digest_of
from retraining.spec import FrozenSpec, without_documentation
from retraining.store import Store
from retraining.windows import parse_time

SALT = f"{chunks.ERASED}salt"

Text = tuple[str, str]
"""A value as its kind (text, number, time, truth) and its canonical text, so that 42 and 42.0 are one number."""


def salt_of(store: Store) -> bytes:
    """Return the store's salt, or a new one that `keep_salt` keeps before its first use."""
    return store.read(SALT) if store.exists(SALT) else secrets.token_hex(32).encode()


def keep_salt(store: Store, salt: bytes) -> None:
    """Keep a salt for ever.

    Raises
    ------
    RequestError
        When another erasure kept one of its own meanwhile.
    """
    store.write_once(SALT, salt)
    if store.read(SALT) != salt:
        raise RequestError("another erasure, the first of this store, began just now. Nothing was changed. Try again.")


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


def owner_of(frozen: FrozenSpec) -> str:
    """Return the name under which the keys stand that hold for every model of a source: the same rows, by any name."""
    source = without_documentation(frozen.spec.data.source.model_dump(mode="json"))
    named = {k: v for k, v in source.items() if k not in ("query", "function")}
    function = (frozen.spec.data.source.function or "").rpartition(":")[2]
    return EVERY_MODEL + digest_of([named, function, frozen.file(frozen.spec.data.source)])


def remembered(ledger: Ledger, owners: Iterable[str], digests: Iterable[str]) -> bool:
    """Tell whether one of the keys was erased for one of the owners before."""
    wanted = set(digests)
    return any(not wanted.isdisjoint(ledger.erased_keys(owner)) for owner in owners)


def without_erased(store: Store, ledger: Ledger, frozen: FrozenSpec, rows: pa.Table, where: str) -> pa.Table:
    """Drop the rows of persons who were erased from a model or its source, and record how many there were.

    Raises
    ------
    SourceError
        When a column that an erased key is made of is no longer there, so that nobody can tell whose rows they are.
    """
    wanted = _wanted(ledger, frozen)
    missing = {name for columns in wanted for name in columns} - set(rows.column_names)
    if missing:
        raise SourceError(
            f"{where}: persons were erased by {shown(missing)}, which the source no longer gives, so their rows cannot "
            "be told. Nothing was stored. Keep the column in the query, under its old name."
        )
    n_before = rows.num_rows
    for columns, digests in sorted(wanted.items()):
        found = holds(rows, columns, digests, store.read(SALT))
        rows = rows.filter(pa.array([not hit for hit in found], pa.bool_()))
    if rows.num_rows < n_before:
        ledger.add_erased_rows(frozen.model, digest_of([frozen.model, where, n_before]), n_before - rows.num_rows)
    return rows


def _wanted(ledger: Ledger, frozen: FrozenSpec) -> dict[tuple[str, ...], set[str]]:
    wanted: dict[tuple[str, ...], set[str]] = {}
    for owner in (frozen.model, owner_of(frozen)):
        for found, key in ledger.erased_keys(owner).items():
            wanted.setdefault(key.columns, set()).add(found)
    return wanted


def erased_ids(store: Store) -> frozenset[str]:
    """Return the ids of all erased chunks: one listing, of nothing in most stores."""
    keys = (entry.key for entry in store.listing(chunks.ERASED))
    return frozenset(key.removeprefix(chunks.ERASED).removesuffix(".json") for key in keys if key.endswith(".json"))


def inherit(store: Store, ledger: Ledger, frozen: FrozenSpec, rows: pa.Table) -> None:
    """Take over the keys of an erased chunk whose very rows were read for a model that the keys did not hold for.

    Parameters
    ----------
    rows
        The chunk's rows. Where they lack the columns of a key, the person's are those that the cleaned chunk lacks.
    """
    identity = chunks.content_id(rows)
    stone = store.read_json(chunks.tombstone_of(identity))
    columns, digests = tuple(stone["columns"]), set(stone["key_digests"])
    if not set(columns) <= set(rows.column_names):
        columns = tuple(sorted(frozen.spec.data.keys))
        digests = _lacking(store, rows, columns, standing_in(ledger, identity))
    when = datetime.fromisoformat(stone["erased_at"])
    ledger.add_erased_keys(frozen.model, digests, ErasedKey(columns, when, stone["reason"], stone["by"]))


def _lacking(store: Store, rows: pa.Table, columns: Sequence[str], cleaned: Chunk | None) -> set[str]:
    """Return the digests of the rows that are not in the cleaned chunk; none when housekeeping freed that."""
    if cleaned is not None and not store.exists(chunks.key_of(cleaned.id)):
        return set()
    kept = set() if cleaned is None else set(texts_of(chunks.read(store, cleaned), columns))
    salt = store.read(SALT)
    return {digest(salt, columns, texts) for texts in texts_of(rows, columns) if texts not in kept}


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
