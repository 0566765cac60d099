"""The file of behavioural cases beside a model's YAML: what any version must do, whatever its metric says.

Three kinds, after Ribeiro, Wu, Guestrin and Singh (2020), Beyond Accuracy: Behavioral Testing of NLP Models with
CheckList, section 2: minimum functionality, invariance and directional expectation.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, model_validator

from retraining.spec.base import Group

Value = str | int | float | bool | None


class Expectation(Group):
    """What is predicted for a row: one class, or a number between bounds."""

    is_class: str | int | bool | None = Field(None, alias="class", description="The most probable class.")
    above: float | None = Field(None, description="Smallest prediction; for binary tasks a probability.")
    below: float | None = Field(None, description="Largest prediction.")

    @model_validator(mode="after")
    def _something(self) -> Expectation:
        if self.is_class is None and self.above is None and self.below is None:
            raise ValueError("say class, above or below")
        if self.is_class is not None and (self.above is not None or self.below is not None):
            raise ValueError("say either a class or bounds")
        return self


class MinimumCase(Group):
    """A row that every model must get right."""

    kind: Literal["minimum"]
    name: str = Field(description="A sentence: what the model must know.")
    row: dict[str, Value] = Field(min_length=1, description="Feature values; features left out are missing values.")
    expect: Expectation = Field(description="What must be predicted.")


class InvarianceCase(Group):
    """A change that must not matter."""

    kind: Literal["invariance"]
    name: str = Field(description="A sentence: what must not matter.")
    where: str | None = Field(None, description="A DuckDB condition: only on these holdout rows.")
    set: dict[str, Value] = Field(min_length=1, description="Feature values that are put in place of the rows' own.")
    tolerance: float = Field(gt=0, description="Largest change of a prediction that counts as none.")
    share: float = Field(1.0, gt=0, le=1, description="Share of rows that must obey.")


class DirectionCase(Group):
    """A change that must move the prediction one way."""

    kind: Literal["direction"]
    name: str = Field(description="A sentence: what moves the prediction.")
    where: str | None = Field(None, description="A DuckDB condition: only on these holdout rows.")
    set: dict[str, Value] = Field(min_length=1, description="Feature values that are put in place of the rows' own.")
    expect: Literal["increase", "decrease"] = Field(description="How the prediction must move, on average.")
    by: float = Field(0.0, ge=0, description="At least by this much, on average over the rows.")


Case = Annotated[MinimumCase | InvarianceCase | DirectionCase, Field(discriminator="kind")]
CASES: TypeAdapter[tuple[Case, ...]] = TypeAdapter(tuple[Case, ...], config=ConfigDict(defer_build=True))
