"""The gate: pure decisions over records. Nothing in here reads a file, a clock or a registry."""

from retraining.gate.decision import Judgement, Policy, decide, earliest_as_of, make_verdict, verdict_id

__all__ = ["Judgement", "Policy", "decide", "earliest_as_of", "make_verdict", "verdict_id"]
