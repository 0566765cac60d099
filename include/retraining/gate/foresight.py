"""What `check` and `new` say beforehand of replacements: over how many holdouts, and when a gain would pass."""

from __future__ import annotations

from datetime import timedelta

from retraining.gate.settling import spent_alpha
from retraining.spec import Spec
from retraining.spec.learning import n_origins, n_settings
from retraining.stats.power import GAIN, POWER, holdouts_needed
from retraining.windows import format_duration


def foresight(spec: Spec, rows: float, outcome: float, where: str = "with") -> str:
    """Say over how many holdouts a replacement is judged, and when a gain would pass.

    Parameters
    ----------
    rows
        Labelled rows of one holdout.
    outcome
        Share of the rarer class, 0 to 1.
    where
        How what is said of the rows begins.
    """
    gate, training = spec.gate, spec.training
    count = n_origins(spec.data, training.window, gate.holdout, gate.origins)
    text = f"a replacement is judged over {_count(count)} of {format_duration(gate.holdout)}"
    if training.metric != "roc_auc" or not spec.data.time_ordered:
        return text
    each = f"{rows:,.0f} rows each, {outcome:.0%} of them positive"
    alpha = spent_alpha(1 - gate.confidence, 0) / n_settings(training)
    needed = holdouts_needed(GAIN, gate.holdout / timedelta(days=1), rows, outcome, alpha)
    if needed is None:
        return f"{text}; {where} {each}, a gain of {GAIN:g} would not be shown by a year of them"
    when = f"a gain of {GAIN:g} passes with {POWER:.0%} after about {_count(needed)}"
    room = "" if needed <= count else ", more than there is room for (gate.origins, half of training.window)"
    return f"{text}; {where} {each}, {when}{room}, where days differ as much as the example's"


def _count(number: int) -> str:
    return f"{number} holdout{'' if number == 1 else 's'}"
