"""The checklist of a candidate: each item is a small pure decision over the evaluation. What is missing blocks.

An item is a function of evaluation and policy that returns what it has to say, in one or more lines. `CANDIDATE` lists
them in the order in which people read them; the comparison with the champion comes last, because it names the gain.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import TypeVar

from retraining.gate.champion import against_champions, allowed_loss, decisive
from retraining.gate.footing import footing
from retraining.gate.policy import Policy
from retraining.records import CaseResult, Evaluation, Evidence, Item, SliceResult
from retraining.spec.gate import TELLS

T = TypeVar("T")
FEW_ROWS = 200
"""The standard error of ROC AUC on so many rows, half of them positive, is 0.04: twice the default margin and more."""
DOUBTFUL = 0.2
"""A calibration error above this is worth a warning: where half of the rows are positive, a predicted 50 % comes true
in fewer than 30 or more than 70 of a hundred cases; where one in twenty is, predictions are off by two fifths of it."""


def checklist(evaluation: Evaluation, policy: Policy) -> tuple[Item, ...]:
    """Return every item of a candidate's checklist."""
    return tuple(item for judge in CANDIDATE for item in judge(evaluation, policy))


def beats_baseline(e: Evaluation, _policy: Policy) -> tuple[Item, ...]:
    """A model that is not better than one without features has learnt nothing."""
    name, limit = "baseline", "lower bound of the gain above 0"
    over = e.over_baseline
    if over is None or e.candidate is None or e.baseline is None:
        sentence = "there is no comparison with the trivial baseline; what is missing blocks"
        return (Item(name, "block", "not computed", limit, sentence),)
    figures = f"{e.metric} {e.candidate:.4f} against {e.baseline:.4f}"
    if over.lower > 0:
        order = "" if e.time_ordered else " (on a keyed-hash holdout: not time-ordered)"
        return (Item(name, "pass", figures, limit, f"beats the trivial baseline: {figures}{order}"),)
    sentence = f"not better than a model without features: {figures}, lower bound of the gain {over.lower:+.4f}"
    remedy = "features that say something about the target, or more rows"
    return (Item(name, "block", figures, limit, sentence, remedy),)


def validated(e: Evaluation, _policy: Policy) -> tuple[Item, ...]:
    """The rows it learnt from and is judged on passed validation."""
    return (_evidence("validation", e.validated, "no blocking check", "retrain: the data is validated again first"),)


def locked_environment(e: Evaluation, policy: Policy) -> tuple[Item, ...]:
    """What was measured here holds where the same packages are installed."""
    remedy = "install the locked packages (make setup), or lock what is installed (make lock)"
    item = _evidence("environment", e.locked, "the lock file's packages", remedy)
    if item.outcome == "block" and e.locked is not None and policy.environment == "recorded":
        item = Item(item.name, "warn", item.figure, item.limit, item.sentence, remedy)
    return (item,)


def slices(e: Evaluation, _policy: Policy) -> tuple[Item, ...]:
    """No named group of rows is served worse than by the champion, beyond its margin.

    A slice blocks when it is shown to be worse by more than its margin. One that passes is not shown to be worse, which
    is less than shown to be as good: on few rows a large loss can hide. Of many slices one would fail by chance, so
    their p-values are compared with Holm's thresholds. Source: Holm (1979), A simple sequentially rejective multiple
    test procedure, Scandinavian Journal of Statistics 6. A slice whose loss is beyond the margin without proof warns.
    """
    failing = holm({i: s.p_worse for i, s in enumerate(e.slices) if s.p_worse is not None}, 1 - e.confidence)
    return tuple(_slice(s, i in failing) for i, s in enumerate(e.slices))


def holm(p_values: dict[T, float], alpha: float) -> set[T]:
    """Return the hypotheses that are rejected with a family-wise error of at most alpha.

    >>> sorted(holm({"a": 0.01, "b": 0.04, "c": 0.03}, 0.05))
    ['a']
    """
    rejected: set[T] = set()
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda pair: pair[1])):
        if p > alpha / (len(p_values) - rank):
            break
        rejected.add(name)
    return rejected


def calibration(e: Evaluation, policy: Policy) -> tuple[Item, ...]:
    """Predictions mean what they say: not much less so than the champion's, and within a limit where one is set."""
    rule, name = policy.calibration, "calibration"
    limit = f"lost to the champion up to {rule.margin:g}" + (
        "" if rule.limit is None else f", error up to {rule.limit:g}"
    )
    found = e.calibration
    if found is None or isnan(found.candidate) or (found.gain is not None and isnan(found.gain.upper)):
        sentence = "the calibration could not be computed; what is missing blocks"
        return (Item(name, "block", "not computed", limit, sentence),)
    figure = f"error {found.candidate:.3f}" + ("" if found.champion is None else f" against {found.champion:.3f}")
    remedy = "a better calibrated model (training.calibration), or a looser gate.calibration"
    if found.gain is not None and found.gain.upper < -rule.margin:
        sentence = f"worse calibrated than the champion: {figure} ({limit})"
        return (Item(name, rule.if_worse, figure, limit, sentence, remedy),)
    if found.candidate > (DOUBTFUL if rule.limit is None else rule.limit):
        sentence = f"predictions do not mean what they say: {figure} ({limit})"
        return (Item(name, "warn" if rule.limit is None else rule.if_worse, figure, limit, sentence, remedy),)
    return (Item(name, "pass", figure, limit, f"calibrated: {figure}"),)


