"""How the paired difference of two models varies by day on the flights, and scores that vary the same way.

The fit: each week from April to December is judged by the model trained to its start and by the one a week older. The
difference is split into what each row contributes (for ROC AUC its influence, Hanley and McNeil 1982; DeLong 1988),
and the contributions into variance between days, between 6-hour blocks of a day and between rows, by the nested
analysis of variance (Searle, Casella and McCulloch 1992, chapter 5). Weeks differ in how much their days vary, so the
effects of a week share a log-normal scale.

The flights have 24 % positives, some 6,300 rows a week, and day effects that are fitted as independent. Tables of other
users differ, so `Simulator.of_table` draws other shares, numbers of rows and days that resemble the day before. What is
assumed there: the models' scores move by day and block as on the flights, on the scale of the scores, whatever the
share of positives is. The part per row is then larger the fewer positives there are; that follows from the draws. No
table with 5 % positives was measured for it.

`python -m benchmarks.day_effects` repeats the fit and prints the constants at the end of this file (ten minutes).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.figures import Report
from benchmarks.flights import WEEK, Flights, read
from benchmarks.processes import quiet
from retraining.records import Window
from retraining.stats.metrics import Array

N_DAYS, N_PARTS = 7, 4
"""Days of a week and 6-hour blocks of a day."""


@dataclass(frozen=True)
class Week:
    """A week's rows: its 6-hour block from 0 to 27, the truth, and the predictions of the two models."""

    block: NDArray[np.int64]
    y: Array
    new: Array
    old: Array


@dataclass(frozen=True)
class Variation:
    """How a paired difference varies: variances of the contributions, and how weeks and levels differ.

    `level` is the figure of the older model; `spread_week` the standard deviation of the log of a week's error.
    `outcome_day` and `outcome_block` are standard deviations of the log odds of the outcome (binary) or of the log of
    the mean absolute error (regression).
    """

    day: float
    block: float
    row: float
    spread_week: float
    level: float
    outcome: float
    outcome_day: float
    outcome_block: float


def area_contributions(y: Array, p: Array) -> tuple[float, Array]:
    """Return the area under the ROC curve and each row's influence on it."""
    positive = y == 1
    rank = stats.rankdata(p)
    above = (rank[positive] - stats.rankdata(p[positive])) / (~positive).sum()
    below = 1 - (rank[~positive] - stats.rankdata(p[~positive])) / positive.sum()
    area, share = float(above.mean()), float(positive.mean())
    found = np.empty(len(y))
    found[positive], found[~positive] = (above - area) / share, (below - area) / (1 - share)
    return area, found


def binary_contributions(week: Week) -> tuple[float, Array]:
    """Return the older model's area and each row's contribution to the paired difference."""
    area, old = area_contributions(week.y, week.old)
    return area, area_contributions(week.y, week.new)[1] - old


def absolute_contributions(week: Week) -> tuple[float, Array]:
    """Return the older model's mean absolute error and each row's contribution to the paired difference."""
    error = np.abs(week.y - week.old)
    gain = error - np.abs(week.y - week.new)
    return float(error.mean()), gain - gain.mean()


def variation(weeks: Iterable[Week], *, binary: bool) -> Variation:
    """Fit the variation of the paired difference to weeks."""
    contributions = binary_contributions if binary else absolute_contributions
    squares, degrees, sizes = np.zeros(3), np.zeros(3), np.zeros((3, 3))
    errors, levels, outcomes = [], [], []
    for week in weeks:
        level, values = contributions(week)
        one = np.ones(len(values))
        count, total = (np.bincount(week.block, v, N_DAYS * N_PARTS).reshape(N_DAYS, N_PARTS) for v in (one, values))
        days, totals = count.sum(axis=1), total.sum(axis=1)
        between_blocks, between_days = float((total**2 / count).sum()), float((totals**2 / days).sum())
        squares += [between_days, between_blocks - between_days, float((values**2).sum()) - between_blocks]
        degrees += [N_DAYS - 1, N_DAYS * (N_PARTS - 1), len(values) - N_DAYS * N_PARTS]
        nested = float(((count**2).sum(axis=1) / days).sum())
        sizes[0, :2] += [len(values) - (days**2).sum() / len(values), nested - (count**2).sum() / len(values)]
        sizes[1, 1] += len(values) - nested
        errors.append(np.log((totals**2).sum()) / 2)
        levels.append(level)
        outcomes.append(_outcome(week, count, binary=binary))
    row = squares[2] / degrees[2]
    block = max(0.0, (squares[1] - degrees[1] * row) / sizes[1, 1])
    day = max(0.0, (squares[0] - degrees[0] * row - sizes[0, 1] * block) / sizes[0, 0])
    outcome, outcome_day, outcome_block = np.mean(outcomes, axis=0)
    spread = float(np.std(errors, ddof=1))
    figures = (day, block, row, spread, np.mean(levels), outcome, outcome_day**0.5, outcome_block**0.5)
    return Variation(*(float(f"{figure:.4g}") for figure in figures))


