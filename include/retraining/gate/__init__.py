"""The gate: pure decisions over records. Nothing in here reads a file, a clock or a registry."""

from retraining.gate.decision import Judgement, decide, earliest_as_of, lacking, make_verdict, verdict_id
from retraining.gate.policy import Policy
from retraining.gate.released import release_checklist

__all__ = [
    "Judgement",
    "Policy",
    "decide",
    "earliest_as_of",
    "lacking",
    "make_verdict",
    "release_checklist",
    "verdict_id",
]
