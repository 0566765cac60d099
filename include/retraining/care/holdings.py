"""Where a person's rows are: chunks, predictions, quarantine and models' sample rows of one model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from retraining.artifacts import stored
from retraining.care import items, needs
from retraining.data import chunks, erasure, parquet
from retraining.data.readings import replacements
from retraining.errors import Damaged, RequestError, shown
from retraining.evaluation.finalist import FLIPS
from retraining.records import Chunk, Manifest, PredictionSet
from retraining.spec import FrozenSpec
from retraining.store import Entry, sha256
from retraining.workspace import Workspace


@dataclass(frozen=True)
class Whose:
    """A person as the store knows them: columns, the digests of their values, and the salt."""

    columns: tuple[str, ...]
    digests: frozenset[str]
    salt: bytes = field(repr=False)

    def among(self, table: pa.Table) -> list[bool] | None:
        """Tell which rows are the person's; None when the table lacks a column that says so."""
        if not set(self.columns) <= set(table.column_names):
            return None
        return erasure.holds(table, self.columns, set(self.digests), self.salt)


@dataclass(frozen=True)
class Hit:
    """A chunk that holds the person, its other rows in canonical form, and the person's own."""

    chunk: Chunk
    others: pa.Table
    own: pa.Table


@dataclass(frozen=True)
class FileHit:
    """A file of predictions, quarantine or flipped rows that holds the person, and its other rows.

    `made` is the set of published predictions.
    """

    key: str
    n_rows: int
    others: pa.Table
    made: PredictionSet | None


@dataclass(frozen=True)
class Learnt:
    """A stored model that learnt from erased rows; `n_rows` of them are in its smoke or reference rows."""

    release_id: str
    users: tuple[str, ...]
    n_rows: int


@dataclass(frozen=True)
class Holdings:
    """Everything of a model that holds a person."""

    features: tuple[Hit, ...]
    labels: tuple[Hit, ...]
    files: tuple[FileHit, ...]
    snapshots: tuple[Manifest, ...]
    """Those that name one of the chunks, of any model."""
    learnt: tuple[Learnt, ...]


def find(workspace: Workspace, spec: FrozenSpec, whose: Whose) -> Holdings:
    """Look through everything of a model; nothing is changed.

    Raises
    ------
    RequestError
        When no chunk has the columns.
    Damaged
        When an object is not what was stored: what it holds is not known.
    """
    there = items.inventory(workspace.store)
    manifests = _manifests(workspace, there)
    parts = [c for c in _chunks_of(workspace, spec, manifests) if chunks.key_of(c.id) in there]
    features = _hits(workspace, (c for c in parts if c.kind == "features"), spec, whose, set())
    rows = {texts for hit in features for texts in erasure.texts_of(hit.own, spec.spec.data.keys)}
    labels = _hits(workspace, (c for c in parts if c.kind == "labels"), spec, whose, rows)
    files = tuple(_files(workspace, spec, whose, there, rows))
    hit = {h.chunk.id for h in (*features, *labels)}
    naming = tuple(m for m in manifests if any(c.id in hit for c in (*m.features, *m.labels)))
    return Holdings(features, labels, files, naming, tuple(_learnt(workspace, spec, there, manifests, features, whose)))


def _manifests(workspace: Workspace, there: Iterable[str]) -> list[Manifest]:
    keys = [key for key in there if key.startswith("snapshots/") and key.endswith(".json")]
    found = items.manifests(workspace.store, keys)
    broken = [key for key, manifest in found.items() if not isinstance(manifest, Manifest)]
    if broken:
        raise Damaged(
            f"{shown(broken)}: a manifest is damaged, so what it names may hold the person unseen. Nothing was erased. "
            "`check --store` says what to do."
        )
    return [manifest for manifest in found.values() if isinstance(manifest, Manifest)]


def _chunks_of(workspace: Workspace, spec: FrozenSpec, manifests: Iterable[Manifest]) -> list[Chunk]:
    """Return the chunks that a model's manifests or its sources' readings name, each once."""
    froze = workspace.ledger.snapshots_of(spec.model)
    early = [m.first for m in manifests if m.first is not None and m.first.model == spec.model]
    mine = [m for m in manifests if m.id in froze or m.first in early]
    sources = {source for source, model in workspace.ledger.sources_read() if model == spec.model}
    sources |= {needs.source_id(workspace, spec), *(first.source_id for first in early)}
    found = {c.id: c for m in mine for c in (*m.features, *m.labels)}
    for reading in workspace.ledger.every_reading():
        if reading.source_id in sources:
            found.update({c.id: c for c in reading.chunks})
    cleaned = replacements(workspace.ledger, found)
    found.update({c.id: c for c in cleaned.values() if c is not None})
    return sorted(found.values(), key=lambda c: (c.start, c.kind, c.id))