def _outcome(week: Week, count: Array, *, binary: bool) -> tuple[float, float, float]:
    """Return the outcome's mean, and its variance between days and between blocks of a day on the log scale."""
    value = week.y if binary else np.abs(week.y - week.old)
    total = np.bincount(week.block, value, N_DAYS * N_PARTS).reshape(N_DAYS, N_PARTS)
    if binary:  # half a row on either side keeps the logarithm finite (Cox 1970)
        blocks = np.log((total + 0.5) / (count - total + 0.5))
        noise = 1 / (total + 0.5) + 1 / (count - total + 0.5)
    else:
        blocks, noise = np.log(total / count), value.var() / value.mean() ** 2 / count
    within = max(0.0, float(blocks.var(axis=1, ddof=1).mean() - noise.mean()))
    between = max(0.0, float(blocks.mean(axis=1).var(ddof=1)) - (within + float(noise.mean())) / N_PARTS)
    return float(value.mean()), between, within


def day_correlation(weeks: Iterable[Week], *, binary: bool) -> float:
    """Return the correlation of a day's mean gain with that of the day before, over successive weeks.

    That is the autocorrelation at lag one (Box and Jenkins 1970, chapter 2). Of n independent days its standard error
    is 1 / sqrt(n) (Bartlett 1946). A day's mean gain has parts of blocks and rows in it, which are independent: of the
    flights' 266 days it is 0.17, with an error of 0.06, and the part that moves by days is two fifths of the variance.
    """
    days = []
    for week in weeks:
        level, values = (binary_contributions if binary else absolute_contributions)(week)
        newer = area_contributions(week.y, week.new)[0] if binary else float(np.abs(week.y - week.new).mean())
        day = week.block // N_PARTS
        mean = np.bincount(day, values, N_DAYS) / np.bincount(day, minlength=N_DAYS)
        days.append(mean + (newer - level if binary else level - newer))
    gains = np.concatenate(days)
    gains -= gains.mean()
    return float((gains[1:] @ gains[:-1]) / (gains @ gains))


