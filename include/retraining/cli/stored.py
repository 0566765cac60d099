"""How the care of the store is shown to people: what is damaged, what is freed, what was erased."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Sized
from typing import TYPE_CHECKING

from retraining.care.retention import Plan, Sweep
from retraining.care.verify import Verification
from retraining.cli.output import console, print_table
from retraining.errors import shown
from retraining.records import short

if TYPE_CHECKING:
    from retraining.care.erase import Erasure
    from retraining.care.sealed import SealCheck

_SHOWN_USERS = 4
"""Who needs an object, at most: the live champion comes first, and it is what matters."""

_SHOWN_ROWS = 20
"""Rows that a table of findings names: who looks further takes `--json`."""


def n_bytes(count: int) -> str:
    """Write a size for people.

    >>> n_bytes(1_260_000)
    '1.3 MB'
    """
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def print_verification(found: Verification) -> None:
    """Print what is wrong with a store, the damage first, then what to do and a sentence that sums it up.

    Erased chunks are no damage and nobody's work, so they are a line together; `--json` names each.
    """
    erased = [p for p in found.problems if p.kind == "erased"]
    others = [p for p in found.problems if p.kind != "erased"]
    if others:
        rows = [("note" if p.harmless else "damage", p.kind, p.key, p.problem, _capped(p.needed_by)) for p in others]
        print_table("Object store", ("", "what", "key", "problem", "needed by"), rows)
        for kind, advice in dict.fromkeys((p.kind, p.advice) for p in others):
            console.print(f"{kind}: {advice}", markup=False)
    if erased:
        snapshots = {who for p in erased for who in p.needed_by if who.startswith("snapshot ")}
        text = f"{_count(erased, 'chunk')} erased on purpose, so that {_count(snapshots, 'snapshot')} cannot be rebuilt"
        console.print(f"{text}; erased/ says why, and --json which", markup=False)
    harmless = len(others) - len(found.damage)
    notes = f", {harmless} harmless" if harmless else ""
    total = f"{found.n_objects:,} objects, {n_bytes(found.n_bytes)}"
    console.print(f"{total}: {len(found.damage) or 'none'} damaged or missing{notes}", markup=False)


def _count(things: Sized, name: str) -> str:
    return _count_of(len(things), name)


def _count_of(count: int, name: str) -> str:
    return f"{count:,} {name}" + ("" if count == 1 else "s")


def print_seals(found: SealCheck) -> None:
    """Print what is not as it was sealed, what to do, and a sentence that sums it up."""
    if found.findings:
        rows = [(f.what, f.table, f.key, f.row or None, f.seal) for f in found.findings[:_SHOWN_ROWS]]
        print_table("Ledger", ("", "table", "key", "row", "seal"), rows)
        if len(found.findings) > _SHOWN_ROWS:
            console.print(f"and {len(found.findings) - _SHOWN_ROWS:,} more; --json names each", markup=False)
        for advice in dict.fromkeys(f.advice for f in found.findings):
            console.print(advice, markup=False)
    for note in found.notes:
        console.print(f"note: {note}", markup=False)
    if not found.sealed_at:
        console.print("the ledger was never sealed: housekeeping does it daily, `ledger seal` now", markup=False)
        return
    until = (
        f"{_count_of(found.n_seals, 'seal')} until {found.sealed_at:%Y-%m-%d %H:%M} UTC, digest {short(found.digest)}"
    )
    wrong = ", ".join(f"{n:,} {what}" for what, n in found.counts.items()) or f"{len(found.findings) or 'none'} altered"
    text = f"{found.n_rows:,} rows under {until}: {wrong}; {found.n_unsealed:,} rows are not sealed yet"
    console.print(text, markup=False)


def print_plan(made: Plan) -> None:
    """Print what a sweep would free, object by object, and a sentence that sums it up."""
    if made.free:
        rows = [(c.key, n_bytes(c.n_bytes), c.why) for c in made.free]
        print_table("Nothing needs any more", ("key", "size", "why"), rows)
    kinds = Counter(c.key.partition("/")[0] for c in made.free)
    _print_freed("would free", len(made.free), made.bytes_freed, dict(kinds))
    if made.n_young:
        console.print(f"{made.n_young} objects that nothing needs are younger than a day and stay", markup=False)
    if made.held:
        console.print(made.held, markup=False)


def print_sweep(done: Sweep, held: str | None) -> None:
    """Print what a sweep freed."""
    _print_freed("freed", done.n_objects, done.n_bytes, done.by_kind)
    if held:
        console.print(held, markup=False)


def _print_freed(verb: str, n_objects: int, size: int, kinds: dict[str, int]) -> None:
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    text = f"{n_objects:,} objects, {n_bytes(size)} ({parts})" if n_objects else "nothing: everything is needed"
    console.print(f"{verb} {text}", markup=False)


def print_erasure(done: Erasure, command: str) -> None:
    """Print which objects held the rows, what cannot be rebuilt any more, and who still knows of them.

    Parameters
    ----------
    command
        What was typed after the model's name: how the same person is erased from another model.
    """
    if done.objects:
        rows = [(o.what, o.key, o.n_rows) for o in done.objects]
        print_table("Holds the rows" if done.dry_run else "Held the rows", ("what", "key", "rows"), rows)
    verb = "would be erased from" if done.dry_run else "erased from"
    console.print(f"{verb} {len(done.objects) or 'no'} stored objects of {', '.join(done.models)}", markup=False)
    if done.snapshots:
        names = shown(short(identity) for identity in done.snapshots)
        console.print(f"{len(done.snapshots)} snapshots can no longer be rebuilt: {names}", markup=False)
    console.print(
        f"dropped whenever they are read again by: {', '.join(done.models)}, and any new model of the same source",
        markup=False,
    )
    _print_learnt(done)
    for model in done.elsewhere:
        text = f"{model} has rows with such a key, and shares none of them; if it is the same person, run"
        console.print(f"{text}: python -m retraining erase {model} {command}", markup=False)


def _print_learnt(done: Erasure) -> None:
    for one in done.learnt:
        who = _capped(one.users) if one.users else f"a candidate of {one.model}"
        samples = f"; {one.n_rows} of them are among its sample rows" if one.n_rows else ""
        console.print(f"model {short(one.release_id)} ({who}) learnt from the rows{samples}", markup=False)
    if not done.learnt:
        return
    retrain = ", ".join(
        f"python -m retraining run {name} --as-of TIME" for name in sorted({one.model for one in done.learnt})
    )
    console.print(
        f"Models are not altered. Retrain: {retrain}; housekeeping frees these once nothing needs them. "
        "The source, MLflow and what left the store are yours to clean.",
        markup=False,
    )


def _capped(names: Sequence[str]) -> str:
    """Name the first few, in their order: the most important come first."""
    rest = len(names) - _SHOWN_USERS
    return (", ".join(names[:_SHOWN_USERS]) or "nothing") + (f" and {rest} more" if rest > 0 else "")
