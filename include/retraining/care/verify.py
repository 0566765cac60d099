"""Verify: is everything there that somebody needs, and is everything that is there what was stored?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import pyarrow as pa

from retraining.care import items
from retraining.care.items import Broken
from retraining.data import chunks, parquet
from retraining.data.readings import in_force
from retraining.errors import Damaged, shown
from retraining.evaluation.finalist import FINALISTS, parse
from retraining.records import Chunk, Manifest, PredictionSet, digest_of, short
from retraining.store import Entry, Store, sha256
from retraining.workspace import Workspace

Kind = Literal["chunk", "erased", "snapshot", "spec", "release", "candidate", "predictions", "report", "leftover"]
_KINDS: dict[str, Kind] = {
    "snapshots": "snapshot",
    "specs": "spec",
    "releases": "release",
    "candidates": "candidate",
    "predictions": "predictions",
    "reports": "report",
}
_BACKUP = "Restore it from a backup of the store."
_ADVICE: dict[str, str] = {
    "chunk": f"{_BACKUP} Without one, those snapshots cannot be loaded.",
    "erased": "On purpose: erased/ says by its id why. Those snapshots cannot be rebuilt any more.",
    "snapshot": f"{_BACKUP} Without one, what was learnt from it cannot be made again.",
    "spec": f"{_BACKUP} Without one, its runs can be neither finished nor repeated.",
    "release": f"{_BACKUP} Without one, roll back or retrain if it is live.",
    "candidate": f"{_BACKUP} Without one, its choice cannot be shown again; models and verdicts lack nothing.",
    "predictions": f"{_BACKUP} Without one, the monitor cannot measure that day.",
    "report": f"{_BACKUP} Without one, its verdict's page has no curves; the verdict itself is in the ledger.",
    "leftover": "Harmless: a writer was killed. Delete it, or leave it to housekeeping.",
}


@dataclass(frozen=True)
class Problem:
    """Something that is not as it was stored; `harmless` where nothing that somebody needs is lost by accident."""

    kind: Kind
    key: str
    problem: str
    needed_by: tuple[str, ...]
    advice: str
    harmless: bool


@dataclass(frozen=True)
class Verification:
    """What was looked at, and everything that was found."""

    n_objects: int
    n_bytes: int
    problems: tuple[Problem, ...]

    @property
    def damage(self) -> tuple[Problem, ...]:
        """The problems that need a person."""
        return tuple(p for p in self.problems if not p.harmless)


@dataclass
class _Expected:
    """A chunk as manifests and readings name it: who names it, by the digest of its file."""

    n_bytes: dict[str, int] = field(default_factory=dict)
    named_by: dict[str, list[str]] = field(default_factory=dict)

    def add(self, chunk: Chunk, who: str) -> None:
        self.n_bytes[chunk.file_sha256] = chunk.n_bytes
        self.named_by.setdefault(chunk.file_sha256, []).append(who)


def verify(workspace: Workspace, *, deep: bool = False) -> Verification:
    """Read every object and compare it with its digest; find what is named somewhere and not there.

    Parameters
    ----------
    deep
        Also compute every chunk's content id from its rows again, which takes some ten times longer.
    """
    store, ledger = workspace.store, workspace.ledger
    there = items.inventory(store)
    users = items.users(ledger)
    wanted = items.not_freed(ledger, users)
    manifests = items.manifests(store, (k for k in there if items.is_manifest(k)))
    found = [
        *_snapshots(manifests),
        *_chunks(store, there, _expected(workspace, manifests, users), _erasures(store), deep=deep),
        *_specs(store, there),
        *_releases(store, there, wanted),
        *_tried(store, there),
        *_predictions(workspace, there),
        *_finalists(store, there),
        *_missing(there, wanted),
        *(_problem("leftover", key, "was never finished", harmless=True) for key in there if _is_leftover(key)),
    ]
    named = [_with_users(p, users) for p in found]
    ordered = sorted(named, key=lambda p: (p.harmless, p.kind, p.key, p.problem))
    return Verification(len(there), sum(e.n_bytes for e in there.values()), tuple(ordered))


def _problem(
    kind: Kind, key: str, text: str, needed_by: Iterable[str] = (), *, harmless: bool = False, advice: str = ""
) -> Problem:
    return Problem(kind, key, text, tuple(needed_by), advice or _ADVICE[kind], harmless)


def _with_users(problem: Problem, users: Mapping[str, list[str]]) -> Problem:
    known = users.get(items.item_of(problem.key), [])
    if not known:
        return problem
    needed = tuple(dict.fromkeys((*problem.needed_by, *known)))
    return _problem(
        problem.kind, problem.key, problem.problem, needed, harmless=problem.harmless, advice=problem.advice
    )


def _is_leftover(key: str) -> bool:
    return key.endswith(items.LEFTOVER)


# --- snapshots and chunks -----------------------------------------------------------------------------------------


def _snapshots(manifests: Mapping[str, Manifest | Broken]) -> Iterator[Problem]:
    for key, manifest in manifests.items():
        if isinstance(manifest, Broken):
            yield _problem("snapshot", key, manifest.problem)


def _expected(
    workspace: Workspace, manifests: Mapping[str, Manifest | Broken], users: Mapping[str, list[str]]
) -> dict[str, _Expected]:
    """Return every chunk that a manifest or a reading in force names, by id."""
    found: dict[str, _Expected] = {}
    known = workspace.ledger.models_by_snapshot()
    for key, manifest in manifests.items():
        if isinstance(manifest, Manifest):
            of = shown(known.get(manifest.id) or [manifest.first.model if manifest.first else "nobody"])
            who = (f"snapshot {short(manifest.id)} of {of}", *users.get(key, []))
            for chunk in (*manifest.features, *manifest.labels):
                for name in who:
                    found.setdefault(chunk.id, _Expected()).add(chunk, name)
    for _, readings in in_force(workspace.ledger):
        for chunk in (c for reading in readings.values() for c in reading.chunks):
            found.setdefault(chunk.id, _Expected()).add(chunk, "the next runs that read its day")
    return found


def _erasures(store: Store) -> dict[str, str]:
    """Return the date of erasure of every erased chunk."""
    keys = [e.key for e in store.listing(chunks.ERASED) if e.key.endswith(".json")]
    stones = items.all_at_once(store.read_json, keys)
    return {items.identity_of(key): str(stone["erased_at"])[:10] for key, stone in zip(keys, stones, strict=True)}


def _chunks(
    store: Store,
    there: Mapping[str, Entry],
    expected: Mapping[str, _Expected],
    erased: Mapping[str, str],
    *,
    deep: bool,
) -> Iterator[Problem]:
    stray = {k for k in there if k.startswith("chunks/") and not _is_leftover(k)}
    stray -= {chunks.key_of(identity) for identity in expected}
    known = dict(expected) | {items.identity_of(key): _Expected() for key in stray}
    for identity in sorted(set(known) - {items.identity_of(k) for k in there if k.startswith("chunks/")}):
        yield _gone(identity, known[identity], erased)
    present = [(identity, there.get(chunks.key_of(identity))) for identity in sorted(known)]
    listed = [(identity, entry, known[identity]) for identity, entry in present if entry is not None]

    def look(one: tuple[str, Entry, _Expected]) -> list[Problem]:
        return list(_chunk(store, *one, deep=deep))

    for problems in items.all_at_once(look, listed):
        yield from problems


def _gone(identity: str, expected: _Expected, erased: Mapping[str, str]) -> Problem:
    key = chunks.key_of(identity)
    who = [name for names in expected.named_by.values() for name in names]
    if identity in erased:
        return _problem("erased", key, f"erased on {erased[identity]}", who, harmless=True)
    return _problem("chunk", key, "missing", who)


def _chunk(store: Store, identity: str, entry: Entry, expected: _Expected, *, deep: bool) -> Iterator[Problem]:
    """Compare a chunk's file with each digest it is known by; of an unknown one, or deep, the rows with the id."""
    data = store.read(entry.key)
    digest = sha256(data)
    wrong = {d: who for d, who in expected.named_by.items() if d != digest}
    same_rows = True
    if deep or wrong or not expected.named_by:
        same_rows = _content_id(data) == identity
    if not same_rows:
        sizes = [n for n in expected.n_bytes.values() if n > entry.n_bytes]
        text = f"truncated: {entry.n_bytes:,} of {sizes[0]:,} bytes" if sizes else "altered: its rows are others"
        yield _problem("chunk", entry.key, text, (name for who in expected.named_by.values() for name in who))
    elif wrong:
        text = "the same rows in another file than the one that is named"
        yield _problem("chunk", entry.key, text, (name for who in wrong.values() for name in who))


