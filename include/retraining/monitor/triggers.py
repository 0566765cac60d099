"""Triggers: whether the monitor asks for a retraining. A pure decision over measurements, with its reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from retraining.records import Change, Measurement, Request, TriggerDecision, digest_of
from retraining.spec import Spec
from retraining.windows import format_duration

Outcome = Literal["quiet", "watch", "held", "suggest", "ask"]


@dataclass(frozen=True)
class Policy:
    """What the YAML says about who may ask, and when."""

    mode: Literal["observe", "suggest", "auto"]
    on_performance: bool
    on_drift: Literal["unless_performance_holds", "always", "never"]
    k: int
    n: int
    history: int
    min_importance: float
    cooldown: timedelta
    min_new_labels: int

    @classmethod
    def of(cls, spec: Spec) -> Policy:
        """Take the policy from a spec."""
        drift, retrain = spec.monitor.drift, spec.retrain
        return cls(
            mode=spec.mode,
            on_performance=retrain.on_performance,
            on_drift=retrain.on_drift,
            k=drift.k,
            n=drift.n,
            history=drift.history,
            min_importance=drift.min_importance,
            cooldown=spec.cooldown,
            min_new_labels=retrain.min_new_labels,
        )


@dataclass(frozen=True)
class Situation:
    """What the decision is made from.

    `recent` is newest first: the measurement that is decided on, then those of the partitions before it, as far as
    they were measured; one that was measured more than once stands in it more than once. A release that was taken back
    starts every cooldown anew, as a verdict does.
    """

    recent: Sequence[Measurement]
    last_verdict_as_of: datetime | None
    open_request: bool
    taken_back_as_of: datetime | None = None

    @property
    def cooling(self) -> tuple[str, datetime] | None:
        """What the cooldown is counted from, and when that was."""
        found = (("verdict", self.last_verdict_as_of), ("return", self.taken_back_as_of))
        return max(((what, t) for what, t in found if t is not None), key=lambda pair: pair[1], default=None)


def decide(situation: Situation, policy: Policy) -> TriggerDecision:
    """Decide what one measurement asks for.

    A real fall in performance is a reason; so is drift on k of n days, unless performance can be computed and
    holds. The brakes (mode, cooldown, too few new labels) hold the monitor back; they never hold a person back.
    """
    now = situation.recent[0]
    drifted = drifted_columns(situation.recent, policy)
    fallen = tuple(c.name for c in now.performance if c.worse)
    facts = _facts(now, drifted, policy)
    reason, watch = _reason(now, drifted, fallen, policy)
    if not reason:
        seen = watch or now.health or now.unknown
        return _made(now, "watch" if seen else "quiet", "", (*facts, *watch), _would_ask(policy))
    brakes, changes = _brakes(situation, reason, policy)
    if brakes:
        return _made(now, "held", reason, (*facts, *brakes), changes)
    outcome: Outcome = "ask" if policy.mode == "auto" else "suggest"
    return _made(now, outcome, reason, facts, ())


def drifted_columns(recent: Sequence[Measurement], policy: Policy) -> tuple[str, ...]:
    """Return the columns that matter and were out on k of the newest n days, all judged against the same champion.

    A day that was measured again is one day still, as it was measured last.
    """
    release = recent[0].release_id
    days = [m for m in newest_per_day(recent)[: policy.n] if m.release_id == release]
    counts = Counter(d.column for m in days for d in m.drift if d.drifted and d.importance >= policy.min_importance)
    return tuple(sorted(column for column, count in counts.items() if count >= policy.k))


def newest_per_day(recent: Sequence[Measurement]) -> list[Measurement]:
    """Return the newest measurement of each partition, newest partition first."""
    found: dict[datetime, Measurement] = {}
    for measured in sorted(recent, key=lambda m: (m.window.start, m.as_of), reverse=True):
        found.setdefault(measured.window.start, measured)
    return list(found.values())


def make_request(decision: TriggerDecision) -> Request:
    """Return the request of a decision to ask; the same decision is always the same request."""
    identity = digest_of([decision.model, decision.as_of.isoformat(), decision.reason])
    return Request(identity, decision.model, decision.as_of, decision.reason, "monitor")


def _reason(
    now: Measurement, drifted: tuple[str, ...], fallen: tuple[str, ...], policy: Policy
) -> tuple[str, tuple[str, ...]]:
    """Return the reason to retrain ("" for none), and what is only worth watching."""
    if fallen and policy.on_performance:
        return f"performance: {', '.join(fallen)}", ()
    if fallen:
        return "", (f"{', '.join(fallen)} fell, but retrain.on_performance is off",)
    if not drifted:
        return "", ()
    if policy.on_drift == "never":
        return "", ("drift is only watched: retrain.on_drift is never",)
    if _holds(now) and policy.on_drift == "unless_performance_holds":
        return "", ("drift, but performance holds: watching (retrain.on_drift: always would ask)",)
    return f"drift: {', '.join(drifted)}", ()


def _holds(now: Measurement) -> bool:
    """Tell whether every watched figure of performance is known; one that could not be computed vetoes nothing."""
    return bool(now.performance) and not now.performance_note


def _brakes(situation: Situation, reason: str, policy: Policy) -> tuple[tuple[str, ...], tuple[str, ...]]:
    now, last = situation.recent[0], situation.cooling
    held: list[str] = []
    changes: list[str] = []
    if policy.mode == "observe":
        held.append("mode is observe: nothing is asked for")
        changes.append("mode: suggest or auto")
    elif situation.open_request:
        return (), ()  # it was let through once; asking again only wakes whoever missed it
    if last is not None and now.as_of < last[1] + policy.cooldown:
        what, since = last
        until = since + policy.cooldown
        held.append(f"cooldown of {format_duration(policy.cooldown)} after the {what} as of {since:%Y-%m-%d %H:%M}")
        changes.append(f"asks from {until:%Y-%m-%d %H:%M} UTC on, if the reason is still there")
    if reason.startswith("performance") and now.n_new_labels < policy.min_new_labels:
        held.append(f"{now.n_new_labels:,} new labels, fewer than retrain.min_new_labels ({policy.min_new_labels:,})")
        changes.append(f"{policy.min_new_labels - now.n_new_labels:,} more labels")
    return tuple(held), tuple(changes)


def _facts(now: Measurement, drifted: tuple[str, ...], policy: Policy) -> tuple[str, ...]:
    facts = [_performance_fact(c) for c in now.performance]
    if now.performance_note:
        facts.append(now.performance_note)
    out = [d.column for d in now.drift if d.drifted]
    if drifted:
        facts.append(f"drift on {policy.k} of {policy.n} days in {', '.join(drifted)}")
    elif out:
        facts.append(f"out today only: {', '.join(out)}; a reason on {policy.k} of {policy.n} days")
    else:
        facts.append(f"no drift in {len(now.drift)} columns")
    return (*facts, *now.unknown, *now.health)


def _performance_fact(change: Change) -> str:
    return (
        f"{change.name} {change.current:.3g} in the last {change.n_days} days, {change.reference:.3g} before "
        f"(gain {change.lower:+.3g} to {change.upper:+.3g}): {'fell' if change.worse else 'holds'}"
    )


def _would_ask(policy: Policy) -> tuple[str, ...]:
    return (f"a real fall in performance, or drift on {policy.k} of {policy.n} days",)


def _made(
    now: Measurement, outcome: Outcome, reason: str, reasons: tuple[str, ...], changes: tuple[str, ...]
) -> TriggerDecision:
    identity = digest_of([now.model, now.as_of.isoformat(), "decision"])
    return TriggerDecision(identity, now.model, now.as_of, outcome, reason, reasons, changes)
