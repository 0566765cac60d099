"""How often the gate is wrong: its own code on simulated scores whose truth is known, with the flights' day effects.

What runs is the product's: the figures of `evaluate`, the paired difference with its bounds, and `decide` with the
policy of the example's YAML. Only the scores are drawn, see `benchmarks.day_effects`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.day_effects import ABSOLUTE, BINARY, N_PARTS, Simulator, Week
from benchmarks.figures import Figure, Report
from benchmarks.processes import ROOT
from retraining.evaluation.comparison import figures_of
from retraining.evaluation.holdout import Judged, Scored
from retraining.gate import Policy, decide
from retraining.records import digest_of
from retraining.spec import FrozenSpec, load
from retraining.stats.blocks import block_days, block_index, block_length
from retraining.stats.metrics import find_metric
from retraining.train import Labelled
from samples.records import champion, evaluation

N_RUNS = 5_000
_LOOKS = 5
_NOT_USED: Any = None
"""The model itself: only its scores are judged here."""
_START = datetime(2024, 1, 1, tzinfo=UTC)
_RULES: tuple[Any, ...] = ("refresh", "replace")


@dataclass(frozen=True)
class Setting:
    """A model's spec and policy, and where the simulated rows lie in its holdout."""

    frozen: FrozenSpec
    simulator: Simulator

    @classmethod
    def of(cls, model: str, simulator: Simulator) -> Setting:
        """Take the spec of an example; the holdout is as long as the simulated one."""
        frozen = load(ROOT / "include" / "models" / f"{model}.yaml")
        gate = frozen.spec.gate.model_copy(update={"holdout": timedelta(days=simulator.n_days)})
        return cls(replace(frozen, spec=frozen.spec.model_copy(update={"gate": gate})), simulator)

    @property
    def margin(self) -> float:
        """The YAML's margin."""
        return self.frozen.spec.gate.margin

    def judge(self, week: Week, looks: int = 0) -> dict[str, bool]:
        """Judge one candidate by both rules, and by `new >= old`."""
        spec = self.frozen.spec
        metric = find_metric(spec.training.metric, spec.training.task)
        times = np.datetime64(_START.replace(tzinfo=None), "us") + week.block * np.timedelta64(24 // N_PARTS, "h")
        length = block_length(spec.gate)
        blocks, days = block_index(times, _START, length), block_days(times, _START, length)
        constant = np.full(len(week.y), float(np.median(week.y)))
        data = Labelled(None, None, week.y, times, ())
        before = Scored(champion(), None, week.old)
        judged = Judged(_NOT_USED, data, week.new, constant, blocks, days, champion=before, opponent=before)
        figures = figures_of(self.frozen, judged, metric, looks)
        found = evaluation(
            **figures,
            metric=metric.name,
            greater_is_better=metric.greater_is_better,
            n_rows=len(week.y),
            n_blocks=int(blocks.max()) + 1,
            n_classes=2 if spec.training.task == "binary" else None,
            looks=looks,
            confidence=spec.gate.confidence,
        )
        policy = Policy.of(spec)
        promoted = {rule: decide(replace(found, rule=rule), policy).decision == "promote" for rule in _RULES}
        sign = 1 if metric.greater_is_better else -1
        return {**promoted, "new >= old": bool(sign * (figures["candidate"] - figures["champion"]) >= 0)}


def measure(_folder: Path, report: Report, n_runs: int = N_RUNS) -> Iterator[Figure]:
    """Judge `n_runs` candidates per case."""
    for model, like in (("flight_delay", BINARY), ("arrival_delay", ABSOLUTE)):
        report(f"{model}: {like.like}")
        report(f"{model}: {like.effects}")
        for kind, simulator in (("day effects", like), ("independent rows", like.without_day_effects())):
            setting = Setting.of(model, simulator)
            m = setting.margin
            for truth, difference in ((f"worse by {m:g}", -m), ("equal", 0.0), (f"better by {2 * m:g}", 2 * m)):
                yield from _case(f"{model}, {kind}, {truth}", setting, difference, n_runs, report)
    power = replace(BINARY, n_days=21, rows_a_day=round(20_000 / 21))
    for kind, simulator in (("day effects", power), ("independent rows", power.without_day_effects())):
        setting = Setting.of("flight_delay", simulator)
        yield from _case(f"power, 20,000 rows in 21 days, {kind}, better by 0.01", setting, 0.01, n_runs, report)
    yield from _family(Setting.of("flight_delay", BINARY), n_runs, report)


def _case(what: str, setting: Setting, difference: float, n_runs: int, report: Report) -> Iterator[Figure]:
    simulator, random = setting.simulator, np.random.default_rng(_seed(what))
    shift, blocks = simulator.shift_for(difference), simulator.blocks()
    counts: dict[str, int] = {}
    for _ in range(n_runs):
        for rule, promoted in setting.judge(simulator.draw(random, shift, blocks)[0]).items():
            counts[rule] = counts.get(rule, 0) + promoted
    naive = f"new >= old: {counts['new >= old'] / n_runs:.1%}"
    for rule in _RULES:
        target = "" if what.startswith("power") else _target(rule, difference)
        figure = Figure(f"{what}: {rule}", _share(counts[rule], n_runs), naive, target)
        report(f"{figure.what}: {figure.value}; {naive}; {target}")
        yield figure


def _target(rule: str, difference: float) -> str:
    if difference < 0:
        return "at most 5 %, bound 6 %"
    if difference == 0 and rule == "replace":
        return "at most 5 %"
    return "at least 80 %"


def _family(setting: Setting, n_runs: int, report: Report) -> Iterator[Figure]:
    """Judge five candidates on the same rows, none of them better; one promotion is one too many."""
    simulator, random, wrong, naive = setting.simulator, np.random.default_rng(_seed("family")), 0, 0
    shift, blocks = simulator.shift_for(0.0), simulator.blocks()
    for _ in range(n_runs):
        weeks = simulator.draw(random, shift, blocks, _LOOKS)
        judged = [setting.judge(week, looks) for looks, week in enumerate(weeks)]
        wrong += any(j["replace"] for j in judged)
        naive += any(j["new >= old"] for j in judged)
    what = f"{_LOOKS} candidates in turn on the same rows, all equal: replace promotes any"
    figure = Figure(what, _share(wrong, n_runs), f"new >= old: {naive / n_runs:.1%}", "at most 5 %")
    report(f"{figure.what}: {figure.value}; {figure.ratio}")
    yield figure


def _share(count: int, n: int) -> str:
    """Write a share with its exact two-sided 95 % interval (Clopper and Pearson 1934)."""
    interval = stats.binomtest(count, n).proportion_ci(0.95, "exact")
    return f"{count / n:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def _seed(text: str) -> int:
    """Return a seed for a case, the same in every process."""
    return int(digest_of(["gate error rates", text])[:16], 16)
