"""Which readings of a source still hold: some name chunks that were freed, or erased and cleaned since.

The ledger only ever grows, so a reading is never taken back; marks beside it say what became of its chunks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from retraining.ledger import Ledger, Reading
from retraining.ledger.readings import StoredReading
from retraining.records import Chunk, digest_of

_Readings = dict[datetime, list[Reading]]


def freed_key(source_id: str, start: datetime, as_of: datetime) -> str:
    """Return the key under which a reading is marked as freed."""
    return digest_of([source_id, start.isoformat(), as_of.isoformat()])


def usable(ledger: Ledger, source_id: str, known: _Readings) -> _Readings:
    """Leave out readings whose chunks were freed, and name the cleaned chunk where one was erased."""
    keys = {freed_key(source_id, start, r.as_of): (start, r.as_of) for start, seen in known.items() for r in seen}
    freed = {keys[key] for key in ledger.freed(keys)}
    cleaned = replacements(ledger, (c.id for seen in known.values() for r in seen for c in r.chunks))
    if not freed and not cleaned:
        return known
    return {
        start: [r._replace(chunks=replaced(r.chunks, cleaned)) for r in seen if (start, r.as_of) not in freed]
        for start, seen in known.items()
    }


def in_force(ledger: Ledger) -> Iterator[tuple[str, dict[str, StoredReading]]]:
    """Yield, source by source, the readings that runs may use, by the key of their mark.

    Erased chunks have their cleaned ones. The readings of one source are in memory at a time.
    """
    for source in ledger.source_ids():
        yield source, _in_force_of(ledger, source)


def _in_force_of(ledger: Ledger, source_id: str) -> dict[str, StoredReading]:
    known = {freed_key(r.source_id, r.start, r.as_of): r for r in ledger.readings_of(source_id)}
    freed = ledger.freed(known)
    cleaned = replacements(ledger, {c.id for r in known.values() for c in r.chunks})
    return {
        key: StoredReading(r.source_id, r.start, r.as_of, replaced(r.chunks, cleaned))
        for key, r in known.items()
        if key not in freed
    }


def replacements(ledger: Ledger, chunk_ids: Iterable[str]) -> dict[str, Chunk | None]:
    """Return what stands in for those of the chunks that were erased, also when that was erased in turn."""
    found: dict[str, Chunk | None] = {}
    ask = set(chunk_ids)
    while ask:
        new = ledger.replaced_chunks(ask)
        found.update(new)
        ask = {chunk.id for chunk in new.values() if chunk is not None} - set(found)
    return found


def standing_in(ledger: Ledger, identity: str) -> Chunk | None:
    """Return the chunk that stands in for an erased one now; None when it had no other rows.

    Raises
    ------
    KeyError
        When the chunk was not erased.
    """
    cleaned = replacements(ledger, [identity])
    return _present(cleaned[identity], cleaned)


def present(ledger: Ledger, chunks: Iterable[Chunk]) -> tuple[Chunk, ...]:
    """Return chunks of a snapshot as they are now: for figures about its rows, not to make it again."""
    listed = tuple(chunks)
    return replaced(listed, replacements(ledger, (c.id for c in listed)))


def replaced(chunks: Iterable[Chunk], cleaned: dict[str, Chunk | None]) -> tuple[Chunk, ...]:
    """Return the chunks with the cleaned ones in place of those that were erased."""
    found = (_present(chunk, cleaned) for chunk in chunks)
    return tuple(chunk for chunk in found if chunk is not None)


def _present(chunk: Chunk | None, cleaned: dict[str, Chunk | None]) -> Chunk | None:
    while chunk is not None and chunk.id in cleaned:
        chunk = cleaned[chunk.id]
    return chunk
