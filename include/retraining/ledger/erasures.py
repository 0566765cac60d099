"""What erasures leave: digests of the keys, and what stands in for objects that held the person's rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from retraining.ledger import tables as t
from retraining.ledger.connection import Connected
from retraining.records import Chunk, PredictionSet, digest_of, from_dict, to_dict


@dataclass(frozen=True)
class ErasedKey:
    """That a key was erased for a model: its columns, not their values."""

    columns: tuple[str, ...]
    erased_at: datetime
    reason: str
    by: str


class Erasures(Connected):
    """A mixin of `Ledger`. Chunks and predictions are stored objects, which models may share."""

    def add_erased_keys(self, model: str, digests: Iterable[str], key: ErasedKey) -> None:
        """Have a model drop the rows of a key from now on, whenever they are read."""
        body = to_dict(key)
        self._add_many(t.erased_keys, [{"model": model, "digest": d, "body": body} for d in sorted(set(digests))])

    def erased_keys(self, model: str) -> dict[str, ErasedKey]:
        """Return a model's erased keys by their digests, oldest first."""
        c = t.erased_keys.c
        rows = self._all(select(c.digest, c.body).where(c.model == model).order_by(c.row))
        return {row.digest: from_dict(ErasedKey, row.body) for row in rows}

    def add_erased_rows(self, model: str, key: str, n_rows: int) -> None:
        """Record how many rows of erased persons a reading dropped; `key` is of the reading."""
        self._add(t.erased_rows, model=model, key=key, n_rows=n_rows)

    def erased_rows(self, model: str) -> dict[str, int]:
        """Return how many rows were dropped, by the key of the reading."""
        c = t.erased_rows.c
        return {row.key: row.n_rows for row in self._all(select(c.key, c.n_rows).where(c.model == model))}

    def replace_chunk(self, chunk_id: str, cleaned: Chunk | None) -> None:
        """Record what stands in for an erased chunk: the chunk of the other rows, or None when there are none."""
        self._add(t.erased_chunks, chunk_id=chunk_id, body=None if cleaned is None else to_dict(cleaned))

    def replaced_chunks(self, chunk_ids: Iterable[str]) -> dict[str, Chunk | None]:
        """Return what stands in for those of the chunks that were erased."""
        c = t.erased_chunks.c
        rows = self._among(select(c.chunk_id, c.body), c.chunk_id, chunk_ids)
        return {row.chunk_id: None if row.body is None else from_dict(Chunk, row.body) for row in rows}

    def replace_predictions(self, key: str, cleaned: PredictionSet) -> None:
        """Record what stands in for a published set's file, of which rows were erased."""
        self._add(t.erased_predictions, key=digest_of(key), body=to_dict(cleaned))

    def present(self, sets: Sequence[PredictionSet]) -> list[PredictionSet]:
        """Return published sets as they are now: where rows were erased, the set of the others."""
        c = t.erased_predictions.c
        rows = self._among(select(c.key, c.body), c.key, (digest_of(s.key) for s in sets))
        cleaned = {row.key: from_dict(PredictionSet, row.body) for row in rows}
        return self.present([cleaned.get(digest_of(s.key), s) for s in sets]) if cleaned else list(sets)
