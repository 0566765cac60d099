"""Retrain: the stages in order. The DAG calls the same functions, one per task; `run` calls them in a row.

Every stage reads records by id, and running it again has no second effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from retraining.data import plan, snapshots
from retraining.data.ingest import read_window, source_id_of
from retraining.errors import LedgerError
from retraining.pipeline import recovering, replacing
from retraining.pipeline.common import Report, champion_of, silent
from retraining.records import (
    Admission,
    Champion,
    Deployment,
    Evaluation,
    Ingested,
    Release,
    Rolled,
    Snapshot,
    Trained,
    Tried,
    Validated,
    Validation,
    Verdict,
    Window,
    short,
)
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace


def ingest(workspace: Workspace, admission: Admission) -> Ingested:
    """Read the window of a retraining and freeze its train, holdout and refit snapshots."""
    frozen = workspace.frozen(admission.spec_id)
    data, spec = frozen.spec.data, frozen.spec
    champion = champion_of(workspace, admission)
    train, holdout, refit = plan.plan_windows(data, spec.training.window, spec.gate.holdout, admission.as_of)
    reader = workspace.reader(frozen)
    other = replacing.their_window(workspace, frozen, champion)
    theirs = None if other is None else plan.plan_windows(data, other, spec.gate.holdout, admission.as_of)
    starts = [train.start, refit.start, *([] if theirs is None else [theirs[0].start])]
    extent = read_window(reader, Window(min(starts), holdout.end), admission.as_of)

    def freeze(window: Window) -> Snapshot:
        return snapshots.freeze(reader, extent, window, admission.as_of, labels=True)

    known, judged, refitted = freeze(train), freeze(holdout), freeze(refit)
    if champion is not None and _has_learnt_all(workspace, champion, frozen, known, holdout):
        judged = freeze(Window(holdout.end, holdout.end))
    champions = (None, None) if theirs is None else (freeze(theirs[0]), freeze(theirs[2]))
    return Ingested(known, judged, refitted, extent.n_partitions_read, extent.n_chunks_written, *champions)


def _has_learnt_all(
    workspace: Workspace, champion: Champion, frozen: FrozenSpec, train: Snapshot, holdout: Window
) -> bool:
    """Tell whether nothing is newer than what the champion was trained on, or without a time was judged on."""
    from retraining.artifacts import stored
    from retraining.evaluation.rule import learnt_as

    if frozen.spec.data.time_ordered:
        return champion.cutoff >= holdout.end
    card = stored.read_card(workspace.store, champion.release_id)
    return card.snapshot_id == train.id and learnt_as(workspace, frozen, card)


def snapshot_ids(ingested: Ingested) -> dict[str, Any]:
    """Return what crosses a task boundary of an ingestion: ids, not chunk lists."""
    optional = {"champion_train": ingested.champion_train, "champion_refit": ingested.champion_refit}
    return {
        **{name: snapshot.id for name, snapshot in optional.items() if snapshot is not None},
        "train": ingested.train.id,
        "holdout": ingested.holdout.id,
        "refit": ingested.refit.id,
        "n_partitions_read": ingested.n_partitions_read,
        "n_chunks_written": ingested.n_chunks_written,
    }


def ingested_from(workspace: Workspace, admission: Admission, ids: Mapping[str, Any]) -> Ingested:
    """Return the snapshots of a run that `snapshot_ids` named."""
    run = (admission.model, admission.as_of, source_id_of(workspace.frozen(admission.spec_id)))
    found = {
        name: snapshots.read_snapshot(workspace.store, workspace.ledger, ids[name], *run)
        for name in ("train", "holdout", "refit", "champion_train", "champion_refit")
        if name in ids
    }
    return Ingested(**found, n_partitions_read=ids["n_partitions_read"], n_chunks_written=ids["n_chunks_written"])


def verdict_of(workspace: Workspace, verdict_id: str) -> Verdict:
    """Return a verdict that the ledger must have."""
    verdict = workspace.ledger.verdict(verdict_id)
    if verdict is None:
        raise LedgerError(f"there is no verdict {short(verdict_id)} in the ledger; was it restored from a backup?")
    return verdict


def validate(workspace: Workspace, admission: Admission, ingested: Ingested) -> Validated:
    """Check every row of the training and holdout windows once, and the refit window, which holds both, as a whole."""
    from retraining.validation.validate import validate as validate_all
    from retraining.validation.validate import validate_rows

    frozen = workspace.frozen(admission.spec_id)

    def accepted(snapshot: Snapshot) -> Snapshot:
        return validate_rows(workspace.store, workspace.ledger, frozen, snapshot).snapshot

    train = accepted(ingested.train)
    holdout = accepted(ingested.holdout) if ingested.holdout.features else ingested.holdout
    refit = validate_all(workspace.store, workspace.ledger, frozen, ingested.refit)
    usable = replace(ingested, train=train, holdout=holdout, refit=refit.snapshot)
    if ingested.champion_train is not None and ingested.champion_refit is not None:
        theirs = (accepted(ingested.champion_train), accepted(ingested.champion_refit))
        usable = replace(usable, champion_train=theirs[0], champion_refit=theirs[1])
    return Validated(usable, refit.validation)


def describe_validation(validation: Validation) -> str:
    """Say in a line what the checks found, and where the page is."""
    aside = f"; {validation.n_aside:,} of {validation.n_rows:,} rows set aside" if validation.n_aside else ""
    return f"{validation.n_checks} checks, {len(validation.problems)} warnings{aside}; {validation.report_key}"


def nothing_new(admission: Admission, ingested: Ingested) -> str | None:
    """Say why no candidate is tried: the champion has learnt every row there is, so nothing could be judged."""
    if admission.champion is None or ingested.holdout.features:
        return None
    return f"no mature row is newer than what champion {admission.champion} has learnt; no candidate was tried"


def try_candidate(workspace: Workspace, admission: Admission, ingested: Ingested, index: int) -> Tried | None:
    """Try one candidate by time-ordered cross-validation; None where the frozen spec has fewer."""
    from retraining import train as training

    job = training.Job(workspace, workspace.frozen(admission.spec_id), ingested.train)
    return training.try_candidate(job, index) if index < job.n_candidates else None


def choose(workspace: Workspace, admission: Admission, ingested: Ingested, tried: Iterable[Tried]) -> Trained:
    """Choose among the candidates and fit the chosen one up to the holdout; what is missing in `tried` is tried."""
    from retraining import train as training

    return training.choose(recovering.job_of(workspace, admission, ingested), tried)


def train(workspace: Workspace, admission: Admission, ingested: Ingested, report: Report = silent) -> Trained:
    """Try every candidate and choose, on rows that are loaded once."""
    from retraining import train as training

    frozen = workspace.frozen(admission.spec_id)
    job = recovering.job_of(workspace, admission, ingested)
    tried = []
    for index in range(job.n_candidates):
        tried.append(training.try_candidate(job, index))
        report("train", training.describe(tried[-1], frozen.spec.training.metric))
    trained = training.choose(job, tried)
    report("choose", trained.why)
    return trained


def evaluate(
    workspace: Workspace,
    admission: Admission,
    ingested: Ingested,
    trained: Trained | None,
    rolled: Iterable[Rolled] = (),
) -> Evaluation:
    """Judge the candidate on the holdout; the result is reused as long as its inputs are the same.

    A replacement is judged over all of its origins; what is missing in `rolled` is made up for.

    Without a holdout there is no candidate (`nothing_new`), and the evaluation says so.

    A deployment that was killed before it set the registry's alias is completed first, and an alias that was moved by
    hand is reported: this is the first stage after which the run may end without a deployment of its own.
    """
    from retraining.evaluation import evaluate as judging
    from retraining.rollout.alias import sync_alias

    sync_alias(workspace, admission.model, admission.as_of)
    holdout = ingested.holdout
    champion = champion_of(workspace, admission)
    frozen = workspace.frozen(admission.spec_id)
    about = (holdout.window, admission.as_of)
    if trained is None:
        if champion is None or holdout.features:
            raise LedgerError(f"{admission.model}: there is no candidate to judge. Run the training again.")
        return judging.nothing_new(workspace, frozen, ingested.train, *about, champion, ingested.refit.id)
    present = holdout if holdout.features else None
    if present is not None:
        trained = recovering.to_be_judged(workspace, frozen, ingested, trained, champion, admission.as_of)
    contest = replacing.contest_of(workspace, admission, ingested, trained)
    recipes = (contest, replacing.complete(contest, rolled))
    return judging.evaluate(workspace, frozen, trained, present, *about, champion, ingested.refit.id, *recipes)


def gate(workspace: Workspace, admission: Admission, evaluation: Evaluation) -> Verdict:
    """Decide, and write the verdict with the requests it serves, and its page."""
    from retraining.gate import Policy, make_verdict
    from retraining.pages.verdicts.page import keep

    policy = Policy.of(workspace.frozen(admission.spec_id).spec)
    verdict = make_verdict(evaluation, policy, dry_run=admission.dry_run)
    stands = workspace.ledger.add_verdict(verdict, admission.requests)
    keep(workspace, stands)
    return stands


def release(
    workspace: Workspace, admission: Admission, ingested: Ingested, trained: Trained, verdict: Verdict
) -> Release:
    """Refit the promoted recipe and bind the release to the verdict."""
    from retraining.rollout.release import release as refit

    candidate = recovering.judged(workspace, trained, verdict)
    frozen = workspace.frozen(candidate.spec_id if candidate.again else admission.spec_id)
    snapshot = replacing.snapshot_of(candidate, ingested)
    return refit(workspace, frozen, candidate, verdict, ingested.holdout, snapshot)


def deploy(workspace: Workspace, verdict: Verdict, release_id: str, by: str) -> Deployment:
    """Make the release the champion, unless the YAML wants a person's answer first."""
    from retraining.rollout.champion import deploy as move
    from retraining.rollout.waiting import has_warning, needs_approval

    spec = workspace.frozen(verdict.evaluation.spec_id).spec
    wait = needs_approval(spec, warned=has_warning(verdict))
    return move(workspace, verdict, release_id, wait_for_approval=wait, by=by)
