"""Erase: remove a person's rows from all that models which share have stored, and leave a gap that says so.

Whatever is killed, doing it again completes it: first the key is remembered, so that no run brings the rows back; then
each object is replaced by its other rows before it goes; feature chunks, which lead to all others, go last.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from retraining.care import holdings, learnt, sharing
from retraining.care.holdings import FileHit, Hit, Holdings, Whose
from retraining.care.learnt import Learnt
from retraining.care.sharing import Everything
from retraining.data import chunks, erasure, parquet
from retraining.errors import RequestError, given_reason
from retraining.ledger.erasures import ErasedKey
from retraining.records import digest_of
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
    """Models that it was done for: this one, and those that read the same source or share a chunk."""
    learnt: tuple[Learnt, ...]
    elsewhere: tuple[str, ...] = ()
    """Models that share nothing with these, and have rows with such a key: nothing of theirs was changed."""


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
    """Remove the rows whose columns have the given values from all that a model, and those that share, have stored.

    Raises
    ------
    RequestError
        When there is no such model, column or row, no key or no reason.
    Damaged
        When an object that may hold the person is not what was stored.
    """
    if not given:
        raise RequestError("erase needs a key (--key column=value). Nothing was changed.")
    reason = given_reason(reason, "an erasure")
    known = sharing.everything(workspace)
    if model not in known.specs:
        raise RequestError(f"there is no model {model}, neither a YAML nor a frozen spec of it. `status` lists them.")
    salt = erasure.salt_of(workspace.store)
    whose = Whose(tuple(sorted(given)), frozenset(erasure.digests_of(salt, given)), salt)
    found = holdings.find(workspace, known, model, whose, _gone(workspace.store, whose))
    models = tuple(learnt.find(workspace, known, found, whose))
    record = Erasure(
        model=model,
        columns=whose.columns,
        erased_at=erased_at,
        reason=reason,
        by=by,
        dry_run=dry_run,
        objects=_objects(found),
        snapshots=tuple(sorted(m.id for m in found.snapshots)),
        models=tuple(sorted(found.keys)),
        learnt=tuple(one for one in models if one.model in found.keys),
        elsewhere=_elsewhere(workspace, known, found, whose, {one.model for one in models}),
    )
    _must_hold_something(workspace, known, whose, record)
    if not dry_run:
        _apply(workspace, known, found, whose, record)
    return record


def _gone(store: Store, whose: Whose) -> set[str]:
    """Return the chunks that the same person was erased from before."""
    stones = ((one, store.read_json(chunks.tombstone_of(one))) for one in erasure.erased_ids(store))
    return {identity for identity, stone in stones if whose.digests & set(stone["key_digests"])}


def _objects(found: Holdings) -> tuple[ErasedObject, ...]:
    parts = [(h.chunk.kind, chunks.key_of(h.chunk.id), h.own.num_rows) for h in (*found.features, *found.labels)]
    files = [(f.key.partition("/")[0], f.key, f.n_rows) for f in found.files]
    return tuple(ErasedObject(*each) for each in sorted([*parts, *files]))


def _elsewhere(
    workspace: Workspace, known: Everything, found: Holdings, whose: Whose, learnt_by: set[str]
) -> tuple[str, ...]:
    others = sorted({*known.parts, *known.specs, *learnt_by} - found.keys.keys())
    return tuple(m for m in others if m in learnt_by or holdings.may_hold(workspace, known, m, whose))


def _must_hold_something(workspace: Workspace, known: Everything, whose: Whose, record: Erasure) -> None:
    """Refuse a value that nobody has, unless it is one that was erased before."""
    owners = [record.model, erasure.owner_of(known.specs[record.model])]
    if record.objects or record.learnt or erasure.remembered(workspace.ledger, owners, whose.digests):
        return
    other = f" {', '.join(record.elsewhere)} has: name that model to erase there." if record.elsewhere else ""
    raise RequestError(
        f"{record.model}: no stored row has that {' and '.join(whose.columns)}.{other} Nothing was changed. "
        "Compare the value with the source's, letter by letter."
    )


def _apply(workspace: Workspace, known: Everything, found: Holdings, whose: Whose, record: Erasure) -> None:
    erasure.keep_salt(workspace.store, whose.salt)
    for model, key in found.keys.items():
        kept = ErasedKey(key.columns, record.erased_at, record.reason, record.by)
        for owner in (model, erasure.owner_of(known.specs[model])):
            workspace.ledger.add_erased_keys(owner, key.digests, kept)
    for file in found.files:
        _replace_file(workspace, file)
    for hit in (*found.labels, *found.features):
        _replace_chunk(workspace, hit, found, whose, record)
    identity = digest_of([record.model, sorted(whose.digests), record.erased_at.isoformat()])
    for model in record.models:
        workspace.ledger.finish(model, "erase", identity, record)


def _replace_chunk(workspace: Workspace, hit: Hit, found: Holdings, whose: Whose, record: Erasure) -> None:
    store, chunk = workspace.store, hit.chunk
    others = hit.others
    cleaned = chunks.write(store, others, chunk.kind, chunk.start, hit.target)[0] if others.num_rows else None
    workspace.ledger.replace_chunk(chunk.id, cleaned)
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
        workspace.ledger.replace_predictions(file.key, made)
    workspace.store.delete(file.key)
