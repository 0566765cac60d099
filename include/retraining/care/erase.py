"""Erase: remove a person's rows from everything a model stored, and leave a gap that says so.

Whatever is killed, doing it again completes it: first the key is remembered, so that no run brings the rows back; then
each object is replaced by its other rows before it goes; feature chunks, which lead to all others, go last.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from retraining.care import holdings
from retraining.care.holdings import FileHit, Hit, Holdings, Learnt, Whose
from retraining.data import chunks, erasure, parquet
from retraining.data.erasure import ErasedKey
from retraining.data.readings import Cleaned
from retraining.data.snapshots import provenance_of
from retraining.errors import RequestError
from retraining.ledger.upkeep import ERASED, ERASED_SET, EVERY_MODEL
from retraining.records import digest_of, to_dict
from retraining.store import Store, sha256
from retraining.workspace import Workspace


@dataclass(frozen=True)
class ErasedObject:
    """An object that held the person, and how many of the rows."""

    what: str
    key: str
    n_rows: int


@dataclass(frozen=True)
class Erasure:
    """What was erased, or in a dry run would be. It names the columns of the key, never its values."""

    model: str
    columns: tuple[str, ...]
    erased_at: datetime
    reason: str
    by: str
    dry_run: bool
    objects: tuple[ErasedObject, ...]
    snapshots: tuple[str, ...]
    """Snapshots that can no longer be rebuilt."""
    models: tuple[str, ...]
    """Models that drop the person's rows from now on: this one, and those that share a chunk with it."""
    learnt: tuple[Learnt, ...]


def erase(
    workspace: Workspace,
    model: str,
    given: Mapping[str, str],
    *,
    reason: str,
    by: str,
    erased_at: datetime,
    dry_run: bool = False,
) -> Erasure:
    """Remove the rows whose columns have the given values from a model's chunks, predictions and quarantine.

    Raises
    ------
    RequestError
        When there is no such model or column, no key or no reason.
    Damaged
        When an object that may hold the person is not what was stored.
    """
    if not given or not reason.strip():
        raise RequestError("erase needs a key (--key column=value) and a reason (--reason); both are for the record.")
    spec = holdings.newest_spec(workspace, model)
    salt = _salt(workspace.store, dry_run=dry_run)
    whose = Whose(tuple(sorted(given)), frozenset(erasure.digests_of(salt, given)), salt)
    found = holdings.find(workspace, spec, whose)
    record = Erasure(
        model=model,
        columns=whose.columns,
        erased_at=erased_at,
        reason=reason,
        by=by,
        dry_run=dry_run,
        objects=_objects(found),
        snapshots=tuple(sorted(m.id for m in found.snapshots)),
        models=tuple(sorted({model, *(p.model for m in found.snapshots for p in provenance_of(workspace.ledger, m))})),
        learnt=found.learnt,
    )
    if not dry_run:
        _apply(workspace, spec.spec.data.target, found, whose, record)
    return record


def _salt(store: Store, *, dry_run: bool) -> bytes:
    """Return the store's salt; a dry run writes none, and compares with one of its own where there is none yet."""
    if dry_run and not store.exists(erasure.SALT):
        return secrets.token_bytes()
    return erasure.salt_of(store)


def _objects(found: Holdings) -> tuple[ErasedObject, ...]:
    parts = [(h.chunk.kind, chunks.key_of(h.chunk.id), h.own.num_rows) for h in (*found.features, *found.labels)]
    files = [(f.key.partition("/")[0], f.key, f.n_rows) for f in found.files]
    return tuple(ErasedObject(*each) for each in sorted([*parts, *files]))


def _apply(workspace: Workspace, target: str, found: Holdings, whose: Whose, record: Erasure) -> None:
    ledger = workspace.ledger
    key = to_dict(ErasedKey(whose.columns, record.erased_at, record.reason, record.by))
    for model in record.models:
        ledger.finish_many(model, erasure.KEYS, dict.fromkeys(sorted(whose.digests), key))
    for file in found.files:
        _replace_file(workspace, file)
    for hit in (*found.labels, *found.features):
        _replace_chunk(workspace, target, hit, found, whose, record)
    identity = digest_of([record.model, sorted(whose.digests), record.erased_at.isoformat()])
    ledger.finish(record.model, "erase", identity, record)


def _replace_chunk(workspace: Workspace, target: str, hit: Hit, found: Holdings, whose: Whose, record: Erasure) -> None:
    store, chunk = workspace.store, hit.chunk
    cleaned = chunks.write(store, hit.others, chunk.kind, chunk.start, target)[0] if hit.others.num_rows else None
    workspace.ledger.finish_many(EVERY_MODEL, ERASED, {chunk.id: to_dict(Cleaned(cleaned))})
    named = [m.id for m in found.snapshots if chunk.id in {c.id for c in (*m.features, *m.labels)}]
    store.write_json_once(
        chunks.tombstone_of(chunk.id),
        {
            "chunk": chunk.id,
            "erased_at": record.erased_at.isoformat(),
            "reason": record.reason,
            "by": record.by,
            "model": record.model,
            "columns": list(whose.columns),
            "key_digests": sorted(whose.digests),
            "snapshots": sorted(named),
        },
    )
    store.delete(chunks.key_of(chunk.id))


def _replace_file(workspace: Workspace, file: FileHit) -> None:
    """Write a file's other rows beside it and delete it; a published set is led to the new file by the ledger."""
    if file.made is None and file.key.startswith("predictions/"):
        workspace.store.delete(file.key)  # never published, so nobody reads its other rows
        return
    content = parquet.to_bytes(file.others)
    digest = sha256(content)
    key = f"{file.key.removesuffix('.parquet')}-{digest[:8]}.parquet"
    workspace.store.write_once(key, content)
    if file.made is not None:
        made = dataclasses.replace(file.made, key=key, n_rows=file.others.num_rows, file_sha256=digest)
        workspace.ledger.finish_many(EVERY_MODEL, ERASED_SET, {digest_of(file.key): to_dict(made)})
    workspace.store.delete(file.key)