def _content_id(data: bytes) -> str | None:
    try:
        return chunks.content_id(parquet.from_bytes(data))
    except (pa.ArrowException, OSError):  # a broken file; Arrow says so in several ways
        return None


# --- everything else ----------------------------------------------------------------------------------------------


def _missing(there: Mapping[str, Entry], wanted: set[str]) -> Iterator[Problem]:
    present = {items.item_of(key) for key in there if not _is_leftover(key)}
    for item in sorted(wanted - present):
        yield _problem(_KINDS[item.partition("/")[0]], item, "missing")


def _specs(store: Store, there: Mapping[str, Entry]) -> Iterator[Problem]:
    keys = [k for k in there if k.startswith("specs/") and k.endswith(".json")]
    for key, data in zip(keys, items.all_at_once(store.read, keys), strict=True):
        try:
            whole = digest_of(json.loads(data)) == items.identity_of(key)
        except ValueError:
            whole = False
        if not whole:
            yield _problem("spec", key, "was altered: what it says does not make up its id")


def _finalists(store: Store, there: Mapping[str, Entry]) -> Iterator[Problem]:
    keys = [k for k in there if k.startswith(FINALISTS) and k.endswith(".json")]
    for key, data in zip(keys, items.all_at_once(store.read, keys), strict=True):
        try:
            parse(data, key)
        except Damaged:
            yield _problem("report", key, "was altered or truncated")


