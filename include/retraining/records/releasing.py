"""What is released and serves: releases, the champion history, deployments, and the answers of people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from retraining.records.checklist import Item, Served
from retraining.records.judging import Decision


@dataclass(frozen=True)
class Release:
    """A refitted recipe, bound to the verdict that allowed it, with its own part of the checklist."""

    id: str
    model: str
    verdict_id: str
    snapshot_id: str
    cutoff: datetime
    run_id: str
    flip_share: float | None
    n_rows: int
    served: Served
    checklist: tuple[Item, ...]

    @property
    def blocking(self) -> tuple[Item, ...]:
        """The items that keep the release from being deployed."""
        return tuple(item for item in self.checklist if item.outcome == "block")


@dataclass(frozen=True)
class Champion:
    """One entry of a model's champion history; a `return` is by probation, which took back the entry before it."""

    model: str
    sequence: int
    kind: Literal["promotion", "rollback", "adoption", "override", "return"]
    release_id: str
    verdict_id: str | None
    spec_id: str
    recipe_id: str
    estimator: str
    version: int
    as_of: datetime
    cutoff: datetime
    by: str
    reason: str
    created_at: datetime


@dataclass(frozen=True)
class Deployment:
    """What became of a promote verdict: `deployed`, `superseded` by another run, `waiting` for a person, or `refused`.

    `refused` is a person's no, or a release that its own checks stopped; `detail` says which.
    """

    model: str
    outcome: Literal["deployed", "superseded", "waiting", "refused"]
    sequence: int | None
    version: int | None
    detail: str


@dataclass(frozen=True)
class Approval:
    """A person's answer to a promotion that waited; `by` is who answered according to Airflow, or `timeout`."""

    model: str
    verdict_id: str
    approved: bool
    by: str
    reason: str
    answered_at: datetime


@dataclass(frozen=True)
class Override:
    """A named person's promotion against the gate; `account` is the login the name was given under."""

    model: str
    verdict_id: str
    decision: Decision
    release_id: str
    sequence: int
    by: str
    account: str
    reason: str
    created_at: datetime


@dataclass(frozen=True)
class Reproduction:
    """A model built again from its frozen parts, against the stored one, on all rows it was trained on and smoke rows.

    `identical` is of predictions, bit for bit; `largest_difference` is in the prediction's unit. `version` is None
    for a candidate that never reached the registry.
    """

    model: str
    release_id: str
    version: int | None
    snapshot_id: str
    spec_id: str
    same_environment: bool
    environment_changes: tuple[str, ...]
    n_rows: int
    largest_difference: float
    identical: bool
    file_identical: bool
