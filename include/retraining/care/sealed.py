"""Sealed: is the ledger what its seals say? Rows that were rewritten, removed or slipped in are named."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from retraining.care import items
from retraining.care.seal import FOLDER, Rows, parse, read_copy, sequence_of
from retraining.ledger.seals import Seal, SealedRow, SealedTable, StoredSeal, digest_of_rows
from retraining.workspace import Workspace

_BACKUP = "Compare the ledger with a backup, and ask who had access since {since:%Y-%m-%d %H:%M} UTC."
_OF_ROWS = ("rewritten", "removed", "slipped in")
_UNREADABLE = (ValueError, OSError, EOFError, KeyError, TypeError, zlib.error)
"""What reading a broken copy raises, and a row of the ledger that is no seal."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was sealed: a row of a table, or a seal itself (`table` is then `seals`)."""

    what: str
    table: str
    key: str
    row: int
    seal: int
    advice: str


@dataclass(frozen=True)
class SealCheck:
    """What was compared: seals, rows under them, rows that are not sealed yet; and everything that was found."""

    n_seals: int
    n_rows: int
    n_unsealed: int
    sealed_at: datetime | None
    digest: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows were rewritten, removed and slipped in."""
        found = Counter(f.what for f in self.findings)
        return {what: found[what] for what in _OF_ROWS if found[what]}


@dataclass
class _Chain:
    """The seals to go by, by their place: the store's copy where it is whole, else the ledger's."""

    seals: dict[int, Seal] = field(default_factory=dict)
    rows: dict[int, Rows] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def check_seals(workspace: Workspace) -> SealCheck:
    """Compare every row under a seal with it, and the seals in the ledger with those in the store.

    A table's rows are read once, and compared one by one only where their digest differs.
    """
    stored = workspace.ledger.seals()
    chain = _chain(stored, _copies(workspace))
    in_order = [chain.seals[sequence] for sequence in sorted(chain.seals)]
    whole = (place for place, one in enumerate(in_order) if one.whole and one.sequence in chain.rows)
    start = max(whole, default=0)  # not by the ledger's word alone: it would let who rewrites it seal that
    first = in_order[start].sequence if in_order else 0
    findings, n_rows = [one for one in chain.findings if one.seal >= first], 0
    n_links = len(findings)
    for one in in_order[start:]:
        for table in one.tables:
            n_rows += table.n_rows
            findings += _compared(workspace, one, table, chain.rows.get(one.sequence))
    reached = {table.name: table.upto for one in in_order for table in one.tables}
    last = in_order[-1] if in_order else None
    return SealCheck(
        len(in_order),
        n_rows,
        workspace.ledger.n_rows_above(reached),
        last.sealed_at if last else None,
        last.digest if last else "",
        tuple(sorted(findings, key=lambda f: (f.table != "seals", f.seal, f.table, f.row))),
        tuple(_notes(workspace, in_order, len(chain.findings) - n_links)),
    )


# --- the chain ----------------------------------------------------------------------------------------------------


def _copies(workspace: Workspace) -> dict[int, dict[str, tuple[Seal, Rows] | None]]:
    """Return the store's copies by place and digest; None stands for one that is not what its name says."""
    keys = [e.key for e in workspace.store.listing(FOLDER) if e.key.endswith(".json.gz")]
    found: dict[int, dict[str, tuple[Seal, Rows] | None]] = {}
    for key, data in zip(keys, items.all_at_once(workspace.store.read, keys), strict=True):
        sequence, digest = sequence_of(key), items.identity_of(key).partition("-")[2]
        if sequence:
            found.setdefault(sequence, {})[digest] = _whole_copy(data, sequence, digest)
    return found


def _whole_copy(data: bytes, sequence: int, digest: str) -> tuple[Seal, Rows] | None:
    try:
        made, rows = read_copy(data)
    except _UNREADABLE:
        return None
    same_rows = all(digest_of_rows(rows.get(table.name, []))[0] == table.digest for table in made.tables)
    return (made, rows) if (made.sequence, made.digest) == (sequence, digest) and same_rows else None


