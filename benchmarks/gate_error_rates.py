"""How often the gate is wrong: its own code on simulated scores whose truth is known, on tables of many kinds.

What runs is the product's: the figures of `evaluate`, the comparison of two recipes, and `decide` with the policy of an
example's YAML. Only the scores are drawn, with the flights' day effects (see `benchmarks.day_effects`).

First the shipped defaults: the flights as they are, on the default schedule. There the champion in office has learnt
the candidate's own rows and predicts the same; the opponent has learnt a holdout less; the anchor is another model, as
good as the opponent. Then holdouts of 1 to 28 days with 500 to 20,000 rows, 5 and 30 % of them positive, and days that
are independent or resemble the day before. There candidate and opponent are compared alone, and the candidate was not
chosen among others: champion and anchor can only block, and a choice widens the interval, so that both make wrong
promotions rarer. Each figure is of the first look at the rows, which may spend the most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.day_effects import ABSOLUTE, BINARY, Simulator, Week
from benchmarks.figures import Figure, Report, share
from benchmarks.judging import Gate, holdouts_of
from retraining.evaluation.rolled import Predicted
from retraining.gate.rivals import MIN_DAYS
from retraining.records import digest_of
from retraining.stats.metrics import Array

N_DEFAULT, N_RUNS = 5_000, 2_000
"""Runs of the shipped defaults, and of any other case that has a limit."""
N_LONG, N_POWER, N_BY_RULE = 1_000, 200, 10
"""Fewer runs: with 20,000 rows, where a verdict takes four times as long and the error is that of days, as with 6,000;
of powers, which have no limit (half as many with 20,000 rows); and where a rule decides before any figure does."""
DAYS, ROWS = (1, 2, 4, 7, 28), (500, 2_000, 6_000, 20_000)
POSITIVES, CORRELATIONS = (0.3, 0.05), (0.0, 0.3)
_MANY_ROWS = 20_000
_LIMITS, _SURE = {0.0: 0.05, 0.3: 0.06}, 0.99
"""Largest share of wrong promotions, by the correlation of days, and how sure it must be that a case is beyond it."""
_LOOKS, _ORIGINS, _ROUNDING = 5, 8, 1e-9
_RULES = ("refresh", "replace")


@dataclass(frozen=True)
class Table:
    """A user's table, as far as the gate's error depends on it: its holdout, and how its days differ."""

    n_days: int
    n_rows: int
    positives: float
    correlation: float

    @property
    def simulator(self) -> Simulator:
        """What draws its holdouts."""
        return BINARY.of_table(self.n_days, self.n_rows, self.positives, self.correlation)

    @property
    def limit(self) -> float:
        """The largest share of wrong promotions."""
        return _LIMITS[self.correlation]

    def __str__(self) -> str:
        alike = f", days correlated by {self.correlation:g}" if self.correlation else ""
        return f"{self.n_days}d, {self.n_rows:,} rows, {self.positives:.0%} positive{alike}"


@dataclass
class Counts:
    """How many of the runs of one truth were promoted, by rule, and how many are better on the rows."""

    n_runs: Counter[str] = field(default_factory=Counter)
    promoted: Counter[str] = field(default_factory=Counter)

    def add(self, promoted: Mapping[str, bool]) -> None:
        """Count one run by the rules that it was judged by."""
        self.n_runs.update(promoted.keys())
        self.promoted.update(rule for rule, passed in promoted.items() if passed)

    def rate(self, rule: str) -> float:
        """Return the share that was promoted."""
        return self.promoted[rule] / self.n_runs[rule]

    def said(self, rule: str) -> str:
        """Write the share with its interval."""
        return share(self.promoted[rule], self.n_runs[rule])

    def beyond(self, rule: str, limit: float) -> bool:
        """Tell whether the share is shown to be beyond a limit, by its exact lower bound (Clopper and Pearson 1934)."""
        count = self.promoted[rule]
        return bool(count and stats.beta.ppf(1 - _SURE, count, self.n_runs[rule] - count + 1) > limit)


def promoted(
    gate: Gate, newest: Predicted, rules: Sequence[str] = _RULES, anchor: Array | None = None
) -> dict[str, bool]:
    """Judge one candidate by some rules on the same holdout; what cannot pass by days alone is not judged further.

    That nothing is spared which the gate would have promoted is checked on whatever is judged.
    """
    gain, reach = gate.quickly([newest], gate.alpha())
    found = {"new >= old": gain >= 0, **dict.fromkeys(rules, False)}
    refresh = None
    if "refresh" in rules and gain - reach > -gate.margin:
        refresh = gate.as_refresh(newest, anchor=anchor)
        found["refresh"] = gate.decision(refresh) == "promote"
        over = refresh.opponent.gain if refresh.opponent is not None else None
        assert over is None or not over.lower > gain - reach + _ROUNDING, "the gate's interval is the narrower one"
    if "replace" in rules and gain > reach:
        found["replace"] = gate.decision(gate.as_replacement([newest], refresh=refresh)) == "promote"
    return found


def measure(_folder: Path, report: Report) -> Iterator[Figure]:
    """Judge the shipped defaults, then tables of other kinds, and print the tables of the documentation."""
    beyond: list[bool] = []
    for model, simulator in (("flight_delay", BINARY), ("arrival_delay", ABSOLUTE)):
        report(f"{model}: {simulator.like}")
        report(f"{model}: {simulator.effects}")
        yield from _defaults(model, simulator, report, beyond)
    alike = replace(BINARY, day_correlation=CORRELATIONS[-1])
    yield from _defaults("flight_delay", alike, report, beyond)
    yield _family(report, beyond)
    for n_days in (n for n in DAYS if n < MIN_DAYS):
        yield by_rule(n_days, report)
    rates: dict[Table, dict[str, Counts]] = {}
    for parts in product((n for n in DAYS if n >= MIN_DAYS), ROWS, POSITIVES, CORRELATIONS):
        table = Table(*parts)
        few = table.n_rows >= _MANY_ROWS
        rates[table] = judged(table, N_LONG if few else N_RUNS, N_POWER // 2 if few else N_POWER)
        yield _figure(table, rates[table], report, beyond)
    for line in (*_markdown(rates, _WRONG), "", *_markdown(rates, _POWERS)):
        report(line)
    for parts in product(ROWS[:2], POSITIVES, CORRELATIONS):
        yield _eight(Table(7, *parts), report, beyond)
    yield Figure("cases with a limit that are beyond it", f"{sum(beyond)} of {len(beyond)}", "", "none")


# --- the shipped defaults -----------------------------------------------------------------------------------------


def _defaults(model: str, simulator: Simulator, report: Report, beyond: list[bool]) -> Iterator[Figure]:
    gate, blocks = Gate.of(model, simulator.n_days), simulator.blocks()
    m, as_good, correlation = gate.margin, simulator.shift_for(0.0), simulator.day_correlation
    limit = _LIMITS[correlation]
    for truth, difference in (("worse", -m), ("equal", 0.0), ("better", 2 * m)):
        what = f"{model}{f', days correlated by {correlation:g}' if correlation else ''}, {truth}"
        random, shifts, counts = _random(what), (simulator.shift_for(difference), as_good), Counts()
        wrong = [rule for rule in _RULES if difference < 0 or (difference == 0 and rule == "replace")]
        for run in range(N_DEFAULT if wrong else N_RUNS):
            week, anchor = simulator.draw_each(random, shifts, blocks)
            rules = _RULES if run < N_RUNS else wrong
            counts.add(promoted(gate, holdouts_of(week)[0], rules, anchor.new))
        for rule in _RULES:
            if rule in wrong:
                beyond.append(counts.beyond(rule, limit))
            target = f"at most {limit:.0%}" if rule in wrong else "at least 80 %"
            naive = f"new >= old: {counts.rate('new >= old'):.1%}"
            by = f" by {abs(difference):g}" if difference else ""
            figure = Figure(f"{what}{by}: {rule}", counts.said(rule), naive, target)
            report(f"{figure.what}: {figure.value}; {naive}; {target}")
            yield figure


def _family(report: Report, beyond: list[bool]) -> Figure:
    """Judge five candidates on the same rows, none of them better; one promotion is one too many."""
    gate, random, counts = Gate.of("flight_delay", alone=True), _random("family"), Counts()
    shift, blocks = BINARY.shift_for(0.0), BINARY.blocks()
    for _ in range(N_DEFAULT):
        weeks = [holdouts_of(week) for week in BINARY.draw(random, shift, blocks, _LOOKS)]
        passed = [
            gate.may_pass(w, k) and gate.decision(gate.as_replacement(w, k)) == "promote" for k, w in enumerate(weeks)
        ]
        counts.add({"replace": any(passed)})
    beyond.append(counts.beyond("replace", _LIMITS[0.0]))
    what = f"{_LOOKS} candidates in turn on the same rows, all equal: replace promotes any"
    report(f"{what}: {counts.said('replace')}")
    return Figure(what, counts.said("replace"), "", f"at most {_LIMITS[0.0]:.0%}")


# --- tables of other kinds ----------------------------------------------------------------------------------------


def judged(table: Table, n_runs: int, n_power: int) -> dict[str, Counts]:
    """Judge candidates that are worse by the margin, equal, and better by twice the margin, by truth.

    The three share their draws: the same rows, the same opponent, and a candidate that separates them less or more.
    """
    simulator, gate, random = table.simulator, Gate.of("flight_delay", table.n_days, alone=True), _random(str(table))
    truths = {"worse": -gate.margin, "equal": 0.0, "better": 2 * gate.margin}
    shifts = {truth: simulator.shift_for(difference) for truth, difference in truths.items()}
    blocks, found = simulator.blocks(), {truth: Counts() for truth in truths}
    for run in range(n_runs):
        drawn = simulator.draw(random, 0.0, blocks)[0]
        for truth, counts in found.items():
            rules = _RULES if run < n_power else [rule for t, rule in _WRONG if t == truth]
            if rules:
                counts.add(promoted(gate, _newest(simulator.shifted(drawn, shifts[truth]), table), rules))
    return found


def by_rule(n_days: int, report: Report) -> Figure:
    """Judge better candidates on holdouts that are too short, by both rules, as a replacement over eight of them."""
    decisions: Counter[str] = Counter()
    for parts in product(ROWS, POSITIVES, CORRELATIONS):
        table, gate = Table(n_days, *parts), Gate.of("flight_delay", n_days)
        simulator, random = _several(table), _random(str(table))
        shift, blocks = simulator.shift_for(2 * gate.margin), simulator.blocks()
        for _ in range(N_BY_RULE):
            weeks = holdouts_of(simulator.draw(random, shift, blocks)[0], n_days)
            decisions.update(gate.decision(e) for e in (gate.as_refresh(weeks[-1]), gate.as_replacement(weeks)))
    text = ", ".join(f"{n} {decision}" for decision, n in sorted(decisions.items()))
    figure = Figure(f"{n_days}d, fewer than {MIN_DAYS} distinct days", text, "", "all inconclusive")
    report(f"{figure.what}: {figure.value}; {figure.target}")
    return figure


def _eight(table: Table, report: Report, beyond: list[bool]) -> Figure:
    """Judge equal and better recipes over eight holdouts at once, as a replacement is by default."""
    simulator, random = _several(table), _random("eight", str(table))
    gate, blocks = Gate.of("flight_delay", table.n_days, alone=True), simulator.blocks()
    found = {0.0: Counts(), gate.margin: Counts()}
    shifts = {difference: simulator.shift_for(difference) for difference in found}
    for run in range(N_RUNS):
        drawn = simulator.draw(random, 0.0, blocks)[0]
        for difference, counts in found.items():
            if difference and run >= N_POWER:
                continue
            weeks = holdouts_of(simulator.shifted(drawn, shifts[difference]), table.n_days)
            passed = gate.may_pass(weeks) and gate.decision(gate.as_replacement(weeks)) == "promote"
            counts.add({"replace": passed})
    equal, better = found.values()
    beyond.append(equal.beyond("replace", table.limit))
    power = f"better by {gate.margin:g} passes: {better.said('replace')}"
    target = f"at most {table.limit:.0%}"
    figure = Figure(f"replace over {_ORIGINS} holdouts of {table}: equal", equal.said("replace"), power, target)
    report(f"{figure.what}: {figure.value}; {power}; {target}{' BEYOND' if beyond[-1] else ''}")
    return figure


def _several(table: Table) -> Simulator:
    return BINARY.of_table(_ORIGINS * table.n_days, _ORIGINS * table.n_rows, table.positives, table.correlation)


def _newest(week: Week, table: Table) -> Predicted:
    return holdouts_of(week, table.n_days)[-1]


def _figure(table: Table, found: dict[str, Counts], report: Report, beyond: list[bool]) -> Figure:
    wrong = [found[truth].beyond(rule, table.limit) for truth, rule in _WRONG]
    beyond.extend(wrong)
    value, ratio = (
        ", ".join(f"{truth} by {rule} {found[truth].said(rule)}" for truth, rule in pairs)
        for pairs in (_WRONG, (*_POWERS, ("better", "refresh")))
    )
    figure = Figure(str(table), value, ratio, f"at most {table.limit:.0%}")
    report(f"{table}: {value}; {ratio}; {figure.target}{' BEYOND' if any(wrong) else ''}")
    return figure


_WRONG, _POWERS = (("worse", "refresh"), ("equal", "replace")), (("equal", "refresh"), ("better", "replace"))
"""What is shown in a table of the documentation: what must not be promoted, and what should be."""


def _markdown(rates: dict[Table, dict[str, Counts]], pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Write promotions in per cent, a row per holdout; without and with correlated days in one cell."""
    heads = [f"{truth}, `{rule}`, {p:.0%} positive" for truth, rule in pairs for p in POSITIVES]
    yield f"| holdout | rows | {' | '.join(heads)} |"
    yield f"|---|---|{'---|' * len(heads)}"
    for n_days, n_rows in dict.fromkeys((table.n_days, table.n_rows) for table in rates):
        cells = (
            " / ".join(f"{100 * rates[Table(n_days, n_rows, p, c)][truth].rate(rule):.1f}" for c in CORRELATIONS)
            for truth, rule in pairs
            for p in POSITIVES
        )
        yield f"| {n_days} days | {n_rows:,} | {' | '.join(cells)} |"


def _random(*what: str) -> np.random.Generator:
    """Return draws of a case's own, the same in every process."""
    return np.random.default_rng(int(digest_of(["gate error rates", *what])[:16], 16))
