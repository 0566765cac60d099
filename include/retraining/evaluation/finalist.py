"""The finalist's figures as they are stored, once per evaluation: pictures, importance, dependence and flipped rows.

Two objects: a JSON document without any row of the data, and a Parquet file with the few flipped rows, so that a person
can be erased from it like from every other table.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from pydantic import ValidationError

from retraining.data import parquet
from retraining.errors import Damaged
from retraining.ledger import Ledger
from retraining.records import Evaluation, Trained, Verdict, digest_of, from_dict, shown_value, to_dict
from retraining.spec.data import OUR_FLIPS
from retraining.store import Store

NO_CANDIDATE = "none"
"""Stands for the ids of a candidate and its recipe in an evaluation for which none was tried."""
FINALISTS, FLIPS = "reports/finalists/", "reports/flips/"


@dataclass(frozen=True)
class Drawing:
    """A picture as SVG, with its title and what it shows in words."""

    name: str
    title: str
    alt: str
    svg: str


@dataclass(frozen=True)
class Finalist:
    """What is shown of a candidate that was judged.

    `importance` has each column's share (0 to 1), the most important first. `flip_share` is the share of holdout rows
    whose prediction changed its meaning between champion and candidate, None without a champion. `n_drawn` of `n_rows`
    holdout rows, spread evenly, were drawn. `notes` say what could not be shown, and why.
    """

    key: str
    model: str
    n_rows: int
    n_drawn: int
    drawings: tuple[Drawing, ...]
    importance: tuple[tuple[str, float], ...]
    dependence: Drawing | None
    flip_share: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Flip:
    """A row whose prediction flipped: its key by column, what champion and candidate say, and what came true."""

    key: tuple[tuple[str, str], ...]
    before: str
    after: str
    truth: str


def work_key(
    candidate_id: str,
    champion: int | None,
    holdout_id: str,
    spec_id: str,
    as_of: datetime,
    instead_of: str | None = None,
) -> str:
    """Return the key of an evaluation's work: of all that goes into it.

    What is judged in place of a replacement may be the very candidate of it, where only its rows were changed: asked
    another question, it is other work.
    """
    place = [] if instead_of is None else [instead_of]
    return digest_of(["evaluate", candidate_id, champion, holdout_id, spec_id, as_of.isoformat(), *place])


def candidate_of(ledger: Ledger, verdict: Verdict) -> Trained | None:
    """Return the candidate that a verdict is about, as it was trained first; None where the ledger does not have it."""
    known = ledger.recorded(Trained, verdict.model, "train").values()
    return next((t for t in known if t.artifact_id == verdict.evaluation.candidate_id), None)


def evaluation_key(e: Evaluation) -> str:
    """Return the key of the work that made an evaluation."""
    key = work_key(e.candidate_id, e.champion_sequence, e.holdout_id, e.spec_id, e.as_of, e.instead_of)
    return key if e.incomparable is None else digest_of([key, e.incomparable])


def document_key(e: Evaluation) -> str:
    """Return where an evaluation's document is in the store."""
    return f"{FINALISTS}{e.model}/{evaluation_key(e)}.json"


def flips_key(e: Evaluation) -> str:
    """Return where an evaluation's flipped rows are in the store, until a person is erased from them."""
    return f"{FLIPS}{e.model}/{evaluation_key(e)}.parquet"


def has_document(e: Evaluation) -> bool:
    """Tell whether an evaluation came to figures, so that there must be a document."""
    return e.candidate is not None


def keep(store: Store, e: Evaluation, made: Finalist, flipped: pa.Table | None) -> None:
    """Write both objects, once; the document last, with its digest."""
    if flipped is not None:
        store.write_once(flips_key(e), parquet.to_bytes(flipped))
    body = to_dict(made)
    store.write_json_once(document_key(e), {"digest": digest_of(body), "finalist": body})


def read(store: Store, e: Evaluation) -> Finalist:
    """Return the figures of an evaluation that came to some.

    Raises
    ------
    Damaged
        When the document is missing, or is not what was stored.
    """
    key = document_key(e)
    return parse(store.read(key), f"store {store.url}: {key}")


def parse(data: bytes, where: str) -> Finalist:
    """Read a document, compared with its digest.

    Raises
    ------
    Damaged
        When it is not what was stored.
    """
    try:
        document = json.loads(data)
        if digest_of(document["finalist"]) == document["digest"]:
            return from_dict(Finalist, document["finalist"])
    except (ValueError, KeyError, TypeError, ValidationError):  # cut, or not a document at all: told below
        pass
    raise Damaged(f"{where}: was altered or truncated. Restore it from a backup of the store.")


def flipped_rows(store: Store, e: Evaluation) -> tuple[Flip, ...]:
    """Return the flipped rows that are kept; of a person who was erased there is none.

    An erasure writes the other rows under a longer name, which sorts first, before it deletes the file.
    """
    kept = store.starting_with(flips_key(e).removesuffix(".parquet"))
    if not kept:
        return ()
    rows = parquet.from_bytes(store.read(kept[0])).to_pylist()
    return tuple(
        Flip(
            tuple((n, shown_value(v)) for n, v in row.items() if n not in OUR_FLIPS), *(str(row[n]) for n in OUR_FLIPS)
        )
        for row in rows
    )
