"""What the YAML's gate group asks for, as the pure decisions take it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from retraining.spec import Spec
from retraining.spec.gate import Budgets, Calibration
from retraining.windows import nominal

MAX_FLIPS: dict[str, float] = {"binary": 0.25, "multiclass": 0.1, "regression": 0.1}
"""Largest share of flips by default. Of two classes it is of the rows that are called: refits of a sound recipe
move 7 to 12 % of them on the flights, probabilities doubled or a tenth of what they were 50 %, permuted ones all."""


@dataclass(frozen=True)
class Policy:
    """The thresholds of the checklist; `margin` is in the metric's unit."""

    margin: float
    min_rows: int
    min_blocks: int
    holdout: timedelta
    label_delay: timedelta
    partition: timedelta
    max_flips: float
    calibration: Calibration
    budgets: Budgets
    environment: Literal["locked", "recorded"]
    rule: Literal["auto", "refresh", "replace"] = "auto"

    @classmethod
    def of(cls, spec: Spec) -> Policy:
        """Take the policy from a spec."""
        data, gate = spec.data, spec.gate
        return cls(
            margin=gate.margin,
            min_rows=gate.min_rows,
            min_blocks=gate.min_blocks,
            holdout=gate.holdout,
            label_delay=data.label_delay,
            partition=nominal(data.partition),
            max_flips=MAX_FLIPS[spec.training.task] if gate.max_flips is None else gate.max_flips,
            calibration=gate.calibration,
            budgets=gate.budgets,
            environment=gate.environment,
            rule=gate.rule,
        )
