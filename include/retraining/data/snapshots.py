"""Snapshots: the manifest of a window's chunks, frozen once under its own digest, like a git tree.

A manifest holds content only. What belongs to the run that froze it (model, as-of time, source, what was set aside)
stands in the ledger, one entry per run: two runs, or two models on one table, share the manifest and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from retraining.data import chunks
from retraining.data.ingest import Extent, Reader
from retraining.data.joins import join
from retraining.errors import Damaged, NotEnoughData, SourceError, shown
from retraining.ledger import Ledger
from retraining.records import (
    Chunk,
    Column,
    Manifest,
    Provenance,
    SetAside,
    Snapshot,
    Window,
    digest_of,
    from_dict,
    short,
    to_dict,
)
from retraining.spec.data import Data
from retraining.store import Store

SNAPSHOTS = "snapshots/"
"""Where the manifests of snapshots are kept."""


def freeze(reader: Reader, extent: Extent, window: Window, as_of: datetime, *, labels: bool) -> Snapshot:
    """Freeze the manifest of a window from chunks that were read.

    Raises
    ------
    NotEnoughData
        When the window has no rows at all.
    """
    inside = {start: found for start, found in extent.chunks.items() if window.start <= start < window.end}
    features = _of_kind(inside, "features")
    labelled = _of_kind(inside, "labels") if labels else ()
    if window.start < window.end and not features:
        raise NotEnoughData(
            f"{reader.frozen.model}: the source has no rows in {window}. Check the source and the as-of time."
        )
    columns = _columns(reader.store, [*features[-1:], *labelled[-1:]])
    identity = snapshot_id((*features, *labelled), columns, window)
    empty = tuple(start for start, found in inside.items() if not found)
    provenance = Provenance(reader.frozen.model, as_of, reader.source_id, empty)
    return _keep(reader.store, reader.ledger, Snapshot(identity, window, columns, features, labelled, provenance))


def without(
    store: Store,
    ledger: Ledger,
    snapshot: Snapshot,
    replaced: Mapping[datetime, tuple[Chunk, ...]],
    set_aside: tuple[SetAside, ...],
) -> Snapshot:
    """Freeze a snapshot in which some partitions are replaced by chunks that lack rows that were set aside."""

    def chosen(kind: str, known: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
        found = [[c for c in replaced[k.start] if c.kind == kind] if k.start in replaced else [k] for k in known]
        return tuple(c for some in found for c in some)

    features, labels = chosen("features", snapshot.features), chosen("labels", snapshot.labels)
    identity = snapshot_id((*features, *labels), snapshot.columns, snapshot.window)
    provenance = replace(snapshot.provenance, raw_id=snapshot.id, set_aside=set_aside)
    accepted = replace(snapshot, id=identity, features=features, labels=labels, provenance=provenance)
    return _keep(store, ledger, accepted)


def part_of(manifest: Manifest, window: Window) -> Manifest:
    """Return the partitions of a snapshot that lie in a window, under the id they would be frozen by."""

    def inside(known: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
        return tuple(c for c in known if window.start <= c.start < window.end)

    features, labels = inside(manifest.features), inside(manifest.labels)
    identity = snapshot_id((*features, *labels), manifest.columns, window)
    return Manifest(identity, window, manifest.columns, features, labels)


def snapshot_id(parts: Iterable[Chunk], columns: Iterable[Column], window: Window) -> str:
    """Return the digest of what makes a snapshot: its chunks, its columns and its window."""
    return digest_of(
        {
            "chunks": sorted(c.id for c in parts),
            "columns": [to_dict(c) for c in columns],
            "window": to_dict(window),
        }
    )


def snapshot_key(identity: str) -> str:
    """Return the store key of a manifest."""
    return f"{SNAPSHOTS}{identity}.json"


def read_manifest(store: Store, identity: str) -> Manifest:
    """Return the content of a snapshot that was frozen.

    Raises
    ------
    Damaged
        When its manifest is missing, or is not what was frozen.
    """
    key = snapshot_key(identity)
    altered = f"store {store.url}: {key} was altered. Restore it from a backup of the store."
    try:
        found = manifest_of(store.read_json(key))
    except ValueError as error:
        raise Damaged(altered) from error
    if snapshot_id((*found.features, *found.labels), found.columns, found.window) != identity:
        raise Damaged(altered)
    return found


def manifest_of(document: Any) -> Manifest:
    """Return the manifest that a stored document is, also one of an early version, in which a run's facts stand.

    Raises
    ------
    ValueError
        When it is none.
    """
    first = from_dict(Provenance, document) if isinstance(document, dict) and "model" in document else None
    return replace(from_dict(Manifest, document), first=first)


def read_snapshot(store: Store, ledger: Ledger, identity: str, model: str, as_of: datetime, source_id: str) -> Snapshot:
    """Return a snapshot as a run carries it: whatever other runs froze it before, the facts are this run's.

    Raises
    ------
    Damaged
        As `read_manifest` does.
    """
    manifest = read_manifest(store, identity)
    run = (model, as_of, source_id)
    known = (p for p in provenance_of(ledger, manifest) if (p.model, p.as_of, p.source_id) == run)
    parts = (manifest.id, manifest.window, manifest.columns, manifest.features, manifest.labels)
    return Snapshot(*parts, next(known, Provenance(*run)))


def provenance_of(ledger: Ledger, manifest: Manifest) -> list[Provenance]:
    """Return what each run that froze a manifest knew of it, the newest first."""
    found = ledger.provenance(manifest.id)
    first = manifest.first
    return found if first is None or first in found else [*found, first]


def load(store: Store, manifest: Manifest, data: Data) -> pa.Table:
    """Return a snapshot's rows by time and key, features joined with labels; every chunk's digest is checked.

    Raises
    ------
    NotEnoughData
        When the snapshot has no rows.
    """
    if not manifest.features:
        raise NotEnoughData(f"{manifest.describe()}: there are no rows.")
    table = _read_all(store, manifest.features)
    if manifest.labels:
        table = join(table, _read_all(store, manifest.labels), data.keys, "left outer")
    order = [data.time, *(name for name in data.keys if name != data.time)]
    return table.sort_by([(name, "ascending") for name in order])  # a join has no order; learning depends on it


def _keep(store: Store, ledger: Ledger, snapshot: Snapshot) -> Snapshot:
    content = {name: value for name, value in to_dict(snapshot).items() if name not in ("provenance", "first")}
    store.write_json_once(snapshot_key(snapshot.id), content)
    ledger.add_provenance(snapshot.id, snapshot.provenance)
    return snapshot


def _of_kind(inside: dict[datetime, tuple[Chunk, ...]], kind: str) -> tuple[Chunk, ...]:
    return tuple(c for _, found in sorted(inside.items()) for c in found if c.kind == kind)


def _columns(store: Store, newest: list[Chunk]) -> tuple[Column, ...]:
    fields = {f.name: chunks.logical_type(f.type) for c in newest for f in chunks.read(store, c).schema}
    return tuple(Column(name, kind) for name, kind in sorted(fields.items()))


def _read_all(store: Store, parts: tuple[Chunk, ...]) -> pa.Table:
    tables = chunks.read_many(store, parts)
    try:
        return chunks.with_types(pa.concat_tables(tables, promote_options="permissive").combine_chunks())
    except pa.ArrowTypeError as error:
        retyped = _retyped(tables)
        days = ", ".join(f"{parts[i].start:%Y-%m-%d}" for i in retyped[1])
        raise SourceError(
            f"column {shown(retyped[0])} changes its type inside the window ({days}, chunk "
            f"{short(parts[retyped[1][0]].id)}). Cast it in the query."
        ) from error


def _retyped(tables: list[pa.Table]) -> tuple[list[str], list[int]]:
    kinds: dict[str, str] = {}
    names: set[str] = set()
    where: list[int] = []
    for index, table in enumerate(tables):
        for field in table.schema:
            kind = chunks.logical_type(field.type)
            if kind != "null" and kinds.setdefault(field.name, kind) != kind:
                names.add(field.name)
                where.append(index)
    return sorted(names), sorted(set(where))[:3]
