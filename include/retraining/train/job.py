"""One snapshot to be learnt under one spec: what all candidates have in common."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

from retraining.artifacts.features import FeaturePlan, plan_features
from retraining.records import Manifest
from retraining.spec import FrozenSpec
from retraining.stats.metrics import Metric, find_metric
from retraining.train.fitting import class_weights
from retraining.train.requirements import require_candidate
from retraining.train.rows import Labelled, labelled_rows, require_enough
from retraining.workspace import Workspace


class Job:
    """A training snapshot under a frozen spec. Rows are loaded when they are first needed, and once.

    `since` is when a collapse began: a recipe that learnt only what came after it competes too.
    """

    def __init__(
        self, workspace: Workspace, frozen: FrozenSpec, snapshot: Manifest, since: datetime | None = None
    ) -> None:
        self.workspace, self.frozen, self.snapshot = workspace, frozen, snapshot
        self.since = since

    @property
    def n_candidates(self) -> int:
        """How many candidates the spec has."""
        return len(self.frozen.spec.training.candidates)

    def require(self) -> None:
        """Refuse what would stop any of the candidates later, before one of them is fitted.

        Raises
        ------
        SpecError
            When a candidate, its parameters, its search space, the class weights or the metric cannot be used.
        NotEnoughData
            When there are too few rows or labels, or there is one class.
        """
        training = self.frozen.spec.training
        find_metric(training.metric, training.task)
        for candidate in training.candidates:
            require_candidate(training, candidate)
        require_enough(self.frozen, self.snapshot, self.data)
        class_weights(training, self.data.classes)

    @cached_property
    def metric(self) -> Metric:
        """The metric that candidates are compared by."""
        return find_metric(self.frozen.spec.training.metric, self.frozen.spec.training.task)

    @cached_property
    def plan(self) -> FeaturePlan:
        """The columns that are learnt from."""
        return plan_features(self.frozen.spec, self.snapshot.columns)

    @cached_property
    def data(self) -> Labelled:
        """The labelled rows."""
        return labelled_rows(self.workspace, self.frozen, self.snapshot, self.plan, None)
