"""Admit: freeze what a retraining run will work with, or say why there is nothing to do."""

from __future__ import annotations

from datetime import datetime

from retraining.ledger.work import Stage
from retraining.pipeline.common import admissible
from retraining.pipeline.probation import last_look
from retraining.records import Admission, Request, digest_of, to_dict
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace


def admit(
    workspace: Workspace,
    frozen: FrozenSpec,
    *,
    as_of: datetime | None,
    fallback: datetime,
    trigger: str,
    reason: str,
    dry_run: bool,
    by: str | None = None,
) -> Admission:
    """Decide what a run is about. Its as-of time is the one given, else the newest open request's, else the fallback.

    A release that is on probation is looked at first: a verdict would see the same rows. If it is taken back, the run
    ends with that. A dry run changes nothing, so it does not look either.

    Parameters
    ----------
    trigger
        `schedule`, `request` (the monitor's wake-up) or `person`. A wake-up with no open request is skipped: it was
        doubled or late, and an earlier run has served it, or it was closed.
    by
        The account of who triggered the run, None when nobody did: `gate.four_eyes` asks for somebody else.

    Raises
    ------
    RequestError
        When the as-of time has not come yet, or the partition is not the champion's.
    """
    requests = workspace.ledger.open_requests(frozen.model)
    skip = None
    if trigger == "request" and not requests:
        skip = "no request is open: what woke this run was served by an earlier one, or closed"
    if as_of is None:
        as_of = requests[0].as_of if requests and trigger == "request" else fallback
    admissible(workspace, frozen, as_of)
    if frozen.spec.mode == "observe" and trigger != "person":
        skip = "mode is observe: only a person retrains this model"
    if skip is None and not dry_run:
        skip = last_look(workspace, frozen, as_of)
    champion = workspace.ledger.champion(frozen.model)
    admission = Admission(
        model=frozen.model,
        spec_id=workspace.freeze(frozen),
        as_of=as_of,
        trigger=trigger,
        reason=reason or _reason(requests) or f"started by {trigger}",
        dry_run=dry_run,
        champion=champion.sequence if champion else None,
        requests=tuple(r.id for r in requests if r.as_of <= as_of),
        skip=skip,
        by=by,
    )
    workspace.ledger.finish(frozen.model, *place(admission), admission)
    return admission


def place(admission: Admission) -> tuple[Stage, str]:
    """Return the stage and key under which the ledger holds an admission."""
    return "admission", digest_of(to_dict(admission))


def _reason(requests: list[Request]) -> str:
    return "; ".join(sorted({r.reason for r in requests}))
