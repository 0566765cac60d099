"""How often a table without a time passes the gate after 50 versions: equal candidates, and those worse by the margin.

What runs is the product's: the split of each version, the rows that the champion's recipe learns again, the paired
comparison with its bounds, and `decide`. Tables are drawn from a population that stays the same, so a refresh is as
good as what it follows; each version lacks a tenth of the rows of the one before and has as many new ones. Trees are
fitted, which vary from fit to fit. What is worse has noise on its scores: as much as makes it worse, on a large sample,
than the opponent by just the margin, which is what the gate's error is stated for; and as much as costs the margin in
the mean of many fits, where a lucky fit beside an unlucky one is not worse by as much, and passes more often.

Beside it stands what was done before: one fifth for all versions, the champion as it is, and every verdict a look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from benchmarks.figures import Figure, Report
from retraining.data import rows
from retraining.evaluation.comparison import Comparison
from retraining.evaluation.holdout import Judged, Scored
from retraining.evaluation.standin import same_rows
from retraining.gate import Policy, decide
from retraining.records import digest_of
from retraining.spec import FrozenSpec, Spec
from retraining.stats.blocks import block_index, block_length
from retraining.stats.metrics import find_metric
from retraining.train import Labelled
from samples.records import champion, estimate, evaluation
from samples.tiny import SPEC, merged

N_RUNS, N_LOOKS = 60, 50
_N_ROWS, _N_NEW, _N_COLUMNS = 2_500, 250, 6
_FIT: dict[str, Any] = {"max_depth": 5, "min_samples_leaf": 20, "random_state": 0}
_SOME = 10
"""Looks that are taken together, at the beginning and at the end."""
_N_FITS, _N_LARGE = 40, 30_000
"""Fits and rows that the noise of the worse candidates is measured on."""
_AREA = find_metric("roc_auc", "binary")
_NOT_USED: Any = None
Drawn = tuple[NDArray[np.float64], NDArray[np.float64]]


def draw(random: np.random.Generator, n: int) -> Drawn:
    """Draw rows of the population: numbers, two of which say something, and the outcome."""
    x = random.normal(size=(n, _N_COLUMNS))
    y = (x[:, 0] + x[:, 1] * x[:, 2] + 1.5 * random.logistic(size=n) > 0).astype(float)
    return x, y


@dataclass(frozen=True)
class Version:
    """A version of a table: its rows as the pipeline locates them, by their keys, and which of them are held out."""

    located: pa.Table
    keys: NDArray[np.int64]
    held: NDArray[np.bool_]
    times: NDArray[np.datetime64]


@dataclass(frozen=True)
class Table:
    """Every row that a table will ever have, of which each version has some that follow each other."""

    frozen: FrozenSpec
    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def version(self, number: int, split: Callable[[FrozenSpec, pa.Table], pa.Table] = rows.split_anew) -> Version:
        """Return a version, split as ingestion does it."""
        first = number * _N_NEW
        keys = np.arange(first, first + _N_ROWS)
        plain = {"id": [f"r{key}" for key in keys], "x1": self.x[keys, 0], "y": self.y[keys]}
        located = split(self.frozen, rows.locate(self.frozen, pa.table(plain), rows.HASHED))
        found = located.column(self.frozen.spec.data.time).to_numpy().astype("datetime64[us]")
        start = np.datetime64(rows.HASHED_TEST.start.replace(tzinfo=None), "us")
        return Version(located, keys, found >= start, found)

    def fitted(self, keys: NDArray[np.int64]) -> DecisionTreeClassifier:
        """Fit the recipe on some rows."""
        return DecisionTreeClassifier(**_FIT).fit(self.x[keys], self.y[keys])

    def score(self, model: DecisionTreeClassifier, keys: NDArray[np.int64]) -> NDArray[np.float64]:
        """Predict some rows."""
        return np.asarray(model.predict_proba(self.x[keys])[:, 1])


@dataclass(frozen=True)
class Gate:
    """The gate of a model without a time, and how much noise costs a candidate the margin."""

    frozen: FrozenSpec
    noise: float
    large: Drawn

    def passes(self, version: Version, y: NDArray[np.float64], new: Any, old: Any, looks: int) -> bool:
        """Tell whether a refresh with these predictions of a version's holdout is promoted."""
        times = version.times[version.held]
        blocks = block_index(times, rows.HASHED_TEST.start, block_length(self.frozen.spec.gate))
        before = Scored(champion(), None, old)
        judged = Judged(_NOT_USED, Labelled(None, None, y, times, ()), new, old, blocks, None, before, None, before)
        rival = Comparison(self.frozen, judged, _AREA, looks).rival(before)
        assert rival is not None
        found = evaluation(
            rule="refresh",
            time_ordered=False,
            n_rows=len(y),
            n_blocks=int(blocks.max()) + 1,
            looks=looks,
            over_baseline=estimate(0.1, 0.3),
            baseline=0.5,
            champion=rival.figure,
            over_champion=rival.gain,
            opponent=rival,
        )
        return decide(found, Policy.of(self.frozen.spec)).decision == "promote"

    def spoil(self, random: np.random.Generator, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return predictions that are worse by the margin in the mean of many fits."""
        return p + self.noise * random.normal(size=len(p))

    def worse_than(
        self,
        random: np.random.Generator,
        new: DecisionTreeClassifier,
        old: DecisionTreeClassifier,
        p: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return a model's predictions with noise that makes it worse than another one by the margin, no less."""
        x, y = self.large
        mine, theirs = (model.predict_proba(x)[:, 1] for model in (new, old))
        noise = _noise_for([mine], y, roc_auc_score(y, theirs) - self.frozen.spec.gate.margin)
        return p + noise * random.normal(size=len(p))


def spec_without_time() -> FrozenSpec:
    """Return a small spec whose rows have no time."""
    nothing = {"data": dict.fromkeys(("time_column", "outcomes", "label_delay")), "training": {"window": None}}
    rest = {"gate": {"holdout": None, "min_rows": 200, "margin": 0.05}, "monitor": None, "checks": None}
    return FrozenSpec("benchmark", Spec.model_validate(merged(merged(SPEC, nothing), rest)), {})


def gate_of(frozen: FrozenSpec, n_fits: int = _N_FITS) -> Gate:
    """Find the noise that costs the margin in the mean of many fits."""
    random = np.random.default_rng(1)
    x, y = draw(random, _N_LARGE)
    fits = []
    for _ in range(n_fits):
        mine, truth = draw(random, _N_ROWS * 4 // 5)
        fits.append(DecisionTreeClassifier(**_FIT).fit(mine, truth).predict_proba(x)[:, 1])
    usual = float(np.mean([roc_auc_score(y, p) for p in fits]))
    return Gate(frozen, _noise_for(fits, y, usual - frozen.spec.gate.margin), (x, y))


def _noise_for(fits: Sequence[NDArray[np.float64]], y: NDArray[np.float64], area: float) -> float:
    """Return the noise at which models have an area under the curve in the mean; 0 where they have less without it."""
    spread, low, high = np.random.default_rng(2).normal(size=len(y)), 0.0, 2.0
    for _ in range(11):
        middle = (low + high) / 2
        found = float(np.mean([roc_auc_score(y, p + middle * spread) for p in fits]))
        low, high = (middle, high) if found > area else (low, middle)
    return high


def chain(gate: Gate, random: np.random.Generator, n_looks: int = N_LOOKS) -> Iterator[tuple[bool, bool, bool]]:
    """Yield for version after version whether an equal refresh passes, and whether one that is worse would.

    The one worse by the margin than its opponent, and the one worse in the mean of many fits.
    """
    table = Table(gate.frozen, *draw(random, _N_ROWS + n_looks * _N_NEW))
    live = table.version(0)
    for look in range(1, n_looks + 1):
        now = table.version(look)
        judged, y = now.keys[now.held], table.y[now.keys[now.held]]
        own = ~same_rows(live.located, now.located.filter(pa.array(now.held)), gate.frozen.spec.data)
        theirs, mine = table.fitted(live.keys[own]), table.fitted(now.keys[~now.held])
        old, new = table.score(theirs, judged), table.score(mine, judged)
        equal = gate.passes(now, y, new, old, 0)
        worse = (gate.worse_than(random, mine, theirs, new), gate.spoil(random, new))
        yield equal, *(gate.passes(now, y, p, old, 0) for p in worse)
        live = now if equal else live


def one_fifth(gate: Gate, random: np.random.Generator, look: int) -> bool:
    """Tell whether an equal refresh passed before, on the one fifth of all versions, after so many looks."""
    table = Table(gate.frozen, *draw(random, _N_ROWS + look * _N_NEW))
    before, now = (table.version(n, lambda _, located: located) for n in (look - 1, look))
    judged = now.keys[now.held]
    old, new = (table.score(table.fitted(v.keys[~v.held]), judged) for v in (before, now))
    return gate.passes(now, table.y[judged], new, old, look - 1)


def measure(_folder: Path, report: Report, n_runs: int = N_RUNS, n_looks: int = N_LOOKS) -> Iterator[Figure]:
    """Follow tables over many versions."""
    gate = gate_of(spec_without_time())
    report(f"margin {gate.frozen.spec.gate.margin:g}; noise of {gate.noise:.3f} costs it in the mean")
    passed = np.array([list(chain(gate, _random("chain", n), n_looks)) for n in range(n_runs)])
    fixed = {look: [one_fifth(gate, _random("fifth", n), look) for n in range(n_runs)] for look in (1, n_looks)}
    for look in (1, n_looks):
        equal, worse = passed[:, look - 1, 0], passed[:, look - 1, 1]
        before = f"on one fifth of all versions: {np.mean(fixed[look]):.1%}"
        yield _said(report, f"equal, look {look}", _share(equal), before, "the same at each look")
        yield _said(report, f"worse by the margin, look {look}", _share(worse), "", "at most 5 %")
    for what, some in (("first", passed[:, :_SOME]), ("last", passed[:, -_SOME:])):
        equal, worse = _by_tables(some[:, :, 0]), _by_tables(some[:, :, 1])
        yield _said(report, f"equal, the {what} {_SOME} looks", equal, "", "the same")
        yield _said(report, f"worse by the margin, the {what} {_SOME} looks", worse, "", "at most 5 %")
    text, mean = _by_tables(passed[:, :, 1]), _by_tables(passed[:, :, 2])
    yield _said(report, f"worse by the margin, all {n_looks} looks", text, "", "at most 5 %")
    yield _said(report, f"worse by it in the mean of fits, all {n_looks} looks", mean, "", "")


def _said(report: Report, what: str, value: str, ratio: str, target: str) -> Figure:
    figure = Figure(what, value, ratio, target)
    report(f"{what}: {value}; {ratio or target}")
    return figure


def _share(passed: NDArray[Any]) -> str:
    interval = stats.binomtest(int(passed.sum()), len(passed)).proportion_ci(0.95, "exact")
    return f"{passed.mean():.1%} ({interval.low:.1%} to {interval.high:.1%})"


def _by_tables(passed: NDArray[Any]) -> str:
    """Write a share with its 95 % interval, tables being the independent observations."""
    found = passed.mean(axis=1)
    low, high = stats.t.interval(0.95, len(found) - 1, found.mean(), stats.sem(found))
    return f"{found.mean():.1%} ({max(0.0, low):.1%} to {high:.1%}, by tables)"


def _random(what: str, number: int) -> np.random.Generator:
    return np.random.default_rng(int(digest_of(["gate without time", what, number])[:16], 16))