def _chain(stored: list[StoredSeal], copies: Mapping[int, Mapping[str, tuple[Seal, Rows] | None]]) -> _Chain:
    chain, own = _Chain(), {one.sequence: one for one in stored}
    for sequence in sorted(own.keys() | copies.keys()):
        there, in_store = own.get(sequence), copies.get(sequence, {})
        ledgers = parse(there) if there else None
        if there and ledgers is None:
            chain.findings.append(_of_seal(sequence, "altered in the ledger"))
        if there is None:
            chain.findings.append(_of_seal(sequence, "in the store, and no longer in the ledger"))
        elif there.digest not in in_store:
            what = "another one in the store than in the ledger" if in_store else "without its copy in the store"
            chain.findings.append(_of_seal(sequence, what))
        chain.findings += [
            _of_seal(sequence, "altered in the store") for digest, copy in in_store.items() if copy is None
        ]
        copy = in_store.get(there.digest) if there else None
        copy = copy or next((one for one in in_store.values() if one is not None), None)
        if copy is not None:
            chain.seals[sequence], chain.rows[sequence] = copy
        elif ledgers is not None:
            chain.seals[sequence] = ledgers
    chain.findings += _broken_links(chain.seals)
    return chain


def _broken_links(seals: Mapping[int, Seal]) -> Iterator[Finding]:
    for sequence in range(1, max(seals, default=0) + 1):
        before, one = seals.get(sequence - 1), seals.get(sequence)
        if one is None:
            yield _of_seal(sequence, "missing")
        elif one.previous != (before.digest if before else "") and (before or sequence == 1):
            yield _of_seal(sequence, "not chained to the one before it")


def _of_seal(sequence: int, what: str) -> Finding:
    advice = "The ledger or the store was replaced or altered: compare both with a backup, and with housekeeping's log."
    return Finding(what, "seals", f"seal {sequence}", 0, sequence, advice)


# --- rows ---------------------------------------------------------------------------------------------------------


def _compared(workspace: Workspace, one: Seal, table: SealedTable, rows: Rows | None) -> Iterator[Finding]:
    advice = _BACKUP.format(since=one.sealed_at)
    try:
        found = list(workspace.ledger.row_digests(table.name, table.columns, table.after, table.upto))
    except KeyError:
        yield Finding("not there any more", table.name, "the table or a column", 0, one.sequence, advice)
        return
    if digest_of_rows(found)[0] == table.digest:
        return
    if rows is None:
        text = f"{len(found):,} rows, {table.n_rows:,} when sealed; the store's copy could name them"
        yield Finding("rewritten", table.name, text, 0, one.sequence, advice)
        return
    yield from _differences(one.sequence, table.name, advice, rows.get(table.name, []), found)


def _differences(
    sequence: int, name: str, advice: str, sealed: list[SealedRow], found: list[SealedRow]
) -> Iterator[Finding]:
    then, now = {row.row: row for row in sealed}, {row.row: row for row in found}
    for number in sorted(then.keys() | now.keys()):
        before, after = then.get(number), now.get(number)
        if before is None and after is not None:
            yield Finding("slipped in", name, after.key, number, sequence, advice)
        elif after is None and before is not None:
            yield Finding("removed", name, before.key, number, sequence, advice)
        elif before is not None and after is not None and before.digest != after.digest:
            yield Finding("rewritten", name, before.key, number, sequence, advice)


def _notes(workspace: Workspace, in_order: list[Seal], n_earlier: int) -> Iterator[str]:
    for one in in_order[1:]:
        if one.whole:
            yield f"seal {one.sequence} of {one.sealed_at:%Y-%m-%d %H:%M} UTC is of everything anew: {one.why}"
    if n_earlier:
        yield f"{n_earlier} earlier seals were altered or missing when everything was sealed anew"
    schema = workspace.ledger.schema()
    if in_order and in_order[-1].revision != schema:
        yield (
            f"the schema went from {in_order[-1].revision} to {schema} since seal {in_order[-1].sequence}: "
            "`ledger upgrade` or housekeeping seals everything anew; until then what the migration rewrote shows here"
        )
