"""The YAML's group `training`: candidates, what is searched, weights and calibration."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from retraining.spec.base import Duration, Group
from retraining.windows import format_duration

Task = Literal["binary", "multiclass", "regression"]

DEFAULT_METRIC: dict[str, str] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "mae"}
MAX_TRIALS = 1000
"""Enough that, with 99 % probability, one of so many random settings is among the best half percent (1 - 0.995^1000;
Bergstra and Bengio 2012, Random Search for Hyper-Parameter Optimization, section 2). More would only cost time."""


class Range(Group):
    """Numbers to draw from, evenly from `low` to `high`, or evenly in their logarithm."""

    low: float = Field(allow_inf_nan=False, description="Smallest number.")
    high: float = Field(allow_inf_nan=False, description="Largest number.")
    log: bool = Field(False, description="Draw evenly in the logarithm: for rates and penalties.")
    whole: bool = Field(False, description="Draw whole numbers, both ends among them.")

    @model_validator(mode="after")
    def _is_range(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low ({self.low:g}) must be less than high ({self.high:g})")
        if self.log and (self.low <= 0 or self.whole):
            raise ValueError("log needs a low above 0, and draws no whole numbers: list those instead")
        if self.whole and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("whole needs a low and a high that are whole")
        return self


def _is_mapping(value: Any) -> str:
    """Tell apart the two forms of a key by its shape, so that an error is about the one that was meant."""
    return "<mapping>" if isinstance(value, (dict, BaseModel)) else "<plain>"


Search = Annotated[
    Annotated[list[Any], Field(min_length=1), Tag("<plain>")] | Annotated[Range, Tag("<mapping>")],
    Discriminator(_is_mapping),
]


class Candidate(Group):
    """A scikit-learn estimator with fixed parameters and, if wanted, a search space."""

    estimator: str = Field(
        description="Import path, for example sklearn.linear_model.LogisticRegression. Of another package than "
        "scikit-learn: only what RETRAINING_TRUSTED names."
    )
    params: dict[str, Any] = Field(default_factory=dict, description="Fixed parameters.")
    search: dict[str, Search] = Field(
        default_factory=dict,
        description="What to try, per parameter: a list of values, or numbers as {low: 0.01, high: 100, log: true} or "
        "{low: 2, high: 20, whole: true}.",
    )
    window: Duration | None = Field(
        None,
        gt=timedelta(0),
        description="Learn only the newest rows, so much of training.window; default: all of it. Candidates of "
        "different windows are compared on the newest fold, because older ones say nothing of a change.",
    )

    @model_serializer(mode="wrap")
    def _as_typed(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a window that is not there: what was learnt before there were windows is still the same recipe."""
        values: dict[str, Any] = handler(self)
        if values.get("window") is None:
            values.pop("window", None)
        return values


_DEFAULT_CANDIDATES: dict[str, tuple[dict[str, Any], ...]] = {
    "binary": (
        {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"max_iter": 300}},
        {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier"},
    ),
    "rmse": (
        {"estimator": "sklearn.linear_model.Ridge"},
        {"estimator": "sklearn.ensemble.HistGradientBoostingRegressor"},
    ),
    "mae": (
        {
            "estimator": "sklearn.linear_model.SGDRegressor",
            "params": {"loss": "epsilon_insensitive", "epsilon": 0.0},
        },
        {"estimator": "sklearn.ensemble.HistGradientBoostingRegressor", "params": {"loss": "absolute_error"}},
    ),
}
_DEFAULT_CANDIDATES["multiclass"] = _DEFAULT_CANDIDATES["binary"]
"""By task, and for regression by metric: a model that minimises squared errors predicts the mean, and where errors
are skewed it loses to the plain median by the mean absolute error."""


def label_text(label: object) -> str:
    """Return a label as people write it, whether it was read as 1, 1.0 or "1".

    >>> label_text(1.0), label_text(True), label_text("late")
    ('1', 'true', 'late')
    """
    if isinstance(label, bool):
        return str(label).lower()
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _by_text(weights: Any) -> Any:
    return {label_text(label): weight for label, weight in weights.items()} if isinstance(weights, dict) else weights


Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weights = Annotated[dict[str, Weight], Field(min_length=1), BeforeValidator(_by_text)]
"""By the label's text: frozen as JSON, a label that is a number becomes text anyway."""
ClassWeight = Annotated[
    Annotated[Literal["none", "balanced"], Tag("<plain>")] | Annotated[Weights, Tag("<mapping>")],
    Discriminator(_is_mapping),
]


class Training(Group):
    """How the model is learnt."""

    task: Task = Field(description="What kind of target it is.")
    window: Duration = Field(timedelta(days=90), description="How much history is trained on.")
    metric: str = Field(
        "",
        description="roc_auc, average_precision, log_loss, brier, accuracy, mae or rmse. Default: roc_auc (binary), "
        "log_loss (multiclass), mae (regression).",
    )
    candidates: tuple[Candidate, ...] = Field(
        (),
        description="Simplest first: of equals, the first wins. Default: a linear model and histogram gradient "
        "boosting, with a loss that fits the metric.",
    )
    folds: int = Field(3, ge=2, le=20, description="Time-ordered cross-validation folds.")
    trials: int = Field(8, ge=1, le=MAX_TRIALS, description="Most parameter settings tried per candidate.")
    seconds: int | None = Field(
        None,
        ge=1,
        description="After so many seconds no further setting of a candidate is tried; the one under way is finished, "
        "and the verdict says so.",
    )
    class_weight: ClassWeight = Field(
        "none",
        description="balanced, or a weight per label; a label left out has 1. Weights spoil the probabilities: set "
        "calibration as well. Classification only.",
    )
    calibration: Literal["none", "sigmoid", "isotonic"] = Field(
        "none",
        description="Mend the probabilities on the newest fifth of the training rows, predicted by a model that had "
        "not seen them. isotonic needs a thousand rows there. Classification only.",
    )
    seed: int = Field(0, ge=0, description="Seed of everything random: the same seed gives the same model.")

    @model_validator(mode="before")
    @classmethod
    def _defaults_by_task(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("task") in DEFAULT_METRIC:
            values = dict(values)
            values["metric"] = values.get("metric") or DEFAULT_METRIC[values["task"]]
            kind = values["metric"] if values["task"] == "regression" else values["task"]
            values["candidates"] = values.get("candidates") or _DEFAULT_CANDIDATES.get(
                kind, _DEFAULT_CANDIDATES["rmse"]
            )
        return values

    @model_validator(mode="after")
    def _classes_only(self) -> Training:
        given = [name for name in ("class_weight", "calibration") if getattr(self, name) != "none"]
        if self.task == "regression" and given:
            raise ValueError(f"{given[0]} is about classes, and the task is regression. Remove the key")
        return self

    @model_validator(mode="after")
    def _windows_within(self) -> Training:
        for candidate in self.candidates:
            if candidate.window is not None and candidate.window > self.window:
                raise ValueError(
                    f"candidates: the window of {candidate.estimator} ({format_duration(candidate.window)}) is longer "
                    f"than training.window ({format_duration(self.window)}), and no other rows are read. Shorten it, "
                    "or lengthen training.window"
                )
        return self
