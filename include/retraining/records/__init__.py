"""What moves between the stages: frozen records that survive JSON.

Times are UTC. Shares are 0 to 1. Ids are SHA-256 hex digests unless a field says otherwise.
"""

from retraining.records.base import (
    digest_of,
    from_dict,
    short,
    to_dict,
)
from retraining.records.data import (
    N_BUCKETS,
    CheckResult,
    Chunk,
    Column,
    Ingested,
    SetAside,
    Snapshot,
    Validated,
    Validation,
    Window,
    shown_day,
)
from retraining.records.judging import (
    Admission,
    CandidateScore,
    Champion,
    Decision,
    Deployment,
    Estimate,
    Evaluation,
    Release,
    Reproduction,
    Trained,
    Verdict,
)
from retraining.records.watching import (
    Alert,
    Change,
    ColumnDrift,
    DayPerformance,
    Measurement,
    PredictionSet,
    Request,
    TriggerDecision,
)

__all__ = [
    "N_BUCKETS",
    "Admission",
    "Alert",
    "CandidateScore",
    "Champion",
    "Change",
    "CheckResult",
    "Chunk",
    "Column",
    "ColumnDrift",
    "DayPerformance",
    "Decision",
    "Deployment",
    "Estimate",
    "Evaluation",
    "Ingested",
    "Measurement",
    "PredictionSet",
    "Release",
    "Reproduction",
    "Request",
    "SetAside",
    "Snapshot",
    "Trained",
    "TriggerDecision",
    "Validated",
    "Validation",
    "Verdict",
    "Window",
    "digest_of",
    "from_dict",
    "short",
    "shown_day",
    "to_dict",
]
