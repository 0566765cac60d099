"""The YAML's groups and keys, each with the default a careful team would keep."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from retraining.spec.base import Duration, Group
from retraining.spec.data import HASHED_BLOCK, HASHED_HOLDOUT, HASHED_TRAINING, Data
from retraining.spec.deploy import Deploy, follow_holdout
from retraining.spec.gate import Gate
from retraining.spec.schedules import DEFAULTS, follow_partition
from retraining.spec.training import Training
from retraining.windows import format_duration, nominal

Severity = Literal["critical", "warning", "info"]

MIN_PARTITIONS, MAX_PARTITIONS = 10, 400


class Owner(Group):
    """Who answers for the model."""

    business: str = Field(description="Who decides what the model is for.")
    technical: str = Field(description="Who is called when it breaks.")


class Check(BaseModel):
    """A Great Expectations expectation: its type, its own arguments, and how serious a failure is."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    type: str = Field(description="The expectation's type, for example expect_column_values_to_be_between.")
    severity: Severity = Field("critical", description="critical blocks, warning and info are reported.")

    @property
    def arguments(self) -> dict[str, Any]:
        """The expectation's own arguments."""
        return dict(self.model_extra or {})


class Checks(Group):
    """What must hold, beyond row count and schema, which are always checked."""

    rows: tuple[Check, ...] = Field(
        (),
        description="Checked on the rows of each new partition, with Great Expectations. Rows that break a critical "
        "check are set aside.",
    )
    window: tuple[Check, ...] = Field(
        (),
        description="Checked on the training window as a whole: Great Expectations' types about whole columns, "
        "expect_fresh_rows (max_age) and expect_usual_volume (min_ratio, max_ratio, newest, history).",
    )
    quarantine: float = Field(
        0.01, ge=0, le=1, description="Largest share of a partition's rows that may be set aside; beyond it blocks."
    )


class Features(Group):
    """What the model sees. Empty lists mean: every column that is not key, time, target or outcome."""

    numeric: tuple[str, ...] = Field((), description="Columns used as numbers.")
    categorical: tuple[str, ...] = Field((), description="Columns used as categories.")


class Score(Group):
    """What the champion predicts each day."""

    schedule: str | None = Field(
        DEFAULTS["day"].score,
        description=f"Cron, UTC; null for never. Default: once per partition, `{DEFAULTS['hour'].score}`, this one, "
        f"`{DEFAULTS['week'].score}` or `{DEFAULTS['month'].score}` for hours, days, weeks or months.",
    )
    catch_up: Duration = Field(timedelta(days=7), description="How far back missed partitions are still scored.")
    max_skew: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Largest share of a partition's rows, per column, that may lie far outside what the champion was "
        "trained on; beyond it nothing is scored.",
    )


class Business(Group):
    """A figure of the model's worth over the table `scored`: key, time column, prediction, target and outcomes."""

    name: str = Field(description="What the figure is called in decisions and alerts.")
    sql: str = Field(description="A DuckDB aggregate over `scored`, for example avg(abs(prediction - delay)).")
    unit: str = Field(description="What one of it is, for example minutes per flight.")
    greater_is_better: bool = Field(False, description="Whether more of it is better.")
    margin: float = Field(gt=0, description="Smallest loss worth a retraining, in the unit.")


class Drift(Group):
    """When a column counts as drifted: its distance exceeds each of the last `history` daily distances."""

    history: int = Field(90, ge=20, le=365, description="Past partitions that calibrate the threshold.")
    k: int = Field(2, ge=1, description="Days with drift, out of n, that make a reason.")
    n: int = Field(3, ge=1, description="Days looked at.")
    min_importance: float = Field(0.02, ge=0, le=1, description="Smallest share of importance that matters.")

    @model_validator(mode="after")
    def _k_of_n(self) -> Drift:
        if self.k > self.n:
            raise ValueError(f"k ({self.k}) cannot exceed n ({self.n})")
        return self