def told(e: Evaluation, _policy: Policy) -> tuple[Item, ...]:
    """No feature alone tells the target: what almost determines it is mostly known only when the target is."""
    limit = f"below {TELLS:.0%} of the target"
    return tuple(
        Item(
            f"feature: {name}",
            "warn",
            f"{share:.1%} of the target",
            limit,
            f"feature {name} alone tells {share:.1%} of the target: is it known before the target is?",
            f"features without {name}",
        )
        for name, share in e.told
    )


def own_terms(e: Evaluation, policy: Policy) -> tuple[Item, ...]:
    """What the YAML asks for is what a team can defend; what goes further is said on every verdict."""
    if e.n_days is None:  # a verdict from before this was said
        return ()
    said: list[tuple[str, str, str, str]] = []
    if policy.rule != "auto":
        said.append(("rule", policy.rule, "auto", f"gate.rule forces {policy.rule}, whatever has been changed"))
    allowed = allowed_loss(e, policy, decisive(e)[0])
    if e.rule == "refresh" and allowed < policy.margin:
        text = f"gate.margin ({policy.margin:g}) is more than half of what the champion is worth: {allowed:.2g} counts"
        said.append(("margin", f"{policy.margin:g}", f"up to {allowed:.2g}", text))
    if e.n_rows < FEW_ROWS:
        text = f"decided on {e.n_rows:,} rows: on fewer than {FEW_ROWS} only large differences show"
        said.append(("rows", f"{e.n_rows:,} rows", f"{FEW_ROWS} rows", text))
    return tuple(Item(name, "warn", figure, limit, text) for name, figure, limit, text in said)


def behaviour(e: Evaluation, _policy: Policy) -> tuple[Item, ...]:
    """The behavioural cases hold for the candidate; they are run again on the release."""
    return behavioural(e.cases)


def behavioural(cases: tuple[CaseResult, ...]) -> tuple[Item, ...]:
    """Return an item per behavioural case."""
    return tuple(_case(case) for case in cases)


def _case(case: CaseResult) -> Item:
    name = f"case: {case.name}"
    if case.passed:
        return Item(name, "pass", case.figure, case.limit, f"behaves: {case.name}: {case.figure}")
    how = "broken" if case.evaluated else "could not be evaluated"
    remedy = f"a model that obeys {case.name!r}, or a corrected case"
    return Item(name, "block", case.figure, case.limit, f"{case.kind} case {how}: {case.name}: {case.figure}", remedy)


def _slice(s: SliceResult, failing: bool) -> Item:
    name, limit = f"slice: {s.name}", f"not shown to lose more than {s.margin:g}"
    if s.problem is not None:
        sentence, remedy = f"slice {s.name} was not judged: {s.problem}", "more rows, or a corrected slice"
        return Item(name, "warn" if s.evaluated else "block", f"{s.n_rows:,} rows", limit, sentence, remedy)
    if s.gain is None:
        return Item(name, "pass", f"{s.candidate:.4f}", limit, f"slice {s.name}: {s.candidate:.4f}, no champion yet")
    bounds = f"{s.gain.lower:+.4f} to {s.gain.upper:+.4f}"
    figure = f"{s.candidate:.4f} against {s.champion:.4f}, gain {s.gain.value:+.4f} ({bounds}, {s.n_rows:,} rows)"
    if s.gain.value >= -s.margin:
        return Item(name, "pass", figure, limit, f"slice {s.name}: {limit}: {figure}")
    remedy = f"a loss of at most {s.margin:g} on {s.name}"
    doubt = "" if failing else ", but that may be chance"
    sentence = f"slice {s.name} is worse by more than {s.margin:g}{doubt}: {figure}"
    return Item(name, "block" if failing and s.blocks else "warn", figure, limit, sentence, remedy)


def _evidence(name: str, evidence: Evidence | None, limit: str, remedy: str) -> Item:
    if evidence is None:
        return Item(name, "block", "not known", limit, f"{name} is not known; what is missing blocks", remedy)
    if evidence.holds:
        return Item(name, "pass", evidence.figure, limit, f"{name}: {evidence.figure}")
    return Item(name, "block", evidence.figure, limit, f"{name}: {evidence.figure}", remedy)


CANDIDATE: tuple[Callable[[Evaluation, Policy], tuple[Item, ...]], ...] = (
    validated,
    locked_environment,
    beats_baseline,
    footing,
    slices,
    calibration,
    behaviour,
    told,
    own_terms,
    against_champions,
)
"""The items of a candidate's checklist, in reading order."""
