"""The checklist of a release: what can only be known of the very files that would be deployed."""

from __future__ import annotations

from retraining.gate.checklist import behavioural
from retraining.gate.policy import Policy
from retraining.records import CaseResult, Item, Served

_WHOLE = 1000
"""From here on three digits would be written with an exponent."""


def release_checklist(
    flip_share: float | None, served: Served | None, cases: tuple[CaseResult, ...], policy: Policy
) -> tuple[Item, ...]:
    """Return every item of a release's checklist. What is missing blocks.

    Parameters
    ----------
    flip_share
        Share of predictions, of those that can, that change their meaning between candidate and release, on rows both
        were fitted on.
    served
        What a fresh process measured; None when it could not load the release.
    """
    return (_flips(flip_share, policy), *_budgets(served, policy), *behavioural(cases))


def _flips(share: float | None, policy: Policy) -> Item:
    limit = f"at most {policy.max_flips:.1%}"
    if share is None:
        return Item("flips", "block", "not computed", limit, "flips were not computed; what is missing blocks")
    figure = f"{share:.1%} of predictions"
    if share <= policy.max_flips:
        return Item("flips", "pass", figure, limit, f"the refit flips {figure} of its candidate")
    sentence = (
        f"refitting flips {share:.1%} of the candidate's predictions on rows both were fitted on, more than "
        f"gate.max_flips ({policy.max_flips:.1%}): the recipe is unstable"
    )
    return Item("flips", "block", figure, limit, sentence, "a regularised recipe, or gate.refit: false")


def _budgets(served: Served | None, policy: Policy) -> tuple[Item, ...]:
    budgets = policy.budgets
    latency, memory, size = (served.latency_ms, served.memory_mb, served.size_mb) if served else (None, None, None)
    return (
        _within("latency", latency, budgets.latency_ms, "ms", "for one row, 95 of 100 times"),
        _within("memory", memory, budgets.memory_mb, "MB", "at the peak"),
        _within("size", size, budgets.size_mb, "MB", "of files"),
    )


def _within(name: str, value: float | None, budget: float, unit: str, what: str) -> Item:
    limit = f"up to {budget:g} {unit}"
    if value is None:
        return Item(name, "block", "not measured", limit, f"{name} was not measured; what is missing blocks")
    figure = f"{value:,.0f}" if value >= _WHOLE else f"{value:.3g}"
    figure += f" {unit} {what}"
    if value <= budget:
        return Item(name, "pass", figure, limit, f"{name}: {figure}")
    remedy = f"a smaller model, or gate.budgets.{name}_{unit.lower()} above {value:.3g}"
    return Item(name, "block", figure, limit, f"{name} is over its budget: {figure}, {limit}", remedy)