class Monitor(Group):
    """What is watched every day."""

    schedule: str | None = Field(
        DEFAULTS["day"].monitor,
        description=f"Cron, UTC, after scoring; null for never. Default: once per partition, "
        f"`{DEFAULTS['hour'].monitor}`, this one, `{DEFAULTS['week'].monitor}` or `{DEFAULTS['month'].monitor}` for "
        "hours, days, weeks or months.",
    )
    columns: tuple[str, ...] = Field((), description="Columns watched for drift; default: every feature.")
    drift: Drift = Field(default_factory=lambda: Drift(), description="When a column counts as drifted.")
    window: Duration = Field(timedelta(days=14), description="Recent days whose performance is compared.")
    reference: Duration = Field(timedelta(days=28), description="First days as champion that it is compared with.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="One-sided confidence that a fall is real.")
    margin: float | None = Field(None, gt=0, description="Smallest fall that matters; default: the gate's margin.")
    business: Business | None = Field(None, description="A figure of the model's worth, watched like the metric.")


class Retrain(Group):
    """When it is retrained, and who may ask."""

    schedule: str | None = Field(
        DEFAULTS["day"].retrain,
        description=f"Cron, UTC; null for never. Default: weekly, for months `{DEFAULTS['month'].retrain}`.",
    )
    on_performance: bool = Field(True, description="A real fall in realised performance asks for a retraining.")
    on_drift: Literal["unless_performance_holds", "always", "never"] = Field(
        "unless_performance_holds", description="Whether drift asks for a retraining."
    )
    cooldown: Duration | None = Field(None, description="Pause after a verdict; default: holdout plus one partition.")
    min_new_labels: int = Field(500, ge=0, description="Fewest labels newer than the champion that justify asking.")


class Retention(Group):
    """How long what nothing needs any more is kept before housekeeping frees it."""

    keep: Duration = Field(
        timedelta(days=365),
        description="How long data, releases and predictions are kept after nothing needs them; counted from as-of "
        "times. What the champion, the one before it, an open verdict or an open request needs is always kept.",
    )


def _plain(value: object) -> object:
    return format_duration(value) if isinstance(value, timedelta) else value


class Spec(Group):
    """A model. The file's name is the model's name."""

    description: str = Field(description="What the model is for.")
    owner: Owner = Field(description="Who answers for it.")
    mode: Literal["observe", "suggest", "auto"] = Field("auto", description="How much happens by itself.")
    data: Data = Field(description="Where rows come from.")
    checks: Checks = Field(default_factory=lambda: Checks(), description="What must hold.")
    features: Features = Field(default_factory=lambda: Features(), description="What the model sees.")
    training: Training = Field(description="How it is learnt.")
    gate: Gate = Field(default_factory=lambda: Gate(), description="When a challenger may replace the champion.")
    deploy: Deploy = Field(default_factory=lambda: Deploy(), description="How a release goes live.")
    score: Score = Field(default_factory=lambda: Score(), description="What it predicts each day.")
    monitor: Monitor = Field(default_factory=lambda: Monitor(), description="What is watched every day.")
    retrain: Retrain = Field(default_factory=lambda: Retrain(), description="When it is retrained.")
    retention: Retention = Field(default_factory=lambda: Retention(), description="How long what was made is kept.")

    @model_validator(mode="before")
    @classmethod
    def _without_time(cls, values: Any) -> Any:
        """Fill in schedules that fit the partition and a probation that fits the holdout; for rows without a time what
        follows from that, and refuse what has no meaning for them."""
        data = values.get("data") if isinstance(values, dict) else None
        if not isinstance(data, dict) or data.get("time_column") is not None:
            return follow_holdout(follow_partition(values)) if isinstance(values, dict) else values
        fixed: dict[str, dict[str, Any]] = {
            "data": {"label_delay": timedelta()},
            "training": {"window": HASHED_TRAINING},
            "gate": {"holdout": HASHED_HOLDOUT, "block": HASHED_BLOCK, "refit": False},
            "deploy": {"probation": None},
            "score": {"schedule": None},
            "monitor": {"schedule": None},
        }
        filled = dict(values)
        for group, keys in fixed.items():
            given = values.get(group) or {}
            if not isinstance(given, dict):
                continue  # reported as a wrong type by the group itself
            resolved = {key: _plain(value) for key, value in keys.items()}
            wrong = [key for key in keys if key in given and given[key] not in (keys[key], resolved[key])]
            if wrong:
                raise ValueError(
                    f"{group}.{wrong[0]} has no meaning without data.time_column: rows are spread by a keyed hash, "
                    "a fifth of them is the holdout, and nothing is scored or watched by day. Remove the key"
                )
            filled[group] = {**given, **resolved}
        return filled

    @property
    def cooldown(self) -> timedelta:
        """The pause after a verdict in which the monitor does not ask again."""
        return self.retrain.cooldown or self.gate.holdout + nominal(self.data.partition)

    @model_validator(mode="after")
    def _consistent(self) -> Spec:
        count = self.training.window / nominal(self.data.partition)
        if not MIN_PARTITIONS <= count <= MAX_PARTITIONS:
            raise ValueError(
                f"training.window holds {count:.0f} partitions of one {self.data.partition}; "
                f"choose {MIN_PARTITIONS} to {MAX_PARTITIONS}"
            )
        replay = self.data.source.replay
        if replay and self.training.window + self.gate.holdout > timedelta(days=replay.days):
            raise ValueError(
                f"training.window plus gate.holdout is longer than the {replay.days} days that data.source.replay "
                "repeats: the holdout would hold rows the model was trained on"
            )
        reserved = {self.data.time, *self.data.known_late}
        leaking = reserved.intersection(self.features.numeric + self.features.categorical)
        if leaking:
            raise ValueError(f"features may not name the target, the time column or an outcome: {sorted(leaking)}")
        return self