def _hits(
    workspace: Workspace,
    parts: Iterable[Chunk],
    spec: FrozenSpec,
    whose: Whose,
    rows: set[tuple[erasure.Text, ...]],
) -> tuple[Hit, ...]:
    def look(chunk: Chunk) -> tuple[list[str], Hit | None]:
        table = chunks.read(workspace.store, chunk)
        mask = _mask(table, spec, whose, rows)
        if not any(mask):
            return table.column_names, None
        others = chunks.normalise(table.filter(pa.array([not own for own in mask])), spec.spec.data.keys)
        return table.column_names, Hit(chunk, others, table.filter(pa.array(mask)))

    found = list(items.all_at_once(look, parts))
    known = {name for names, _ in found for name in names}
    missing = set(whose.columns) - known
    if found and missing and not rows:
        raise RequestError(f"no stored rows have a column {shown(missing)}. They have: {shown(known, limit=30)}.")
    return tuple(hit for _, hit in found if hit is not None)


def _mask(table: pa.Table, spec: FrozenSpec, whose: Whose, rows: set[tuple[erasure.Text, ...]]) -> list[bool]:
    """Tell which rows are the person's: by their own columns, and by the keys of the rows that are known to be."""
    mask = whose.among(table) or [False] * table.num_rows
    key = spec.spec.data.keys
    if rows and set(key) <= set(table.column_names):
        mask = [own or texts in rows for own, texts in zip(mask, erasure.texts_of(table, key), strict=True)]
    return mask


def _files(
    workspace: Workspace,
    spec: FrozenSpec,
    whose: Whose,
    there: Mapping[str, Entry],
    rows: set[tuple[erasure.Text, ...]],
) -> Iterator[FileHit]:
    published = {made.key: made for made in workspace.ledger.all_predictions(spec.model)}
    folders = (f"predictions/{spec.model}/", f"{FLIPS}{spec.model}/", "quarantine/")
    keys = [k for k in there if k.startswith(folders) and k.endswith(".parquet")]
    keys = [k for k in keys if not k.startswith("quarantine/") or spec.model in k.split("/")]
    for key, data in zip(keys, items.all_at_once(workspace.store.read, keys), strict=True):
        made = published.get(key)
        if made is not None and sha256(data) != made.file_sha256:
            raise Damaged(f"{key}: was altered or truncated. Nothing was erased. `check --store` says what to do.")
        table = parquet.from_bytes(data)
        mask = _mask(table, spec, whose, rows)
        if any(mask):
            yield FileHit(key, sum(mask), table.filter(pa.array([not own for own in mask])), made)


# --- models that learnt from the rows -----------------------------------------------------------------------------


def _learnt(
    workspace: Workspace,
    spec: FrozenSpec,
    there: Mapping[str, Entry],
    manifests: Iterable[Manifest],
    features: tuple[Hit, ...],
    whose: Whose,
) -> Iterator[Learnt]:
    """Find the stored models whose snapshot names a chunk with the rows; models are never altered."""
    hit = {h.chunk.id for h in features}
    affected = {m.id for m in manifests if hit & {c.id for c in m.features}}
    users = items.users(workspace.ledger)
    for key in sorted(k for k in there if k.startswith("releases/") and k.endswith("/meta.json")):
        identity = items.identity_of(items.item_of(key))
        files = stored.read_files(workspace.store, identity)
        card = stored.card_of(files)
        if card.model == spec.model and card.snapshot_id in affected:
            n_rows = _sampled(files, features, whose)
            yield Learnt(identity, tuple(users.get(items.release_key(identity), ())), n_rows)


def _sampled(files: Mapping[str, bytes], features: tuple[Hit, ...], whose: Whose) -> int:
    """Count the person's rows among a model's smoke and reference rows; without key columns by all their values."""
    n_rows = 0
    for name in ("smoke.parquet", "reference.parquet"):
        if name in files:
            table = parquet.from_bytes(files[name])
            mask = whose.among(table)
            n_rows += sum(mask if mask is not None else _same_rows(table, features))
    return n_rows


def _same_rows(table: pa.Table, features: tuple[Hit, ...]) -> list[bool]:
    shared = sorted(set(table.column_names).intersection(*(hit.own.column_names for hit in features)))
    own = {texts for hit in features for texts in erasure.texts_of(hit.own, shared)}
    return [texts in own for texts in erasure.texts_of(table, shared)]


def newest_spec(workspace: Workspace, model: str) -> FrozenSpec:
    """Return a model's YAML, or where it is gone the newest spec that was frozen.

    Raises
    ------
    RequestError
        When neither is there.
    """
    found = needs.newest_spec(workspace, model)
    if found is None:
        raise RequestError(f"there is no model {model}, neither a YAML nor a frozen spec of it. `status` lists them.")
    return found
