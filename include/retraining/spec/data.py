"""The YAML's `data` group: where rows come from, what they mean in time, and who answers for them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from retraining.records import N_BUCKETS
from retraining.spec.base import Duration, Group
from retraining.spec.secrets import problem_of
from retraining.windows import Partition

ROW_ID, HASHED_TIME = "row_id", "hashed_time"
"""Columns that ingest adds where the YAML names no key and no time column."""
FAILED_CHECKS = "failed_checks"
OUR_FLIPS = ("__before__", "__after__", "__truth__")
OURS = ("__partition__", "__row__", FAILED_CHECKS, *OUR_FLIPS)
"""Columns that validation, and the list of flipped predictions, add to rows."""
HASHED_HOLDOUT = timedelta(days=N_BUCKETS) / 5
HASHED_TRAINING = timedelta(days=N_BUCKETS) - HASHED_HOLDOUT
"""Rows without a time are spread over a hundred days by a keyed hash; the last fifth of them is the holdout."""
HASHED_BLOCK = timedelta(hours=12)
"""Forty blocks in the holdout: of a table of some hundred rows, by far more than twenty of them hold a row."""


class Replay(Group):
    """Plays a recorded period again and again, day by day, as if it were a live feed."""

    start: date = Field(description="First recorded day.")
    days: int = Field(gt=0, multiple_of=7, description="Length of the cycle; whole weeks keep the weekday.")


class Source(Group):
    """Where rows come from: `files` read by DuckDB, a database behind a named `connection`, or a Python `function`."""

    files: dict[str, str] | str | None = Field(
        None,
        description="A path (relative to the YAML), a pattern or an fsspec URL, or several under the names the query "
        "uses.",
    )
    connection: str | None = Field(None, description="The name of a connection; never a URL with a password.")
    function: str | None = Field(
        None,
        description="FILE.py:NAME, a function in a file beside the YAML that takes start and end (UTC) and returns a "
        "data frame or an Arrow table. Where data.timezone is not UTC, they lie some hours further apart.",
    )
    query: str | None = Field(None, description="An .sql file beside the YAML; it may use :start and :end.")
    nulls: tuple[str, ...] = Field((), description="Further texts that mean a missing value in CSV files.")
    replay: Replay | None = Field(None, description="Replay a recorded period as a live feed (for examples).")
    owner: str = Field("", description="Who answers for this source; errors about it name them.")
    contact: str = Field("", description="How to reach the owner.")
    upstream: str = Field("", description="The system the rows come from.")
    refresh: str = Field("", description="How often and when the source is refreshed, in words.")

    @model_validator(mode="after")
    def _one_kind(self) -> Source:
        if sum(kind is not None for kind in (self.files, self.connection, self.function)) != 1:
            raise ValueError("give exactly one of files, connection and function")
        if self.connection is not None and "://" in self.connection:
            raise ValueError("connection is a name, not a URL: put the URL into RETRAINING_CONN_<NAME> or Airflow")
        if self.connection is not None and self.query is None:
            raise ValueError("a connection needs a query: name an .sql file beside the YAML")
        if self.query is None and isinstance(self.files, dict) and len(self.files) > 1:
            raise ValueError("several files need a query that joins them: name an .sql file beside the YAML")
        if self.function is not None:
            self._check_function(self.function)
        for url in self.named_files().values():
            if problem := problem_of(url):
                raise ValueError(f"files: {problem}")
        return self

    def _check_function(self, function: str) -> None:
        file, _, name = function.partition(":")
        if not file.endswith(".py") or not name.isidentifier() or "/" in file:
            raise ValueError("function is FILE.py:NAME, a file beside the YAML and a function in it")
        if self.query is not None:
            raise ValueError("a function takes no query: it returns the rows itself")

    def named_files(self) -> dict[str, str]:
        """Return the files under the names a query uses; a single one is called data."""
        return {"data": self.files} if isinstance(self.files, str) else dict(self.files or {})

    @property
    def described(self) -> str:
        """Where the rows come from, in words: files, the connection's name or the function, and the query."""
        names = ", ".join(self.named_files().values())
        place = f"connection {self.connection}" if self.connection else f"function {self.function}"
        return (f"files {names}" if names else place) + (f", query {self.query}" if self.query else "")

    @property
    def text_file(self) -> str | None:
        """The file beside the YAML that the source needs: its SQL or its Python."""
        return self.function.partition(":")[0] if self.function else self.query


class Labels(Source):
    """A second source that knows the target and outcomes, joined by `data.key`."""

    recorded_at: str | None = Field(
        None,
        description="The column that says when a label was recorded: of several for one key, the newest one known at "
        "the as-of time counts. Without it, a doubled key is an error.",
    )


class ColumnMeaning(Group):
    """What a column means, for the model card and for people who read an error."""

    meaning: str = Field(description="What it says, in a sentence.")
    unit: str = Field("", description="Its unit, for example minutes.")


class Data(Group):
    """Where rows come from, and what their columns mean in time."""

    source: Source = Field(description="The files, the database or the function.")
    labels: Labels | None = Field(
        None, description="A source of its own for target and outcomes, when labels arrive elsewhere than features."
    )
    target: str = Field(description="The column to predict.")
    time_column: str | None = Field(
        None,
        description="When the prediction is needed; decides partition, window and holdout. Without it, a keyed-hash "
        "fifth of the rows is the holdout, and scoring and monitoring by day are off.",
    )
    key: tuple[str, ...] = Field(
        (), description="The columns that name a row; unique. Without them, rows are named by their content."
    )
    timezone: str = Field(
        "UTC",
        description="Zone of source times that carry none. Ambiguous local hours are errors. A query's :start and :end "
        "are in UTC and by the zone's hours further apart than the window: rows outside it are left out afterwards.",
    )
    outcomes: tuple[str, ...] = Field((), description="Columns known only with the label; never features.")
    label_delay: Duration = Field(timedelta(days=1), description="How long until a row's label is final.")
    max_unlabelled: float = Field(0.05, ge=0, le=1, description="Largest share of mature rows without a label.")
    look_back: int = Field(2, ge=0, description="How many partitions are read again for late or corrected rows.")
    partition: Partition = Field("day", description="The unit in which data is stored, checked and scored.")
    columns: dict[str, ColumnMeaning] = Field(
        default_factory=dict, description="What columns mean, by name; part of the model card."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_meanings(cls, values: Any) -> Any:
        """Let `column: sentence` stand for `column: {meaning: sentence}`."""
        if isinstance(values, dict) and isinstance(values.get("columns"), dict):
            short = {k: {"meaning": v} if isinstance(v, str) else v for k, v in values["columns"].items()}
            return {**values, "columns": short}
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Data:
        if self.labels is not None and not self.key:
            raise ValueError("labels are joined by key: name the columns of data.key")
        if self.time_column is None and self.partition != "day":
            raise ValueError("partition has no meaning without data.time_column")
        if self.time_column is None and self.source.replay is not None:
            raise ValueError("source.replay has no meaning without data.time_column")
        return self

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("timezone is not known: give a name such as Europe/Berlin or UTC") from error
        return name

    @property
    def time_ordered(self) -> bool:
        """Whether rows have a time; without one the holdout is chosen by a keyed hash."""
        return self.time_column is not None

    @property
    def time(self) -> str:
        """The column that holds a row's time, its own or the hashed one."""
        return self.time_column or HASHED_TIME

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that name a row."""
        return self.key or (ROW_ID,)

    @property
    def known_late(self) -> tuple[str, ...]:
        """The columns that are known only with the label."""
        return (self.target, *self.outcomes)
