"""Seal: a digest over what was added to the ledger, chained to the seal before, kept in ledger and object store.

The ledger holds the chain and a digest per table; the store holds, under the same digest, the digest of every row, so
that a row can be named. Rows are only ever added, also by housekeeping and by an erasure (which adds digests of keys
and what stands in for chunks): no table and no column is left out. Only a migration rewrites; the first seal after one
is of everything, and says what the rows before it had become. A person can ask for one, after a restored backup say,
and their name and reason are sealed with it.

What this shows: a row that was rewritten, removed or slipped in after it was sealed, by whoever can write to the ledger
or to the store. What it does not: what happened to a row in the day before it was sealed; and whoever can write to both
can make a chain of their own. Against them keep a digest where they cannot write: housekeeping prints the newest in its
log, and it changes whenever anything before it does.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Any

from retraining.care.items import LEFTOVER
from retraining.errors import LedgerError
from retraining.ledger.seals import Seal, SealedRow, SealedTable, StoredSeal, digest_of_rows, sealed_columns
from retraining.records import from_dict, to_dict
from retraining.store import Store
from retraining.workspace import Workspace

FOLDER = "seals/"
Rows = dict[str, list[SealedRow]]


def seal_key(sequence: int, digest: str) -> str:
    """Return the store's key of a seal. Its digest stands in it, so that no other can be put in its place."""
    return f"{FOLDER}{sequence:06d}-{digest}.json.gz"


def sequence_of(key: str) -> int:
    """Return the place in the chain that a key of the store names; 0 for a key of something else."""
    number = key.removeprefix(FOLDER).partition("-")[0]
    return int(number) if number.isdigit() and not key.endswith(LEFTOVER) else 0


def seal(workspace: Workspace, anew: str = "") -> Seal | None:
    """Seal what was added since the last seal; None when nothing was, or another process is doing it.

    What a killed process left is completed first: a seal whose copy in the store is missing, if its rows are as sealed.

    Parameters
    ----------
    anew
        Who wants everything sealed anew, and why; empty seals what was added.

    Raises
    ------
    LedgerError
        When the newest seal was altered, or the store has seals that the ledger does not: chained to that, a new one
        would hide it.
    """
    now = datetime.now(UTC)  # when it happened, for the record; rows of other processes may still be on their way
    last, newest = _newest(workspace, strict=not anew)
    if last is not None and not anew:
        _complete(workspace, last)
    made, rows = _next(workspace, last, newest, now, anew)
    if not made.tables or not workspace.ledger.add_seal(made):
        return None
    write_copy(workspace.store, made, rows)
    return made


def seal_after_migration(workspace: Workspace) -> Seal | None:
    """Seal everything anew when a migration changed the schema since the last seal; None when there is no need."""
    last, _ = _newest(workspace, strict=True)
    return None if last is None or last.revision == workspace.ledger.schema() else seal(workspace)


def describe(made: Seal | None) -> str:
    """Say what was sealed."""
    if made is None:
        return "nothing was added to the ledger since it was sealed"
    n_rows = sum(table.n_rows for table in made.tables)
    return f"sealed {n_rows:,} rows as seal {made.sequence} ({made.why}), digest {made.digest}"


def write_copy(store: Store, made: Seal, rows: Rows) -> None:
    """Write the store's copy of a seal, with the digest of every row."""
    listed = {name: [[row.row, row.key, row.digest] for row in found] for name, found in rows.items()}
    document = json.dumps({"seal": to_dict(made), "rows": listed}, separators=(",", ":")).encode()
    store.write_once(seal_key(made.sequence, made.digest), gzip.compress(document, mtime=0))


def read_copy(data: bytes) -> tuple[Seal, Rows]:
    """Read what `write_copy` wrote.

    Raises
    ------
    ValueError, OSError, EOFError, KeyError, TypeError
        When it is something else.
    """
    document: dict[str, Any] = json.loads(gzip.decompress(data))
    listed = document["rows"].items()
    return from_dict(Seal, document["seal"]), {name: [SealedRow(*row) for row in rows] for name, rows in listed}


def parse(stored: StoredSeal) -> Seal | None:
    """Return a seal of the ledger; None when it is not what was sealed."""
    try:
        made = from_dict(Seal, stored.body)
    except ValueError:
        return None
    return made if (made.sequence, made.digest) == (stored.sequence, stored.digest) else None


def _newest(workspace: Workspace, *, strict: bool) -> tuple[Seal | None, int]:
    """Return the ledger's newest seal, and the newest place in the chain, which the store may know of alone."""
    there = max((sequence_of(e.key) for e in workspace.store.listing(FOLDER)), default=0)
    known = workspace.ledger.seals()  # read after the store: another process writes there last
    last = parse(known[-1]) if known else None
    here = known[-1].sequence if known else 0
    if strict and ((known and last is None) or there > here):
        what = f"ends at seal {here}, and the store at seal {there}" if there > here else f"has an altered seal {here}"
        raise LedgerError(
            f"the ledger {what}. Nothing was sealed. `check --ledger` names what is wrong; once that is settled, "
            "`ledger seal --anew --reason TEXT` seals what is there."
        )
    return last, max(here, there)


def _next(workspace: Workspace, last: Seal | None, newest: int, now: datetime, anew: str) -> tuple[Seal, Rows]:
    """Make the next seal of a chain, and the rows it is about."""
    revision = workspace.ledger.schema()
    whole = last is None or last.revision != revision or bool(anew)
    why, previous = ("what was added", last.digest) if last else ("the first seal", "")
    if whole and newest:
        from retraining.care.sealed import check_seals

        found = check_seals(workspace)
        head = anew or (f"the schema went from {last.revision} to {revision}" if last else "")
        became = ", ".join(f"{n:,} rows {what}" for what, n in found.counts.items()) or "no sealed row changed"
        why, previous = f"{head}: {became}", found.digest
    reached = {} if whole else upto_of(workspace.ledger.seals())
    tables, rows = _sealed_tables(workspace, reached, now, whole=whole)
    return Seal(newest + 1, previous, revision, whole, why, now, tables), rows


def _sealed_tables(
    workspace: Workspace, reached: dict[str, int], now: datetime, *, whole: bool
) -> tuple[tuple[SealedTable, ...], Rows]:
    settled = workspace.ledger.settled(now)
    found, rows = [], {}
    for name, columns in sealed_columns().items():
        after = None if whole else reached.get(name, 0)
        upto = settled[name] if after is None else max(settled[name], after)
        listed = [] if after == upto else list(workspace.ledger.row_digests(name, columns, after, upto))
        if listed or whole:
            digest, n_rows = digest_of_rows(listed)
            found.append(SealedTable(name, columns, after, upto, n_rows, digest))
            rows[name] = listed
    return tuple(found), rows


def upto_of(known: list[StoredSeal]) -> dict[str, int]:
    """Return up to which row each table is sealed."""
    return {table["name"]: table["upto"] for one in known for table in one.body["tables"]}


def _complete(workspace: Workspace, made: Seal) -> None:
    """Write the newest seal's copy if a process was killed before it did; never one that differs from the seal."""
    if workspace.store.exists(seal_key(made.sequence, made.digest)):
        return
    rows = {s.name: list(workspace.ledger.row_digests(s.name, s.columns, s.after, s.upto)) for s in made.tables}
    if all(digest_of_rows(rows[s.name])[0] == s.digest for s in made.tables):
        write_copy(workspace.store, made, rows)