def weeks_of(flights: Flights) -> list[Week]:
    """Return each week of the year with the predictions of two successive weekly refreshes."""
    found, older = [], flights.fitted(flights.cutoffs[0])
    for end in flights.cutoffs[1:]:
        newer = flights.fitted(end)
        rows = flights.within(Window(end, end + WEEK))
        start = np.datetime64(end.replace(tzinfo=None), "us")
        block = ((flights.times[rows] - start) // np.timedelta64(24 // N_PARTS, "h")).astype(np.int64)
        new, old = flights.predictions(newer, rows), flights.predictions(older, rows)
        found.append(Week(block, flights.y[rows], new, old))
        older = newer
    return found


def shares(weeks: list[Week]) -> tuple[float, ...]:
    """Return which share of a day's rows each of its 6-hour blocks has."""
    count = np.bincount(np.concatenate([w.block for w in weeks]) % N_PARTS, minlength=N_PARTS)
    return tuple(round(float(c), 4) for c in count / count.sum())


# --- the scores that vary the same way ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Effects:
    """A generator's parameters: standard deviations of day, block and row effects, and of a week's log scale."""

    day: float
    block: float
    row: float
    week: float


@dataclass(frozen=True)
class Simulator:
    """Draws weeks of rows with known truth.

    Binary: scores are normal, shifted by a separation where the outcome is 1; the newer model's separation moves by
    day and block, and the two models share all but `row` of a score's noise. Regression: the newer model takes away
    a share of the older model's error, which moves by day and block, and adds noise of size `row`.
    """

    binary: bool
    like: Variation
    effects: Effects
    shares: tuple[float, ...]
    rows_a_day: int
    n_days: int = N_DAYS
    n_rows: int | None = None
    """Rows of all days together, where it is not the same number each day."""
    day_correlation: float = 0.0
    """Correlation of the day's effect with that of the day before, 0 to 1: an autoregressive process of first order,
    AR(1) (Box and Jenkins 1970, Time series analysis, chapter 3), with the same variance of a day. It is of what moves
    by whole days, in the difference and in the outcome; what moves by 6-hour blocks and by rows stays independent."""

    def of_table(self, n_days: int, n_rows: int, positives: float, day_correlation: float) -> Simulator:
        """Return the generator of another binary table's holdout.

        Parameters
        ----------
        n_rows
            Of the whole holdout.
        positives
            Share of rows whose outcome is 1, over all days.
        day_correlation
            Of the effect of a day with that of the day before.
        """
        like = replace(self.like, outcome=positives)
        return replace(self, like=like, n_days=n_days, n_rows=n_rows, day_correlation=day_correlation)

    def blocks(self) -> NDArray[np.int64]:
        """Return each row's 6-hour block, in order."""
        if self.n_rows is not None:
            share = np.cumsum(np.tile(self.shares, self.n_days)) / (sum(self.shares) * self.n_days)
            counts = np.diff(np.round(share * self.n_rows).astype(int), prepend=0)
            return np.repeat(np.arange(N_PARTS * self.n_days), counts)
        a_day = np.round(np.array(self.shares) * self.rows_a_day).astype(int)
        return np.repeat(np.arange(N_PARTS * self.n_days), np.tile(a_day, self.n_days))

    def _effect(self, random: np.random.Generator) -> Array:
        """Draw the difference's effect per 6-hour block; the mean square of a week's scale is 1."""
        e, n_weeks = self.effects, -(-self.n_days // N_DAYS)
        scale = np.exp(e.week * random.normal(size=n_weeks) - e.week**2)
        scale = np.repeat(scale, N_DAYS)[: self.n_days, None]
        days = e.day * self._days(random)
        return np.asarray(scale * (days + e.block * random.normal(size=(self.n_days, N_PARTS)))).ravel()

    def _outcome(self, random: np.random.Generator) -> Array:
        day = self.like.outcome_day * self._days(random)
        return np.asarray(day + self.like.outcome_block * random.normal(size=(self.n_days, N_PARTS))).ravel()

    def _days(self, random: np.random.Generator) -> Array:
        """Draw an effect per day, shape (n_days, 1): each with variance 1, correlated with the day before."""
        found, kept = random.normal(size=(self.n_days, 1)), self.day_correlation
        for day in range(1, self.n_days if kept else 0):
            found[day] = kept * found[day - 1] + np.sqrt(1 - kept**2) * found[day]
        return found

    def draw(self, random: np.random.Generator, shift: float, blocks: NDArray[np.int64], n_new: int = 1) -> list[Week]:
        """Draw one week; several candidates share its rows and the older model."""
        return self.draw_each(random, [shift] * n_new, blocks)

    def draw_each(self, random: np.random.Generator, shifts: Sequence[float], blocks: NDArray[np.int64]) -> list[Week]:
        """Draw one week, with a candidate for each shift: they share its rows and the older model."""
        outcome = self._outcome(random)[blocks]
        make = self._binary if self.binary else self._regression
        return make(random, shifts, blocks, outcome)

    def _binary(
        self, random: np.random.Generator, shifts: Sequence[float], blocks: NDArray[np.int64], outcome: Array
    ) -> list[Week]:
        n, separation = len(blocks), np.sqrt(2) * stats.norm.ppf(self.like.level)
        odds = self._base_odds() + outcome
        y = (random.random(n) < 1 / (1 + np.exp(-odds))).astype(float)
        shared = random.normal(size=n) * np.sqrt(1 - self.effects.row)
        own = np.sqrt(self.effects.row)
        old = shared + own * random.normal(size=n) + separation * y
        return [
            Week(blocks, y, shared + own * random.normal(size=n) + (separation + shift + moved[blocks]) * y, old)
            for shift, moved in ((shift, self._effect(random)) for shift in shifts)
        ]

    def _base_odds(self) -> float:
        """Return the log odds whose mean share of outcomes is the fitted one."""
        sd = np.hypot(self.like.outcome_day, self.like.outcome_block)
        nodes, weights = np.polynomial.hermite_e.hermegauss(30)
        grid = np.linspace(-6, 6, 1201)
        mean = (weights / weights.sum()) @ (1 / (1 + np.exp(-(grid[None, :] + sd * nodes[:, None]))))
        return float(np.interp(self.like.outcome, mean, grid))

    def _regression(
        self, random: np.random.Generator, shifts: Sequence[float], blocks: NDArray[np.int64], outcome: Array
    ) -> list[Week]:
        n = len(blocks)
        spread = self.like.outcome_day**2 + self.like.outcome_block**2
        size = self.like.outcome / _MEAN_T * np.exp(outcome - spread / 2)
        error = size * random.standard_t(_TAIL, n)
        old = 2 * self.like.outcome * random.normal(size=n)  # a signal that the baseline does not have
        return [
            Week(
                blocks,
                old + error,
                old + (shift + moved[blocks]) * error + self.effects.row * random.normal(size=n),
                old,
            )
            for shift, moved in ((shift, self._effect(random)) for shift in shifts)
        ]

    def shifted(self, week: Week, by: float) -> Week:
        """Return the same binary rows with a newer model that is better by so much more of its separation."""
        return replace(week, new=week.new + by * week.y)

    def true_difference(self, shift: float) -> float:
        """Return how much better the newer model truly is: the population's difference, day effects integrated out.

        Binary: the closed form of normal scores (the separation of a random day is normal given the week's scale).
        Regression: the mean over a fixed sample of `_TRUTH_ROWS` rows, each of a day of its own; the noise is
        integrated in closed form, and each day is taken with its opposite.
        """
        e = self.effects
        if self.binary:
            separation = np.sqrt(2) * stats.norm.ppf(self.like.level)
            nodes, weights = np.polynomial.hermite_e.hermegauss(40)
            scale = np.exp(e.week * nodes - e.week**2)
            spread = 2 + scale**2 * (e.day**2 + e.block**2)
            areas = stats.norm.cdf((separation + shift) / np.sqrt(spread))
            return float((weights / weights.sum()) @ areas - self.like.level)
        error, moved = _truth_sample(self.like, e)
        left = [_mean_absolute(error * (1 - shift - sign * moved), e.row) for sign in (1, -1)]
        return float(np.mean(np.abs(error) - (left[0] + left[1]) / 2))

    def shift_for(self, difference: float) -> float:
        """Return the shift whose true difference is the one wanted."""
        low, high = (-2.0, 2.0) if self.binary else (-0.9, 0.9)
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.true_difference(middle) < difference else (low, middle)
        return (low + high) / 2


_TAIL = 3.0
"""Degrees of freedom of the errors: a few flights are hours late."""
_MEAN_T = float(2 * np.sqrt(3) / np.pi)
"""The mean absolute value of Student's t with 3 degrees of freedom."""
_TRUTH_ROWS = 2_000_000
"""The mean's standard error is then below a hundredth of that of a week."""


@lru_cache(maxsize=1)
def _truth_sample(like: Variation, e: Effects) -> tuple[Array, Array]:
    """Draw errors of the older model, and by which share the newer one takes them away."""
    random, n = np.random.default_rng(20130101), _TRUTH_ROWS
    spread = np.hypot(like.outcome_day, like.outcome_block)
    size = like.outcome / _MEAN_T * np.exp(spread * random.normal(size=n) - spread**2 / 2)
    moved = np.hypot(e.day, e.block) * random.normal(size=n) * np.exp(e.week * random.normal(size=n) - e.week**2)
    return size * random.standard_t(_TAIL, n), moved


def _mean_absolute(mean: Array, sd: float) -> Array:
    """Return the mean absolute value of normal numbers (the folded normal distribution, Leone and others 1961)."""
    ratio = mean / sd
    return np.asarray(sd * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + mean * (1 - 2 * stats.norm.cdf(-ratio)))


def calibrated(
    like: Variation, share: tuple[float, ...], rows_a_day: int, *, binary: bool, report: Report
) -> Simulator:
    """Find the effects for which simulated weeks have the fitted variation, by repeating the same fit on them."""
    slope = stats.norm.pdf(stats.norm.ppf(like.level)) / np.sqrt(2) if binary else like.outcome
    row = 0.05 if binary else like.row**0.5
    effects = Effects(like.day**0.5 / slope, like.block**0.5 / slope, row, 0.5)
    simulator = Simulator(binary, like, effects, share, rows_a_day)
    tried = []
    for turn in range(_TURNS):
        found = variation(_draws(simulator, turn), binary=binary)
        e = simulator.effects
        effects = Effects(
            e.day * _ratio(like.day, found.day) ** 0.5,
            e.block * _ratio(like.block, found.block) ** 0.5,
            e.row * _ratio(like.row, found.row) ** (1.0 if binary else 0.5),
            max(0.0, e.week**2 + like.spread_week**2 - found.spread_week**2) ** 0.5,
        )
        simulator = replace(simulator, effects=effects)
        tried.append(dataclasses.astuple(effects))
        report(f"calibration {turn + 1} of {_TURNS}: {effects}")
    late = np.sqrt(np.mean(np.square(tried[_TURNS // 2 :]), axis=0))  # each turn has noise of its own
    return replace(simulator, effects=Effects(*(float(f"{effect:.4g}") for effect in late)))


_TURNS, _WEEKS = 6, 4_000
"""Repetitions of the calibration, and weeks in each: their variances are then known to some per cent."""


def _ratio(wanted: float, found: float) -> float:
    return wanted / found if found > 0 else 1.0


def _draws(simulator: Simulator, seed: int) -> Iterable[Week]:
    random, blocks = np.random.default_rng(seed), simulator.blocks()
    for _ in range(_WEEKS):
        yield simulator.draw(random, 0.0, blocks)[0]


def fit_simulator(model: str, cache: Path, report: Report) -> Simulator:
    """Fit the day effects of a weekly refresh of an example, and the generator that has the same."""
    flights = read(model, cache)
    binary = flights.frozen.spec.training.task == "binary"
    weeks = weeks_of(flights)
    found = variation(weeks, binary=binary)
    report(f"{model}, {len(weeks)} weeks: {found}")
    report(
        f"{model}, correlation of a day's mean gain with the day before: {day_correlation(weeks, binary=binary):.2f}"
    )
    rows_a_day = round(sum(len(w.y) for w in weeks) / len(weeks) / N_DAYS)
    return calibrated(found, shares(weeks), rows_a_day, binary=binary, report=report)


_SHARES = (0.1043, 0.1381, 0.3582, 0.3994)
BINARY = Simulator(
    binary=True,
    like=Variation(0.0002083, 0.000903, 0.04687, 0.6384, 0.7089, 0.2408, 0.4619, 1.065),
    effects=Effects(0.0629, 0.09891, 0.05247, 0.6957),
    shares=_SHARES,
    rows_a_day=907,
)
"""ROC AUC of `flight_delay`, refreshed weekly."""
ABSOLUTE = Simulator(
    binary=False,
    like=Variation(0.2417, 2.548, 24.05, 0.8377, 24.69, 24.69, 0.1463, 0.4156),
    effects=Effects(0.02047, 0.06114, 4.694, 1.029),
    shares=_SHARES,
    rows_a_day=907,
)
"""Mean absolute error of `arrival_delay`, in minutes, refreshed weekly."""


if __name__ == "__main__":
    quiet()
    with TemporaryDirectory() as folder:
        for example in ("flight_delay", "arrival_delay"):
            simulator = fit_simulator(example, Path(folder), print)
            print(f"{example}: {simulator}")
            print(f"{example}, simulated: {variation(_draws(simulator, _TURNS), binary=simulator.binary)}")
