"""Which stored models learnt from a person's rows, and whose sample rows still have some of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from retraining.artifacts import stored
from retraining.care import items
from retraining.care.holdings import Holdings, Whose
from retraining.care.sharing import Everything
from retraining.data import erasure, parquet
from retraining.workspace import Workspace

_SAMPLES = ("smoke.parquet", "reference.parquet")


@dataclass(frozen=True)
class Learnt:
    """A stored model that learnt from erased rows; `n_rows` of them are in its smoke or reference rows."""

    release_id: str
    users: tuple[str, ...]
    n_rows: int
    model: str = ""
    """Empty in records from before an erasure was done for several models."""


def find(workspace: Workspace, known: Everything, held: Holdings, whose: Whose) -> Iterator[Learnt]:
    """Yield the stored models whose snapshot names a chunk with the rows, or whose samples have such a key.

    Models are never altered: a release is bound by its digest. Sample rows without the columns of the key are told by
    all of their values, among models that share.
    """
    affected = {m.id for m in held.snapshots}
    users = items.users(workspace.ledger)
    folders = sorted(items.item_of(k) for k in known.there if k.startswith("releases/") and k.endswith("/meta.json"))
    for identity in map(items.identity_of, folders):
        files = stored.read_files(workspace.store, identity, ("meta.json", *_SAMPLES))
        card = stored.card_of(files)
        n_rows = _sampled(files, _own_rows(known, held, card.model), whose)
        if n_rows or (card.model in held.keys and card.snapshot_id in affected):
            yield Learnt(identity, tuple(users.get(items.release_key(identity), ())), n_rows, card.model)


def _own_rows(known: Everything, held: Holdings, model: str) -> list[pa.Table]:
    mine = known.parts.get(model, {})
    return [hit.own for hit in held.features if hit.chunk.id in mine]


def _sampled(files: Mapping[str, bytes], own: list[pa.Table], whose: Whose) -> int:
    n_rows = 0
    for table in (parquet.from_bytes(files[name]) for name in _SAMPLES if name in files):
        mask = whose.among(table)
        n_rows += sum(mask if mask is not None else _same_rows(table, own))
    return n_rows


def _same_rows(table: pa.Table, own: list[pa.Table]) -> list[bool]:
    shared = sorted(set(table.column_names).intersection(*(rows.column_names for rows in own)))
    wanted = {texts for rows in own for texts in erasure.texts_of(rows, shared)}
    return [texts in wanted for texts in erasure.texts_of(table, shared)]
