"""The gate, asked about predictions: the product's figures and decisions, without store, ledger and models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.day_effects import N_DAYS, N_PARTS, Week
from benchmarks.processes import ROOT
from retraining.evaluation.comparison import figures_of
from retraining.evaluation.holdout import Judged, Scored
from retraining.evaluation.rolled import Predicted, compare_recipes
from retraining.gate import Policy, decide
from retraining.gate.settling import spent_alpha
from retraining.records import Decision, Evaluation, Window
from retraining.spec import FrozenSpec, load
from retraining.spec.learning import n_settings
from retraining.stats.blocks import block_days, block_index, block_length
from retraining.stats.bootstrap import paired_difference
from retraining.stats.metrics import Array, find_metric, resampled
from retraining.train import Labelled
from samples.records import champion, evaluation

_NOT_USED: Any = None
"""The model itself: only its predictions are judged here."""
_START = datetime(2024, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Gate:
    """An example's gate, asked about a candidate's predictions beside an older model's, or another recipe's."""

    frozen: FrozenSpec

    @classmethod
    def of(cls, model: str, n_days: int | None = None, *, alone: bool = False) -> Gate:
        """Take the spec of an example.

        Parameters
        ----------
        n_days
            Length of its holdout; default: the YAML's.
        alone
            Leave only the last of its candidates, so that no error is spent on choosing among them.
        """
        frozen = load(ROOT / "include" / "models" / f"{model}.yaml")
        gate, training = frozen.spec.gate, frozen.spec.training
        if n_days is not None:
            gate = gate.model_copy(update={"holdout": n_days * _DAY})
        if alone:
            training = training.model_copy(update={"candidates": training.candidates[-1:]})
        return cls(replace(frozen, spec=frozen.spec.model_copy(update={"gate": gate, "training": training})))

    @property
    def margin(self) -> float:
        """The YAML's margin."""
        return self.frozen.spec.gate.margin

    def alpha(self, looks: int = 0) -> float:
        """Return the one-sided error that a look at a refresh may spend."""
        return spent_alpha(1 - self.frozen.spec.gate.confidence, looks)

    def decision(self, e: Evaluation) -> Decision:
        """Decide by the YAML's policy."""
        return decide(e, Policy.of(self.frozen.spec)).decision

    def as_refresh(self, newest: Predicted, looks: int = 0, anchor: Array | None = None) -> Evaluation:
        """Evaluate a candidate as a refresh.

        Parameters
        ----------
        newest
            Its champion is the opponent.
        anchor
            What the anchor predicts. With one the champion in office is the candidate's twin, as it is where a holdout
            lies between two retrainings; without one it is the opponent.
        """
        training = self.frozen.spec.training
        judged, metric = self._judged(newest, anchor), find_metric(training.metric, training.task)
        n_blocks = int(judged.blocks.max()) + 1
        in_office = judged.champion.entry if judged.champion is not None else None
        return evaluation(
            **figures_of(self.frozen, judged, metric, looks),
            champion_release_id=in_office.release_id if in_office is not None else None,
            metric=metric.name,
            greater_is_better=metric.greater_is_better,
            n_rows=len(newest.y),
            n_blocks=n_blocks,
            n_classes=None if training.task == "regression" else len(np.unique(newest.y)),
            looks=looks,
            confidence=self.frozen.spec.gate.confidence,
        )

    def as_replacement(
        self, weeks: Sequence[Predicted], looks: int = 0, refresh: Evaluation | None = None
    ) -> Evaluation:
        """Evaluate a candidate as a replacement, recipe against recipe over some holdouts, oldest first.

        Parameters
        ----------
        refresh
            What was evaluated of the newest holdout, where it was.
        """
        made = compare_recipes(self.frozen, self._judged(weeks[-1], None), weeks, looks)
        e = refresh or self.as_refresh(weeks[-1], looks)
        return replace(e, rule="replace", replacement=made, opponent=None, anchor=None)

    def may_pass(self, weeks: Sequence[Predicted], looks: int = 0) -> bool:
        """Tell whether a replacement's gain is beyond the error by days: necessary to pass, and quickly computed."""
        gain, reach = self.quickly(weeks, self.alpha(looks) / n_settings(self.frozen.spec.training))
        return gain > reach

    def quickly(self, weeks: Sequence[Predicted], alpha: float) -> tuple[float, float]:
        """Return the gain and by how much its lower bound is below it at least: by the jackknife over whole days.

        The gate takes the wider of this and of what resampling blocks gives. Blocks of a day or more are only
        resampled, so for them it is the gate's own bound.
        """
        spec = self.frozen.spec
        metric, length = find_metric(spec.training.metric, spec.training.task), block_length(spec.gate)
        y, new, old = (np.concatenate([getattr(w, n) for w in weeks]) for n in ("y", "candidate", "champion"))
        times = np.concatenate([w.times for w in weeks])
        if length >= _DAY:
            blocks = block_index(times, weeks[0].holdout.start, length)
            found = paired_difference(metric, y, new, old, blocks, alpha=alpha, seed=spec.training.seed)
            return found.value, found.value - found.lower
        day = np.unique(times.astype("datetime64[D]"), return_inverse=True)[1].astype(np.int64)
        n = int(day.max()) + 1
        weights = np.vstack([np.ones(n), 1 - np.eye(n)])
        gains = resampled(metric, y, new, day, weights) - resampled(metric, y, old, day, weights)
        gains = gains if metric.greater_is_better else -gains
        error = np.sqrt((n - 1) / n * np.sum((gains[1:] - gains[1:].mean()) ** 2))
        return float(gains[0]), float(stats.t.ppf(1 - alpha, n - 1) * error)

    def _judged(self, newest: Predicted, anchor: Array | None) -> Judged:
        length, start = block_length(self.frozen.spec.gate), newest.holdout.start
        opponent = Scored(champion(2), None, newest.champion)
        return Judged(
            _NOT_USED,
            Labelled(None, None, newest.y, newest.times, ()),
            newest.candidate,
            np.full(len(newest.y), float(np.median(newest.y))),
            block_index(newest.times, start, length),
            block_days(newest.times, start, length),
            champion=opponent if anchor is None else Scored(champion(3), None, newest.candidate),
            opponent=opponent,
            anchor=None if anchor is None else Scored(champion(1), None, anchor),
        )


def holdouts_of(drawn: Week, n_days: int = N_DAYS) -> list[Predicted]:
    """Cut what was drawn into holdouts of so many days, oldest first.

    The rows of a 6-hour block lie evenly in its time, so that shorter blocks of the gate find some.
    """
    count = np.bincount(drawn.block)
    place = np.arange(len(drawn.block)) - np.repeat(np.cumsum(count) - count, count)
    part = np.timedelta64(24 // N_PARTS, "h").astype("timedelta64[us]")
    times = np.datetime64(_START.replace(tzinfo=None), "us") + drawn.block * part
    times = times + (place / count[drawn.block] * part.astype(np.int64)).astype("timedelta64[us]")
    holdout = drawn.block // (n_days * N_PARTS)
    found = []
    for number in range(int(holdout.max()) + 1):
        rows, start = holdout == number, _START + number * n_days * _DAY
        window = Window(start, start + n_days * _DAY)
        found.append(Predicted(window, *(v[rows] for v in (drawn.y, times, drawn.new, drawn.old))))
    return found
