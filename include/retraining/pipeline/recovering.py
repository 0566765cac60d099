"""A recovery in a retraining: what learnt only the rows since a collapse competes, until it need not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from retraining.pipeline.common import champion_of
from retraining.records import Admission, Champion, Ingested, Trained, Verdict
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace

if TYPE_CHECKING:
    from retraining.train import Job


def job_of(workspace: Workspace, admission: Admission, ingested: Ingested) -> Job:
    """Return what is to be learnt; after a collapse also from what came after it alone."""
    from retraining import train as training
    from retraining.evaluation.recovery import recovers_since

    frozen, champion = workspace.frozen(admission.spec_id), champion_of(workspace, admission)
    since = recovers_since(workspace, frozen, ingested.train.window, admission.as_of, champion)
    return training.Job(workspace, frozen, ingested.train, since)


def to_be_judged(
    workspace: Workspace,
    frozen: FrozenSpec,
    ingested: Ingested,
    trained: Trained,
    champion: Champion | None,
    as_of: datetime,
) -> Trained:
    """Return the candidate; the ordinary one where what a recovery was to recover from has passed by itself."""
    from retraining import train as training
    from retraining.evaluation.recovery import stands_again

    if not stands_again(workspace, frozen, trained, champion, ingested.holdout, as_of):
        return trained
    ordinary = training.choose(training.Job(workspace, frozen, ingested.train), ())
    why = f"the champion stands again, so what learnt only the rows of its collapse is left out; {ordinary.why}"
    return replace(ordinary, why=why, left_out=trained.artifact_id)


def judged(workspace: Workspace, trained: Trained, verdict: Verdict) -> Trained:
    """Return the candidate that a verdict is about: after a collapse it may be another than the one first chosen."""
    from retraining.evaluation.finalist import candidate_of

    if trained.artifact_id == verdict.evaluation.candidate_id:
        return trained
    return candidate_of(workspace.ledger, verdict) or trained