def _releases(store: Store, there: Mapping[str, Entry], wanted: set[str]) -> Iterator[Problem]:
    folders = sorted({items.item_of(k) for k in there if k.startswith("releases/") and not _is_leftover(k)})
    whole = [folder for folder in folders if f"{folder}/manifest.json" in there]
    for folder in sorted(set(folders) - set(whole)):
        if folder in wanted:
            yield _problem("release", folder, "manifest.json is missing")
        else:
            yield _problem("leftover", folder, "a model without manifest.json: never finished", harmless=True)
    yield from (p for p in items.all_at_once(partial(_release, store), whole) if p is not None)


def _release(store: Store, folder: str) -> Problem | None:
    from retraining.artifacts import stored  # takes seconds to import, and a store without releases does not need it

    try:
        stored.read_files(store, items.identity_of(folder))
    except (Damaged, ValueError) as error:
        return _problem("release", folder, _first_sentence(error))
    return None


def _tried(store: Store, there: Mapping[str, Entry]) -> Iterator[Problem]:
    keys = [k for k in there if k.startswith("candidates/") and not _is_leftover(k)]
    for key, data in zip(keys, items.all_at_once(store.read, keys), strict=True):
        if sha256(data) != items.identity_of(key):
            yield _problem("candidate", key, "was altered or truncated")


def _first_sentence(error: Exception) -> str:
    text = str(error).partition(": ")[2] or str(error)
    return text.split(". ")[0].rstrip(".")


def _predictions(workspace: Workspace, there: Mapping[str, Entry]) -> Iterator[Problem]:
    ledger, store = workspace.ledger, workspace.store
    sets = [p for model in ledger.known_models() for p in ledger.all_predictions(model) if p.key in there]

    def whole(made: PredictionSet) -> bool:
        return sha256(store.read(made.key)) == made.file_sha256

    for made, good in zip(sets, items.all_at_once(whole, sets), strict=True):
        if not good:
            yield _problem("predictions", made.key, "was altered or truncated")
