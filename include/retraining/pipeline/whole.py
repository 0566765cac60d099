"""A retraining in one process: every stage in a row, as the DAG runs them, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass

from retraining.data.held import held_tables
from retraining.pipeline import replacing
from retraining.pipeline import retrain as stages
from retraining.pipeline.common import Report, silent
from retraining.records import Admission, Deployment, Ingested, Rolled, Trained, Verdict, short, shown_day
from retraining.workspace import Workspace


def announce(
    admission: Admission, verdict: Verdict | None, deployed: str | None, instead: Verdict | str | None = None
) -> str:
    """Say in a sentence what a retraining run came to.

    Parameters
    ----------
    instead
        The verdict on the champion's own recipe in place of a replacement, or why there is none.
    """
    if admission.skip:
        return f"{admission.model}: skipped: {admission.skip}"
    if verdict is None:
        return f"{admission.model}: ended without a verdict; see the failed task"
    head = f"{admission.model}, as of {admission.as_of:%Y-%m-%d %H:%M}: {verdict.decision} ({short(verdict.id)})"
    parts = [head + (" [dry run]" if verdict.dry_run else ""), *verdict.reasons]
    if isinstance(instead, Verdict):
        parts += [f"in its place the champion's own recipe, {instead.decision} ({short(instead.id)})", *instead.reasons]
    elif instead is not None:
        parts.append(instead)
    return "; ".join([*parts, *([deployed] if deployed else [])])


@dataclass(frozen=True)
class RunResult:
    """What one retraining in one process came to.

    `instead` is the verdict on the champion's own recipe where a replacement did not pass, or says why there is none.
    """

    admission: Admission
    verdict: Verdict | None
    deployment: Deployment | None
    instead: Verdict | str | None = None

    @property
    def acting(self) -> Verdict | None:
        """The verdict that may move the champion: that in place of a replacement that did not pass, else the first."""
        return self.instead if isinstance(self.instead, Verdict) else self.verdict

    @property
    def text(self) -> str:
        """The sentence the run ends with."""
        detail = self.deployment.detail if self.deployment else None
        return announce(self.admission, self.verdict, detail, self.instead)


def run(workspace: Workspace, admission: Admission, report: Report = silent) -> RunResult:
    """Run every stage of a retraining in this process, exactly as the DAG does; each chunk is read once."""
    if admission.skip:
        return RunResult(admission, None, None)
    with held_tables():
        return _run(workspace, admission, report)


def _run(workspace: Workspace, admission: Admission, report: Report) -> RunResult:
    ingested = stages.ingest(workspace, admission)
    report("ingest", f"{ingested.refit.describe()}; {ingested.n_partitions_read} partitions read")
    validated = stages.validate(workspace, admission, ingested)
    report("validate", stages.describe_validation(validated.validation))
    ingested = validated.ingested
    known = stages.nothing_new(admission, ingested)
    if known is not None:
        report("train", known)
    trained = None if known is not None else stages.train(workspace, admission, ingested, report)
    evaluation = stages.evaluate(
        workspace, admission, ingested, trained, _rolled(workspace, admission, ingested, trained, report)
    )
    report("evaluate", f"{evaluation.n_rows:,} holdout rows in {evaluation.n_blocks} blocks, rule {evaluation.rule}")
    verdict = stages.gate(workspace, admission, evaluation)
    report("gate", f"{verdict.decision}: {verdict.reasons[-1]}")
    other = replacing.fall_back(workspace, admission, ingested, verdict)
    instead = other.verdict if isinstance(other, replacing.Instead) else other
    acting, chosen = verdict, trained
    if isinstance(other, replacing.Instead):
        acting, chosen = other.verdict, other.trained
        report("gate", f"the champion's own recipe: {acting.decision}: {acting.reasons[-1]}")
    if chosen is None or acting.decision != "promote" or acting.dry_run:
        return RunResult(admission, verdict, None, instead)
    made = stages.release(workspace, admission, ingested, chosen, acting)
    report("release", f"{short(made.id)}, trained through {shown_day(made.cutoff)}")
    deployment = stages.deploy(workspace, acting, made.id, by="gate")
    report("deploy", deployment.detail)
    return RunResult(admission, verdict, deployment, instead)


def _rolled(
    workspace: Workspace, admission: Admission, ingested: Ingested, trained: Trained | None, report: Report
) -> list[Rolled]:
    from retraining.train.origins import describe

    found = []
    for index in replacing.origins(workspace, admission, ingested, trained):
        one = replacing.roll(workspace, admission, ingested, trained, index)
        if one is not None:
            found.append(one)
            report("origins", describe(one))
    return found
