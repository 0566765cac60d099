"""Where a person's rows are: in the chunks, predictions, quarantine and sample rows of all models that share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field

import pyarrow as pa

from retraining.care import items
from retraining.care.sharing import Everything
from retraining.data import chunks, erasure, parquet
from retraining.errors import Damaged, RequestError, shown
from retraining.evaluation.finalist import FLIPS
from retraining.records import Chunk, Manifest, PredictionSet
from retraining.spec import Spec
from retraining.store import sha256
from retraining.workspace import Workspace

_Rows = dict[tuple[str, ...], set[tuple[erasure.Text, ...]]]
"""Names of rows, by the columns that name them: models that share rows may name them differently."""


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
    """A chunk that holds the person, its other rows in canonical form, and the person's own.

    `target` is the column that its labels are counted by.
    """

    chunk: Chunk
    others: pa.Table
    own: pa.Table
    target: str


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
class Key:
    """By what a model recognises the person when it reads the rows again."""

    columns: tuple[str, ...]
    digests: frozenset[str]


@dataclass(frozen=True)
class Holdings:
    """Everything that holds a person, of a model and of those that share with it."""

    keys: Mapping[str, Key]
    """By model."""
    features: tuple[Hit, ...]
    labels: tuple[Hit, ...]
    files: tuple[FileHit, ...]
    snapshots: tuple[Manifest, ...]
    """Those that name one of the chunks, of any model."""


def find(workspace: Workspace, known: Everything, model: str, whose: Whose, gone: Set[str]) -> Holdings:
    """Look through everything of a model and of those that share with it; nothing is changed.

    Parameters
    ----------
    gone
        The chunks that this person was erased from before: an erasure that was killed is completed.

    Raises
    ------
    RequestError
        When no chunk of the model has the columns.
    Damaged
        When an object is not what was stored: what it holds is not known.
    """
    models = known.sharing_with(model)
    search = _Search(workspace, known, whose, tuple(sorted(models, key=lambda name: (name != model, name))))
    features, labels = search.features(), search.labels()
    chunk_ids = {hit.chunk.id for hit in (*features, *labels)}
    chunk_ids |= {identity for name in models for identity in gone if identity in known.parts.get(name, {})}
    naming = [m for m in known.manifests if any(c.id in chunk_ids for c in (*m.features, *m.labels))]
    files = [hit for name in search.models for hit in files_of(workspace, known, name, search.mask)]
    keys = {name: search.key_of(name) for name in sorted(models)}
    return Holdings(keys, features, labels, tuple(files), tuple(naming))


def may_hold(workspace: Workspace, known: Everything, model: str, whose: Whose) -> bool:
    """Tell whether a model that shares nothing has rows with such a key, or may have: what is damaged cannot be read.

    Its rows may still be another person's: the same number in another table.
    """
    parts = [c for c in known.parts.get(model, {}).values() if chunks.key_of(c.id) in known.there]

    def look(chunk: Chunk) -> bool:
        return any(whose.among(chunks.read(workspace.store, chunk)) or ())

    try:
        return any(items.all_at_once(look, parts)) or any(files_of(workspace, known, model, whose.among))
    except Damaged:
        return True


@dataclass
class _Search:
    """One look through the chunks of some models, the one that was asked about first."""

    workspace: Workspace
    known: Everything
    whose: Whose
    models: tuple[str, ...]
    rows: _Rows = field(default_factory=dict)
    """Names of the person's rows: filled by the features that have the columns of the key."""
    columns: dict[str, set[str]] = field(default_factory=dict)
    """By model, the columns of its features."""

    def features(self) -> tuple[Hit, ...]:
        """Return the chunks of features, those last that have the columns of the key: they lead to the others."""
        parts = self._parts("features")
        seen = list(self._look(parts))
        self._note_columns(seen)
        found = [hit for _, _, hit in seen if hit is not None]
        for keys in {self._spec(model).data.keys for model in self.models}:
            for hit in found:
                if set(keys) <= set(hit.own.column_names):
                    self.rows.setdefault(keys, set()).update(erasure.texts_of(hit.own, keys))
        wanted = set(self.whose.columns)
        lacking = [chunk for chunk, names, _ in seen if not wanted <= names]
        others = [hit for _, _, hit in self._look(lacking) if hit is not None] if self.rows else []
        return (*others, *found)

    def labels(self) -> tuple[Hit, ...]:
        """Return the chunks of labels, by the names of the person's rows."""
        return tuple(hit for _, _, hit in self._look(self._parts("labels")) if hit is not None)

    def mask(self, table: pa.Table) -> list[bool]:
        """Tell which rows are the person's: by their own columns, or by the names of the rows that are known to be."""
        mask = self.whose.among(table) or [False] * table.num_rows
        for keys, own in self.rows.items():
            if set(keys) <= set(table.column_names):
                mask = [hit or texts in own for hit, texts in zip(mask, erasure.texts_of(table, keys), strict=True)]
        return mask

    def key_of(self, model: str) -> Key:
        """Return by what a model recognises the person: by the names of the rows where it lacks the columns."""
        columns = self.columns.get(model, set())
        if not columns or set(self.whose.columns) <= columns:
            return Key(self.whose.columns, self.whose.digests)
        names = self._spec(model).data.keys
        texts = self.rows.get(names, set())
        order = sorted(names)
        by_place = [names.index(name) for name in order]
        found = (erasure.digest(self.whose.salt, order, [t[i] for i in by_place]) for t in texts)
        return Key(tuple(order), frozenset(found))

    def _spec(self, model: str) -> Spec:
        return self.known.specs[model].spec

    def _parts(self, kind: chunks.Kind) -> list[Chunk]:
        parts = {c.id: c for model in self.models for c in self.known.parts.get(model, {}).values() if c.kind == kind}
        there = [c for c in parts.values() if chunks.key_of(c.id) in self.known.there]
        return sorted(there, key=lambda c: (c.start, c.id))

    def _look(self, parts: Iterable[Chunk]) -> Iterator[tuple[Chunk, set[str], Hit | None]]:
        def look(chunk: Chunk) -> tuple[Chunk, set[str], Hit | None]:
            table = chunks.read(self.workspace.store, chunk)
            mask, names = self.mask(table), set(table.column_names)
            if not any(mask):
                return chunk, names, None
            data = self._spec(self._owners(chunk)[0]).data
            others = chunks.normalise(table.filter(pa.array([not own for own in mask])), data.keys)
            return chunk, names, Hit(chunk, others, table.filter(pa.array(mask)), data.target)

        return items.all_at_once(look, parts)

    def _owners(self, chunk: Chunk) -> list[str]:
        return [model for model in self.models if chunk.id in self.known.parts.get(model, {})]

    def _note_columns(self, seen: Iterable[tuple[Chunk, set[str], Hit | None]]) -> None:
        for chunk, names, _ in seen:
            for model in self._owners(chunk):
                self.columns.setdefault(model, set()).update(names)
        there = self.columns.get(self.models[0], set())
        missing = set(self.whose.columns) - there
        if there and missing:
            raise RequestError(
                f"{self.models[0]}: no stored rows have a column {shown(missing)}. They have: {shown(there, limit=30)}."
            )


def files_of(
    workspace: Workspace, known: Everything, model: str, mask: Callable[[pa.Table], list[bool] | None]
) -> Iterator[FileHit]:
    """Yield a model's files of predictions, quarantine and flipped rows in which a mask finds a row.

    Raises
    ------
    Damaged
        When published predictions are not what was stored.
    """
    published = {made.key: made for made in workspace.ledger.all_predictions(model)}
    folders = (f"predictions/{model}/", f"{FLIPS}{model}/", f"quarantine/{model}/")
    keys = [k for k in known.there if k.startswith(folders) and k.endswith(".parquet")]
    for key, data in zip(keys, items.all_at_once(workspace.store.read, keys), strict=True):
        made = published.get(key)
        if made is not None and sha256(data) != made.file_sha256:
            raise Damaged(f"{key}: was altered or truncated. Nothing was erased. `check --store` says what to do.")
        table = parquet.from_bytes(data)
        own = mask(table) or []
        if any(own):
            yield FileHit(key, sum(own), table.filter(pa.array([not one for one in own])), made)
