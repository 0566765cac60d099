"""Retrain: the stages in order. The DAG calls the same functions, one per task; `run` calls them in a row.

Every stage reads records by id, and running it again has no second effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from retraining.data import plan, snapshots
from retraining.data.held import held_tables
from retraining.data.ingest import read_window, source_id_of
from retraining.errors import LedgerError
from retraining.pipeline.common import Report, silent
from retraining.records import (
    Admission,
    Champion,
    Deployment,
    Evaluation,
    Ingested,
    Release,
    Snapshot,
    Trained,
    Tried,
    Validated,
    Validation,
    Verdict,
    Window,
    short,
    shown_day,
)
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace

if TYPE_CHECKING:
    from retraining.train import Job


def ingest(workspace: Workspace, admission: Admission) -> Ingested:
    """Read the window of a retraining and freeze its train, holdout and refit snapshots."""
    frozen = workspace.frozen(admission.spec_id)
    data, spec = frozen.spec.data, frozen.spec
    champion = _champion(workspace, admission)
    train, holdout, refit = plan.plan_windows(data, spec.training.window, spec.gate.holdout, admission.as_of)
    reader = workspace.reader(frozen)
    span = Window(min(train.start, refit.start), holdout.end)
    extent = read_window(reader, span, admission.as_of)

    def freeze(window: Window) -> Snapshot:
        return snapshots.freeze(reader, extent, window, admission.as_of, labels=True)

    known, judged, refitted = freeze(train), freeze(holdout), freeze(refit)
    if champion is not None and _has_learnt_all(workspace, champion, frozen, known, holdout):
        judged = freeze(Window(holdout.end, holdout.end))
    return Ingested(known, judged, refitted, extent.n_partitions_read, extent.n_chunks_written)


def _has_learnt_all(
    workspace: Workspace, champion: Champion, frozen: FrozenSpec, train: Snapshot, holdout: Window
) -> bool:
    """Tell whether nothing is newer than what the champion was trained on, or without a time was judged on."""
    from retraining.artifacts import stored

    if frozen.spec.data.time_ordered:
        return champion.cutoff >= holdout.end
    card = stored.read_card(workspace.store, champion.release_id)
    return (card.snapshot_id, card.learning_id) == (train.id, frozen.learning_id)


def snapshot_ids(ingested: Ingested) -> dict[str, Any]:
    """Return what crosses a task boundary of an ingestion: ids, not chunk lists."""
    return {
        "train": ingested.train.id,
        "holdout": ingested.holdout.id,
        "refit": ingested.refit.id,
        "n_partitions_read": ingested.n_partitions_read,
        "n_chunks_written": ingested.n_chunks_written,
    }


def ingested_from(workspace: Workspace, admission: Admission, ids: Mapping[str, Any]) -> Ingested:
    """Return the snapshots of a run that `snapshot_ids` named."""
    run = (admission.model, admission.as_of, source_id_of(workspace.frozen(admission.spec_id)))
    train, holdout, refit = (
        snapshots.read_snapshot(workspace.store, workspace.ledger, ids[name], *run)
        for name in ("train", "holdout", "refit")
    )
    return Ingested(train, holdout, refit, ids["n_partitions_read"], ids["n_chunks_written"])


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

    return training.choose(_job(workspace, admission, ingested), tried)


def _job(workspace: Workspace, admission: Admission, ingested: Ingested) -> Job:
    """Return what is to be learnt; after a collapse also from what came after it alone."""
    from retraining import train as training
    from retraining.evaluation.recovery import recovers_since

    frozen, champion = workspace.frozen(admission.spec_id), _champion(workspace, admission)
    since = recovers_since(workspace, frozen, ingested.train.window, admission.as_of, champion)
    return training.Job(workspace, frozen, ingested.train, since)


def train(workspace: Workspace, admission: Admission, ingested: Ingested, report: Report = silent) -> Trained:
    """Try every candidate and choose, on rows that are loaded once."""
    from retraining import train as training

    frozen = workspace.frozen(admission.spec_id)
    job = _job(workspace, admission, ingested)
    tried = []
    for index in range(job.n_candidates):
        tried.append(training.try_candidate(job, index))
        report("train", training.describe(tried[-1], frozen.spec.training.metric))
    trained = training.choose(job, tried)
    report("choose", trained.why)
    return trained


def evaluate(workspace: Workspace, admission: Admission, ingested: Ingested, trained: Trained | None) -> Evaluation:
    """Judge the candidate on the holdout; the result is reused as long as its inputs are the same.

    Without a holdout there is no candidate (`nothing_new`), and the evaluation says so.

    A deployment that was killed before it set the registry's alias is completed first, and an alias that was moved by
    hand is reported: this is the first stage after which the run may end without a deployment of its own.
    """
    from retraining.evaluation import evaluate as judging
    from retraining.rollout.alias import sync_alias

    sync_alias(workspace, admission.model, admission.as_of)
    holdout = ingested.holdout
    champion = _champion(workspace, admission)
    frozen = workspace.frozen(admission.spec_id)
    about = (holdout.window, admission.as_of)
    if trained is None:
        if champion is None or holdout.features:
            raise LedgerError(f"{admission.model}: there is no candidate to judge. Run the training again.")
        return judging.nothing_new(workspace, frozen, ingested.train, *about, champion, ingested.refit.id)
    present = holdout if holdout.features else None
    if present is not None:
        trained = _to_be_judged(workspace, frozen, ingested, trained, champion)
    return judging.evaluate(workspace, frozen, trained, present, *about, champion, ingested.refit.id)


def _to_be_judged(
    workspace: Workspace, frozen: FrozenSpec, ingested: Ingested, trained: Trained, champion: Champion | None
) -> Trained:
    """Return the candidate; the ordinary one where what a recovery was to recover from has passed by itself."""
    from retraining import train as training
    from retraining.evaluation.recovery import stands_again

    if not stands_again(workspace, frozen, trained, champion, ingested.holdout):
        return trained
    ordinary = training.choose(training.Job(workspace, frozen, ingested.train), ())
    why = f"the champion stands again, so what learnt only the rows of its collapse is left out; {ordinary.why}"
    return replace(ordinary, why=why)


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

    frozen = workspace.frozen(admission.spec_id)
    candidate = _judged(workspace, trained, verdict)
    return refit(workspace, frozen, candidate, verdict, ingested.holdout, ingested.refit)


def _judged(workspace: Workspace, trained: Trained, verdict: Verdict) -> Trained:
    """Return the candidate that a verdict is about: after a collapse it may be another than the one first chosen."""
    if trained.artifact_id == verdict.evaluation.candidate_id:
        return trained
    known = workspace.ledger.recorded(Trained, trained.model, "train").values()
    return next((t for t in known if t.artifact_id == verdict.evaluation.candidate_id), trained)


def deploy(workspace: Workspace, verdict: Verdict, release_id: str, by: str) -> Deployment:
    """Make the release the champion, unless the YAML wants a person's answer first."""
    from retraining.rollout.champion import deploy as move
    from retraining.rollout.waiting import has_warning, needs_approval

    spec = workspace.frozen(verdict.evaluation.spec_id).spec
    wait = needs_approval(spec, warned=has_warning(verdict))
    return move(workspace, verdict, release_id, wait_for_approval=wait, by=by)


