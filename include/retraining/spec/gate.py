"""The YAML's gate group: the release checklist's thresholds, each with a default that can be defended."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from retraining.spec.base import Duration, Group

Consequence = Literal["block", "warn"]
CASES_SUFFIX = ".cases"
"""What a file of behavioural cases ends with before .yaml, so that nobody takes it for a model."""
TELLS = 0.99
"""A column that alone takes away so much of the target's uncertainty is hardly an honest feature."""
LONGEST_APPROVAL = timedelta(days=30)
"""A month-old comparison says little about today's champion; the DAG that asks must end some time later."""


class Slice(Group):
    """Rows that must not be served worse: each value of a column, or the rows that a condition holds for."""

    name: str = Field("", description="What the slice is called; default: the column.")
    column: str | None = Field(
        None, description="A column of the data, also one that is no feature: each of its values is a slice."
    )
    values: tuple[str | int | bool, ...] = Field(
        (), description="With column: only these values; default: all, the rare ones together."
    )
    where: str | None = Field(None, description="A DuckDB condition over the data's columns, for example hour >= 20.")
    margin: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Largest loss against the champion, in the metric's unit; default: twice gate.margin.",
    )
    min_rows: int = Field(200, ge=50, description="Fewest rows a slice is judged on.")
    if_worse: Consequence = Field("block", description="What a slice that is worse does: block, or warn.")

    @model_validator(mode="after")
    def _one_way(self) -> Slice:
        if (self.column is None) == (self.where is None):
            raise ValueError("name either a column or a where condition")
        if self.where is not None and not self.name:
            raise ValueError("a slice with a where condition needs a name")
        if self.where is not None and self.values:
            raise ValueError("values belong to a column, not to a where condition")
        return self

    @property
    def title(self) -> str:
        """The slice's name, or its column's."""
        return self.name or str(self.column)


class Calibration(Group):
    """Whether predictions mean what they say."""

    margin: float = Field(
        0.05, gt=0, le=1, description="Largest loss of calibration against the champion (0 is perfect, see the docs)."
    )
    limit: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Largest calibration error of any candidate, also a first one; default: none, and above 0.2 a "
        "warning.",
    )
    if_worse: Consequence = Field("block", description="What a worse calibration does: block, or warn.")


class Budgets(Group):
    """What serving the release may cost, measured in a fresh process with one thread."""

    latency_ms: float = Field(100, gt=0, description="Milliseconds for one row: 95 of 100 requests take no longer.")
    memory_mb: float = Field(
        2048, gt=0, description="Peak memory of a process that loads the release and scores, libraries included, in MB."
    )
    size_mb: float = Field(500, gt=0, description="Size of the release's files in MB.")


class Gate(Group):
    """When a challenger may replace the champion."""

    holdout: Duration = Field(
        timedelta(days=7), ge=timedelta(hours=1), description="The newest mature rows, kept for the comparison."
    )
    rule: Literal["auto", "refresh", "replace"] = Field(
        "auto", description="refresh: not worse by margin; replace: better. auto: refresh only for the same recipe."
    )
    origins: int = Field(
        8,
        ge=1,
        le=52,
        description="Most holdouts, the newest first, that a replacement is judged over: both recipes learn what lies "
        "before each, at least half of training.window, as far as the window reaches.",
    )
    margin: float = Field(
        0.025,
        gt=0,
        allow_inf_nan=False,
        description="Largest loss that is accepted from a refresh, in the metric's unit; never more than half of what "
        "the champion is better than a model without features. 0.025 of ROC AUC is about the least that a week of some "
        "thousand rows tells from no change.",
    )
    confidence: float = Field(
        0.95,
        ge=0.8,
        lt=1,
        description="One-sided confidence of the gate's statements. Below 0.8 one promotion in five could be wrong.",
    )
    min_rows: int = Field(500, ge=50, description="Fewest holdout rows that can decide.")
    min_blocks: int = Field(20, ge=20, description="Fewest blocks of time that can decide.")
    block: Duration | None = Field(
        None, ge=timedelta(hours=1), description="Length of a block; default: the longest that gives min_blocks."
    )
    refit: bool = Field(True, description="Deploy the recipe refitted through the holdout, not the candidate itself.")
    max_flips: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Largest share of predictions that a refit may flip, of those that can: of two classes, "
        "the share of the rows it calls positive. Default: 0.25 for two classes, else 0.1.",
    )
    slices: tuple[Slice, ...] = Field((), description="Groups of rows that no release may serve worse.")
    calibration: Calibration = Field(
        default_factory=lambda: Calibration(), description="Whether predictions mean what they say."
    )
    cases: str | None = Field(
        None,
        pattern=rf"\{CASES_SUFFIX}\.ya?ml$",
        description="A file beside the YAML, NAME.cases.yaml, with behavioural cases that every version must meet.",
    )
    budgets: Budgets = Field(default_factory=lambda: Budgets(), description="What serving the release may cost.")
    environment: Literal["locked", "recorded"] = Field(
        "locked",
        description="locked: the installed packages must be those of the lock file (RETRAINING_LOCK). recorded: a "
        "difference only warns.",
    )
    approval: Literal["none", "on_warning", "required"] = Field(
        "none",
        description="required: a promotion waits for a person. on_warning: only when its checklist has a warning.",
    )
    approvers: tuple[str, ...] = Field(
        (),
        description="Who may answer and override, by login name: Airflow's and, on the command line, the operating "
        "system's. Empty: any named person who may run the DAG.",
    )
    four_eyes: bool = Field(
        False, description="Never the one who triggered the run: neither answers about its verdict nor overrides it."
    )
    approval_timeout: Duration = Field(
        timedelta(days=3),
        gt=timedelta(0),
        le=LONGEST_APPROVAL,
        description="How long a promotion waits; no answer by then is a no.",
    )

    @model_validator(mode="after")
    def _enough_blocks(self) -> Gate:
        if self.block is not None and self.holdout / self.block < self.min_blocks:
            raise ValueError(
                f"holdout holds {self.holdout / self.block:.0f} blocks of gate.block, and min_blocks is "
                f"{self.min_blocks}: nothing could ever be decided. Lengthen holdout"
            )
        return self
