"""Chunks: one partition's rows in a canonical logical form, addressed by content.

The id depends on the rows alone: not on their order, the file format, integer widths or a library's version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retraining.data import parquet
from retraining.data.held import held
from retraining.errors import Damaged, Erased, SourceError, shown
from retraining.records import Chunk, short
from retraining.store import Store, sha256

Kind: TypeAlias = Literal["features", "labels"]
"""What a chunk holds; labels come later, so they are chunks of their own."""

_EXACT_INTEGER = 2**53
"""Integers up to here are floats without loss; columns beyond keep their integer type."""

ERASED = "erased/"
"""Where tombstones of erased chunks are kept."""

_AT_ONCE = 8
"""Chunks read at a time: an object store answers each after some 20 ms, whatever its size; each costs its memory."""
_T = TypeVar("_T")


def normalise(table: pa.Table, key: Sequence[str]) -> pa.Table:
    """Return the canonical form of rows: columns by name, four logical types, rows sorted by key, then all columns.

    Raises
    ------
    SourceError
        When a column holds lists, structs, times of day or other values that are not one of the logical types.
    """
    columns = {name: canonical(name, table.column(name)) for name in sorted(table.column_names)}
    plain = pa.table(columns)
    order = [(name, "ascending") for name in [*key, *(c for c in plain.column_names if c not in key)]]
    sortable = [(name, how) for name, how in order if not pa.types.is_null(plain.schema.field(name).type)]
    return plain.sort_by(sortable).combine_chunks() if sortable and plain.num_rows else plain


def logical_type(column: pa.DataType) -> str:
    """Name a canonical column's logical type: number, integer, boolean, string, timestamp or null."""
    names = {pa.float64(): "number", pa.int64(): "integer", pa.bool_(): "boolean", pa.string(): "string"}
    return "null" if pa.types.is_null(column) else names.get(column, "timestamp")


def content_id(table: pa.Table) -> str:
    """Return the SHA-256 of a canonical table's columns, types, nulls and values."""
    fields = [(f.name, logical_type(f.type)) for f in table.schema]
    digest = hashlib.sha256(json.dumps([table.num_rows, fields]).encode())
    for name, kind in fields:
        if kind != "null":
            for part in _bytes_of(table.column(name), kind):
                digest.update(part)
    return digest.hexdigest()


def write(store: Store, table: pa.Table, kind: Kind, start: datetime, target: str) -> tuple[Chunk, bool]:
    """Store canonical rows under their id unless they are there; return the reference and whether it is new.

    Raises
    ------
    Erased
        When these very rows were erased: they hold a person who must not come back.
    """
    identity = content_id(table)
    path = key_of(identity)
    data, new = b"", False
    if not store.exists(path):
        _refuse_erased(
            store,
            identity,
            "They were read again, and not stored. Erase the person from this model, too: `erase` with the same key.",
        )
        data = parquet.to_bytes(table)
        new = store.write_once(path, data)
    if not new:
        data = store.read(path)  # the file that is there, whichever version of the library wrote it
    labelled = table.num_rows - table.column(target).null_count if kind == "labels" else 0
    return Chunk(identity, kind, start, table.num_rows, labelled, len(data), sha256(data)), new