def announce(admission: Admission, verdict: Verdict | None, deployed: str | None) -> str:
    """Say in a sentence what a retraining run came to."""
    if admission.skip:
        return f"{admission.model}: skipped: {admission.skip}"
    if verdict is None:
        return f"{admission.model}: ended without a verdict; see the failed task"
    head = f"{admission.model}, as of {admission.as_of:%Y-%m-%d %H:%M}: {verdict.decision} ({short(verdict.id)})"
    parts = [head + (" [dry run]" if verdict.dry_run else ""), *verdict.reasons]
    return "; ".join([*parts, *([deployed] if deployed else [])])


@dataclass(frozen=True)
class RunResult:
    """What one retraining in one process came to."""

    admission: Admission
    verdict: Verdict | None
    deployment: Deployment | None

    @property
    def text(self) -> str:
        """The sentence the run ends with."""
        return announce(self.admission, self.verdict, self.deployment.detail if self.deployment else None)


def run(workspace: Workspace, admission: Admission, report: Report = silent) -> RunResult:
    """Run every stage of a retraining in this process, exactly as the DAG does; each chunk is read once."""
    if admission.skip:
        return RunResult(admission, None, None)
    with held_tables():
        return _run(workspace, admission, report)


def _run(workspace: Workspace, admission: Admission, report: Report) -> RunResult:
    ingested = ingest(workspace, admission)
    report("ingest", f"{ingested.refit.describe()}; {ingested.n_partitions_read} partitions read")
    validated = validate(workspace, admission, ingested)
    report("validate", describe_validation(validated.validation))
    ingested = validated.ingested
    known = nothing_new(admission, ingested)
    if known is not None:
        report("train", known)
    trained = None if known is not None else train(workspace, admission, ingested, report)
    evaluation = evaluate(workspace, admission, ingested, trained)
    report("evaluate", f"{evaluation.n_rows:,} holdout rows in {evaluation.n_blocks} blocks, rule {evaluation.rule}")
    verdict = gate(workspace, admission, evaluation)
    report("gate", f"{verdict.decision}: {verdict.reasons[-1]}")
    if trained is None or verdict.decision != "promote" or verdict.dry_run:
        return RunResult(admission, verdict, None)
    made = release(workspace, admission, ingested, trained, verdict)
    report("release", f"{short(made.id)}, trained through {shown_day(made.cutoff)}")
    deployment = deploy(workspace, verdict, made.id, by="gate")
    report("deploy", deployment.detail)
    return RunResult(admission, verdict, deployment)


def _champion(workspace: Workspace, admission: Admission) -> Champion | None:
    return None if admission.champion is None else workspace.ledger.champion(admission.model, admission.champion)
