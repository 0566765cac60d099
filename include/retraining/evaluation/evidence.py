"""What a run can prove beside its metrics: its data passed validation, and its environment is the locked one."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from retraining.artifacts.environment import lock_differences, unpinned
from retraining.errors import shown
from retraining.ledger import Ledger
from retraining.records import Evidence, Validation, from_dict, short
from retraining.validation.validate import STAGE


def validated(ledger: Ledger, model: str, snapshots: Collection[str]) -> Evidence:
    """Tell whether each of some snapshots is what a validation accepted, without a blocking problem."""
    bodies = [b for b in ledger.finished_all(model, STAGE).values() if b["accepted_id"] in snapshots]
    found = [from_dict(Validation, body) for body in bodies]
    clean = {v.accepted_id: v for v in found if not v.blocking}
    missing = sorted(set(snapshots) - clean.keys())
    if missing:
        return Evidence(False, f"snapshot {', '.join(map(short, missing))} did not pass validation")
    n_checks = max((v.n_checks for v in clean.values()), default=0)
    aside = sum(v.n_aside for v in clean.values())
    return Evidence(True, f"{n_checks} checks passed, {aside:,} rows set aside")


def locked(lock: Path | None) -> Evidence | None:
    """Compare what is installed with a lock file, which must pin what models compute with to one version each.

    None when there is no file to compare with.
    """
    if lock is None:
        return None
    differences, loose = lock_differences(lock), unpinned(lock)
    wrong = []
    if differences:
        wrong.append(f"{len(differences)} packages are not as {lock.name} says: {shown(differences)}")
    if loose:
        wrong.append(f"{lock.name} pins no exact version of {shown(loose)}: write it with `make lock` or pip freeze")
    return Evidence(False, "; ".join(wrong)) if wrong else Evidence(True, f"every package is as {lock.name} says")
