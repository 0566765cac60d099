"""Prediction ids: UUIDs of version 7, whose day leads to the partition that holds them."""

from __future__ import annotations

import hashlib
from uuid import UUID

import pyarrow as pa

from retraining.records import Window

ID = "prediction_id"


def prediction_ids(window: Window, release_id: str, keys: pa.Table) -> list[str]:
    """Return one id per row: UUIDv7's shape, its time from the window, the rest from hash(release, key).

    RFC 9562 lays out version 7: 48 bits of Unix milliseconds, then version, variant and 74 free bits.
    """
    milliseconds = int(window.start.timestamp() * 1000)
    columns = [keys.column(name).to_pylist() for name in keys.column_names]
    return [str(_uuid7(milliseconds, release_id, repr(values))) for values in zip(*columns, strict=True)]


def _uuid7(milliseconds: int, release_id: str, key: str) -> UUID:
    rest = int.from_bytes(hashlib.sha256(f"{release_id}\n{key}".encode()).digest()[:10])
    number = (milliseconds & (2**48 - 1)) << 80 | rest & (2**80 - 1)
    number = number & ~(0xF << 76) | 0x7 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)
