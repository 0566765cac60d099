"""A replacement in a retraining: recipe against recipe over several origins, and what follows if it does not pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from retraining.errors import Damaged, NotEnoughData, TrainingFailed
from retraining.pipeline.common import champion_of
from retraining.records import Admission, Champion, Ingested, Rolled, Snapshot, Trained, Verdict
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace

if TYPE_CHECKING:
    from retraining.train.origins import Contest

SAME_RECIPE = "gate.rule is replace, and its recipe is the candidate's own"


@dataclass(frozen=True)
class Instead:
    """The champion's own recipe as a refresh: its candidate, and the verdict on it."""

    trained: Trained
    verdict: Verdict


def contest_of(
    workspace: Workspace, admission: Admission, ingested: Ingested, trained: Trained | None
) -> Contest | str | None:
    """Return how the candidate's recipe meets the champion's, or why it does not; None where nothing is replaced."""
    from retraining.evaluation.rule import is_same_recipe, rule_of
    from retraining.train import origins

    champion, frozen = champion_of(workspace, admission), workspace.frozen(admission.spec_id)
    if trained is None or champion is None or not ingested.holdout.features:
        return None
    if rule_of(workspace, frozen, trained.estimator, champion) != "replace":
        return None
    if is_same_recipe(workspace, frozen, trained.estimator, champion):
        return SAME_RECIPE
    theirs = ingested.champion_train or ingested.train
    return origins.contest_of(workspace, frozen, trained, champion, ingested.train, theirs, ingested.holdout)


def origins(workspace: Workspace, admission: Admission, ingested: Ingested, trained: Trained | None) -> list[int]:
    """Return the origins a replacement is judged at, 0 the newest; none where nothing is replaced."""
    found = contest_of(workspace, admission, ingested, trained)
    return [] if found is None or isinstance(found, str) else list(range(len(found.origins)))


def roll(
    workspace: Workspace, admission: Admission, ingested: Ingested, trained: Trained | None, index: int
) -> Rolled | None:
    """Learn both recipes before one origin and predict the holdout after it; None where there is no such origin."""
    from retraining.train import origins

    found = contest_of(workspace, admission, ingested, trained)
    if found is None or isinstance(found, str) or index >= len(found.origins):
        return None
    return origins.roll(found, index)


def complete(found: Contest | str | None, known: Iterable[Rolled]) -> list[Rolled]:
    """Return the work of every origin; what is missing, or of other inputs, is made up for here."""
    from retraining.train import origins

    if found is None or isinstance(found, str):
        return []
    done = {r.index: r for r in known if origins.is_of(found, r)}
    return [done.get(index) or origins.roll(found, index) for index in range(len(found.origins))]


def fall_back(workspace: Workspace, admission: Admission, ingested: Ingested, verdict: Verdict) -> Instead | str | None:
    """Judge the champion's own recipe as a refresh, where a replacement did not pass: a change never starves a model.

    Returns
    -------
    None where nothing is to be judged in its place: another rule, a promotion, a verdict without a checklist (it
    would be the same for any recipe), or a YAML that asks every candidate to be better. A sentence where the recipe
    cannot be learnt again.
    """
    from retraining.artifacts.stored import read_card
    from retraining.evaluation.evaluate import evaluate
    from retraining.gate import Policy, make_verdict
    from retraining.pages.verdicts.page import keep
    from retraining.train.again import learn_again, recipe_of

    e, frozen = verdict.evaluation, workspace.frozen(admission.spec_id)
    champion = champion_of(workspace, admission)
    refused = verdict.decision in ("reject", "inconclusive") and bool(verdict.checklist)
    if champion is None or e.rule != "replace" or frozen.spec.gate.rule != "auto" or not refused:
        return None
    known = _judged_already(workspace, verdict)
    if known is not None:
        return known
    recipe = recipe_of(workspace, frozen, champion, ingested.train)
    if isinstance(recipe, str):
        return f"champion {champion.sequence} cannot be refreshed in its place: {recipe}"
    train, refit = ingested.champion_train or ingested.train, ingested.champion_refit or ingested.refit
    if not frozen.spec.data.time_ordered and read_card(workspace.store, champion.release_id).snapshot_id == train.id:
        return f"champion {champion.sequence} has learnt this version of the table: there is nothing to refresh it with"
    about = (ingested.holdout, ingested.holdout.window, admission.as_of, champion, refit.id)
    try:
        trained = learn_again(workspace, recipe, champion.sequence, train)
        evaluation = evaluate(workspace, recipe.frozen, trained, *about, instead_of=verdict.id)
    except (NotEnoughData, TrainingFailed) as error:
        return f"champion {champion.sequence} cannot be refreshed in its place: {str(error).splitlines()[0]}"
    made = make_verdict(evaluation, Policy.of(recipe.frozen.spec), dry_run=admission.dry_run)
    stands = workspace.ledger.add_verdict(made, admission.requests)
    keep(workspace, stands)
    return Instead(trained, stands)


def _judged_already(workspace: Workspace, verdict: Verdict) -> Instead | None:
    """Return what was judged in a replacement's place: a task that is cleared, maybe elsewhere, judges nothing anew."""
    from retraining.evaluation.finalist import candidate_of

    own = workspace.ledger.verdict_instead_of(verdict)
    trained = None if own is None else candidate_of(workspace.ledger, own)
    return None if own is None or trained is None else Instead(trained, own)


def their_window(workspace: Workspace, frozen: FrozenSpec, champion: Champion | None) -> timedelta | None:
    """Return the training window of the champion's recipe where it is another one than the spec's, and can be read."""
    if champion is None or not frozen.spec.data.time_ordered:
        return None
    try:
        window = workspace.frozen(champion.spec_id).spec.training.window
    except (Damaged, ValueError):  # lost, or frozen by a version with other keys: its recipe is not learnt again
        return None
    replay = frozen.spec.data.source.replay
    too_long = replay is not None and window + frozen.spec.gate.holdout > timedelta(days=replay.days)
    return None if too_long or window == frozen.spec.training.window else window


def snapshot_of(trained: Trained, ingested: Ingested) -> Snapshot:
    """Return the snapshot that a promoted candidate is fitted on again."""
    return ingested.champion_refit if trained.again and ingested.champion_refit is not None else ingested.refit
