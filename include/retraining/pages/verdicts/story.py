"""Everything that is known of a verdict and what became of it, gathered for the pages. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, replace

from retraining.errors import Damaged
from retraining.evaluation import finalist
from retraining.evaluation.finalist import Finalist, Flip
from retraining.gate import Policy
from retraining.gate.champion import bar_of
from retraining.records import Approval, Champion, Deployment, Override, Release, Verdict
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace


@dataclass(frozen=True)
class Story:
    """A verdict with its spec, the finalist's figures, and what became of it as far as it is known.

    `entry` is the entry of the champion history that it led to, by the gate or by a person's override. `approval` is
    a person's answer, `override` a person's promotion against the gate. `instead` is the verdict on the champion's own
    recipe, where a replacement did not pass. `missing` says why figures that were stored cannot be shown.
    """

    frozen: FrozenSpec
    verdict: Verdict
    finalist: Finalist | None = None
    flips: tuple[Flip, ...] = ()
    missing: str | None = None
    release: Release | None = None
    approval: Approval | None = None
    override: Override | None = None
    outcome: Deployment | None = None
    entry: Champion | None = None
    instead: Verdict | None = None

    @property
    def bar(self) -> float:
        """The gain, in the metric's unit, that the lower end of the interval must be above."""
        return bar_of(self.verdict.evaluation, Policy.of(self.frozen.spec))

    def without_keys(self) -> Story:
        """Return it for copies that an erasure does not reach: flipped rows without what names them."""
        return replace(self, flips=tuple(replace(f, key=()) for f in self.flips))


def story_of(workspace: Workspace, verdict: Verdict) -> Story:
    """Gather what is known of a verdict now.

    Raises
    ------
    Damaged
        When its frozen spec is not what was frozen.
    """
    ledger, evaluation = workspace.ledger, verdict.evaluation
    figures, missing = None, None
    if finalist.has_document(evaluation):
        try:
            figures = finalist.read(workspace.store, evaluation)
        except Damaged as error:  # the decision can be read without its pictures, and the page says so in red
            missing = str(error)
    made = [c for c in ledger.champions(verdict.model) if c.verdict_id == verdict.id]
    return Story(
        frozen=workspace.frozen(evaluation.spec_id),
        verdict=verdict,
        finalist=figures,
        flips=finalist.flipped_rows(workspace.store, evaluation),
        missing=missing,
        release=ledger.release_of(verdict.id),
        approval=ledger.approval_of(verdict.id),
        override=ledger.override_of(verdict.id),
        outcome=ledger.outcome(verdict.id),
        entry=made[0] if made else None,
        instead=ledger.verdict_instead_of(verdict),
    )
