"""What the YAML's gate group asks for, as the pure decisions take it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from retraining.spec import Spec
from retraining.spec.gate import Budgets, Calibration
from retraining.windows import nominal


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
            max_flips=gate.max_flips,
            calibration=gate.calibration,
            budgets=gate.budgets,
            environment=gate.environment,
        )