def read(store: Store, chunk: Chunk, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a chunk's rows, or some of its columns, after comparing the file's digest with the manifest's.

    Raises
    ------
    Erased
        When it was erased; the message says when and why.
    Damaged
        When it is missing or is not what was stored.
    """
    return read_many(store, [chunk], columns)[0]


def read_rows(store: Store, identity: str) -> pa.Table:
    """Return a chunk's rows by its id alone, which is the digest of the rows themselves.

    Raises
    ------
    Erased, Damaged
        As `read` does.
    """
    try:
        table = parquet.from_bytes(store.read(key_of(identity)))
    except Damaged:
        _refuse_erased(store, identity, "Retrain: new windows hold the other rows.")
        raise
    if content_id(table) != identity:
        raise Damaged(f"store {store.url}: {key_of(identity)} was altered. Restore it from a backup of the store.")
    return table


def read_many(store: Store, parts: Sequence[Chunk], columns: Sequence[str] | None = None) -> list[pa.Table]:
    """Return the rows of chunks in their order, as `read` does; several are read at a time.

    Raises
    ------
    Erased, Damaged
        As `read` does, for the first of them.
    KeyError
        When a column is missing.
    """
    here = held()
    if here is None:
        return _each(lambda chunk: _read(store, chunk, columns), parts)
    known = [here.get(chunk.file_sha256) for chunk in parts]
    whole = _each(lambda pair: _still(store, *pair), list(zip(parts, known, strict=True)))
    for chunk, table in zip(parts, whole, strict=True):
        here.put(chunk.file_sha256, table)
    return whole if columns is None else [table.select(list(columns)) for table in whole]


def _each(work: Callable[[_T], pa.Table], given: Sequence[_T]) -> list[pa.Table]:
    """Do some work for each; with threads of its own where there are several, which end with it."""
    if len(given) < 2:
        return [work(one) for one in given]
    with ThreadPoolExecutor(min(_AT_ONCE, len(given))) as pool:
        return list(pool.map(work, given))


def _still(store: Store, chunk: Chunk, known: pa.Table | None) -> pa.Table:
    """Return a table that is held as long as its chunk is there, else what is read now."""
    return known if known is not None and store.exists(key_of(chunk.id)) else _read(store, chunk, None)


def _read(store: Store, chunk: Chunk, columns: Sequence[str] | None) -> pa.Table:
    try:
        data = store.read(key_of(chunk.id), chunk.file_sha256)
    except Damaged:
        _refuse_erased(store, chunk.id, "Retrain: new windows hold the other rows.")
        raise
    return parquet.from_bytes(data, columns)


def key_of(identity: str) -> str:
    """Return the store key of a chunk."""
    return f"chunks/{identity[:2]}/{identity}.parquet"


def tombstone_of(identity: str) -> str:
    """Return the store key of what says that a chunk was erased."""
    return f"{ERASED}{identity}.json"


def _refuse_erased(store: Store, identity: str, remedy: str) -> None:
    if not store.exists(tombstone_of(identity)):
        return
    stone = store.read_json(tombstone_of(identity))
    gone = [short(snapshot) for snapshot in stone["snapshots"]]
    after = f" Snapshots {shown(gone)} can no longer be rebuilt." if gone else ""
    raise Erased(
        f"chunk {short(identity)}: was erased on {stone['erased_at'][:10]} because: {stone['reason']}.{after} {remedy}"
    )


def canonical(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in its logical type, with -0.0 as 0.0 and NaN as null; its order stays.

    Raises
    ------
    SourceError
        When it holds values that are not one of the logical types.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_null(kind) or column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column))])
    if pa.types.is_boolean(kind):
        return column
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.cast(pa.string())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _canonical_time(name, column)
    if pa.types.is_integer(kind):
        return _canonical_integer(name, column)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _canonical_number(name, column.cast(pa.float64(), safe=False))
    raise SourceError(
        f"column {name} holds {kind} values; columns are numbers, text, booleans or times. Convert it in the query."
    )


def _canonical_time(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        if getattr(column.type, "tz", None) is None:
            column = column.cast(pa.timestamp("us"), safe=pa.types.is_date(column.type))
        return column.cast(pa.timestamp("us", tz="UTC"), safe=False)
    except pa.ArrowInvalid as error:  # the text inf is an infinite date to DuckDB, whatever the column means
        raise SourceError(f"column {name} holds infinite values or times out of range; make them null.") from error


def _canonical_integer(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        whole = column.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"column {name} holds integers beyond 64 bits with a sign; make it text in the query."
        ) from error
    return whole.cast(pa.float64()) if pc.max(pc.abs(whole)).as_py() <= _EXACT_INTEGER else whole


def _canonical_number(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    values = column.to_numpy(zero_copy_only=False).astype(np.float64) + 0.0  # adding 0.0 turns -0.0 into 0.0
    if np.isinf(values).any():
        raise SourceError(f"column {name} holds infinite values; replace them by nulls or numbers in the query.")
    array = pa.array(values, from_pandas=True)  # NaN becomes null
    return pa.chunked_array([pa.nulls(len(values)) if array.null_count == len(values) else array])


def _bytes_of(column: pa.ChunkedArray, kind: str) -> list[bytes]:
    valid = np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=bool)
    parts = [np.packbits(valid).tobytes()]
    if kind == "string":
        whole = pc.fill_null(column, "").combine_chunks() if column.num_chunks else pa.array([], pa.string())
        lengths = pc.binary_length(whole).to_numpy(zero_copy_only=False).astype("<i8")
        return [*parts, lengths.tobytes(), _text_bytes(whole)]
    plain = column.cast(pa.int64()) if kind == "timestamp" else column
    filled = pc.fill_null(plain, False if kind == "boolean" else 0).to_numpy(zero_copy_only=False)
    dtype = {"number": "<f8", "boolean": "u1"}.get(kind, "<i8")
    return [*parts, filled.astype(dtype).tobytes()]


def _text_bytes(column: pa.StringArray | pa.ChunkedArray) -> bytes:
    if isinstance(column, pa.ChunkedArray):  # one of more than 2 GiB stays in pieces
        return b"".join(_text_bytes(piece) for piece in column.chunks)
    _, offsets, content = column.buffers()
    if len(column) == 0 or content is None:
        return b""
    places = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    return bytes(content.to_pybytes()[places[0] : places[-1]])


def with_types(table: pa.Table) -> pa.Table:
    """Make columns without a single value numbers: they have no type of their own, and a join takes none without."""
    fields = [f.with_type(pa.float64()) if pa.types.is_null(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields))


def require(table: pa.Table, columns: Sequence[str], where: str) -> None:
    """Raise unless the columns are there.

    Raises
    ------
    SourceError
        With the missing columns and those that are there.
    """
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        there = shown(table.column_names, limit=30)
        raise SourceError(f"{where}: missing column {shown(missing)}. It has: {there}. Change the query or the YAML.")
