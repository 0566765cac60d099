"""The few calls we make to MLflow: runs that are found again by their key, versions, and the champion's alias."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode
from sklearn.pipeline import Pipeline

from retraining.artifacts.alias import ALIAS, NOT_THERE
from retraining.artifacts.environment import core_requirements
from retraining.artifacts.stored import types_to_trust
from retraining.errors import RegistryError, Unavailable
from retraining.records import Manifest
from retraining.settings import Settings

KEY_TAG = "retraining.key"
_HTTP_RETRIES, _HTTP_TIMEOUT_S = "2", "20"
"""MLflow's own default waits for minutes inside one call; our callers retry the whole stage instead."""
_FIRST_USE_S = 120
"""How long a process waits while another makes a local database's tables, which takes MLflow some seconds."""


@dataclass
class TrackedRun:
    """A run being written: everything in it goes to MLflow at once when the work is done."""

    id: str
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class Registry:
    """One MLflow server (or local database), seen from one installation."""

    def __init__(self, settings: Settings) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", _HTTP_RETRIES)
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", _HTTP_TIMEOUT_S)
        if settings.mlflow.startswith("sqlite:///"):
            _make_tables(settings.mlflow)
        self._uri, self._artifacts = settings.mlflow, settings.mlflow_artifacts
        self._client = MlflowClient(settings.mlflow, settings.mlflow)

    # --- runs -------------------------------------------------------------------------------------------------

    @contextmanager
    def run(self, model: str, key: str, name: str, tags: Mapping[str, str]) -> Iterator[TrackedRun]:
        """Write a run under a key: one that finished is written again, a leftover of a killed attempt is marked so.

        The caller fills `params` and `metrics`; a failure inside marks the run failed.
        """
        with self._reachable():
            tracked = TrackedRun(self._run_for(model, key, name, tags))
        try:
            yield tracked
            with self._reachable():
                self._write(tracked)
        except BaseException:
            with self._reachable():
                self._client.set_terminated(tracked.id, "FAILED")
            raise

    def log_dataset(self, run_id: str, snapshot: Manifest, name: str) -> None:
        """Record which data a run used: its snapshot's id, window, columns and size, not its rows."""
        schema = {"columns": {c.name: c.type for c in snapshot.columns}}
        profile = {"n_rows": snapshot.n_rows, "n_labelled": snapshot.n_labelled}
        dataset = Dataset(
            name=name,
            digest=snapshot.id[:36],  # MLflow keeps 36 characters; the source has all of it
            source_type="retraining snapshot",
            source=json.dumps({"snapshot": snapshot.id, "window": str(snapshot.window)}),
            schema=json.dumps(schema),
            profile=json.dumps(profile),
        )
        with self._reachable():
            self._client.log_inputs(run_id, [DatasetInput(dataset)])

    def log_model(self, run_id: str, pipeline: Pipeline, example: pd.DataFrame, outputs: Any) -> str:
        """Log a model with signature and exact requirements; return its URI. Takes well under a second."""
        trusted = types_to_trust(pipeline)
        with self._reachable(), self._active(run_id):
            info = mlflow.sklearn.log_model(
                pipeline,
                name="model",
                signature=infer_signature(example, outputs),
                pip_requirements=core_requirements(trusted),
                serialization_format="skops",
                skops_trusted_types=sorted(trusted),
            )
        return str(info.model_uri)

    def log_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Add files to a run, each under its path."""
        with self._reachable(), tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._client.log_artifacts(run_id, folder)

    def has_file(self, run_id: str, name: str) -> bool:
        """Tell whether a run has a file of this name at its top."""
        with self._reachable():
            return name in {f.path for f in self._client.list_artifacts(run_id)}

    def model_uri(self, run_id: str) -> str:
        """Return the URI of the model a release run logged."""
        with self._reachable():
            return str(self._client.get_run(run_id).data.tags["model_uri"])

    def add_to_run(self, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Add metrics and tags to a run that has ended."""
        with self._reachable():
            self._client.log_batch(run_id, _metrics(metrics), (), [RunTag(k, v) for k, v in tags.items()])

    # --- versions and alias -----------------------------------------------------------------------------------

    def version_of(self, model: str, release_id: str) -> int | None:
        """Return the model version that holds a release."""
        with self._reachable():
            found = self._client.search_model_versions(f"name = '{model}' and tags.`release` = '{release_id}'")
        return min((int(v.version) for v in found), default=None)

    def release_of(self, model: str, version: int) -> str | None:
        """Return the release that a model version holds; None when there is no such version, or it is not ours."""
        with self._reachable():
            found = self._client.search_model_versions(f"name = '{model}'")
        return next((str(v.tags["release"]) for v in found if int(v.version) == version and "release" in v.tags), None)

    def register(self, model: str, release_id: str, run_id: str, model_uri: str, tags: Mapping[str, str]) -> int:
        """Make a release a model version, once; return its number."""
        known = self.version_of(model, release_id)
        if known is not None:
            return known
        with self._reachable():
            try:
                self._client.create_registered_model(model)
            except MlflowException as error:
                if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                    raise
            version = self._client.create_model_version(
                model,
                model_uri,
                run_id,
                tags={**tags, "release": release_id},
                await_creation_for=0,
                model_id=model_uri.removeprefix("models:/"),  # a server asks for it, a local database does not
            )
        return int(version.version)

    def alias(self, model: str) -> int | None:
        """Return the version the champion's alias names, None when there is no alias or no such model."""
        with self._reachable():
            try:
                return int(self._client.get_model_version_by_alias(model, ALIAS).version)
            except MlflowException as error:
                if error.error_code in NOT_THERE:
                    return None
                raise

    def download(self, model: str, version: int, folder: Path) -> Path:
        """Download a version's files into a folder; return the folder that holds its MLmodel. Nothing is loaded."""
        with self._reachable():
            uri = f"models:/{model}/{version}"
            found = mlflow.artifacts.download_artifacts(uri, dst_path=str(folder), tracking_uri=self._uri)
        return Path(found)

    def mark_release(self, model: str, version: int, release_id: str) -> None:
        """Say on a version that was registered by others which release of ours holds the same model."""
        with self._reachable():
            self._client.set_model_version_tag(model, str(version), "release", release_id)

    def set_alias(self, model: str, version: int) -> None:
        """Point the champion's alias at a version."""
        with self._reachable():
            self._client.set_registered_model_alias(model, ALIAS, str(version))

    def version_exists(self, model: str, version: int) -> bool:
        """Tell whether a version is still registered."""
        with self._reachable():
            try:
                self._client.get_model_version(model, str(version))
            except MlflowException as error:
                if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                    return False
                raise
        return True

    # --- plumbing ---------------------------------------------------------------------------------------------

    def _experiment(self, model: str) -> str:
        name = f"retraining/{model}"
        known = self._client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        try:
            return str(self._client.create_experiment(name, artifact_location=self._artifacts))
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise
            return self._experiment(model)  # another run of this model was first

    def _run_for(self, model: str, key: str, name: str, tags: Mapping[str, str]) -> str:
        experiment = self._experiment(model)
        finished = None
        for known in self._runs(experiment, key):
            if known.info.status == "RUNNING":
                self._client.set_terminated(known.info.run_id, "KILLED")
            elif known.info.status == "FINISHED":
                finished = str(known.info.run_id)
        if finished is not None:
            return finished
        run = self._client.create_run(experiment, tags={**tags, KEY_TAG: key}, run_name=name)
        return str(run.info.run_id)

    def _runs(self, experiment: str, key: str) -> list[Run]:
        return list(self._client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'"))

    def _write(self, tracked: TrackedRun) -> None:
        params = [Param(k, str(v)[:6000]) for k, v in tracked.params.items()]
        tags = [RunTag(k, v) for k, v in tracked.tags.items()]
        self._client.log_batch(tracked.id, _metrics(tracked.metrics), params, tags)
        self._client.set_terminated(tracked.id, "FINISHED")

    @contextmanager
    def _active(self, run_id: str) -> Iterator[None]:
        with mlflow.start_run(run_id=run_id, log_system_metrics=False):
            yield

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        mlflow.set_tracking_uri(self._uri)  # parts of the client read the global address whatever they were given
        try:
            yield
        except MlflowException as error:
            status = error.get_http_status_code()  # type: ignore[no-untyped-call]  # MLflow gives no hints here
            if status in (429, 500, 502, 503, 504):
                raise Unavailable(
                    f"MLflow at {self._uri}: does not answer: {str(error).splitlines()[0][:200]}. "
                    "Nothing was promoted. Check MLFLOW_TRACKING_URI and the server."
                ) from error
            raise RegistryError(
                f"MLflow at {self._uri}: refused: {str(error).splitlines()[0][:300]}. Nothing was promoted."
            ) from error


def _metrics(named: Mapping[str, float]) -> list[Metric]:
    now = int(pd.Timestamp.now("UTC").timestamp() * 1000)  # when it was written down; no decision reads it
    return [Metric(name, float(number), now, 0) for name, number in named.items()]


def _make_tables(uri: str) -> None:
    """Make a local database's tables, one process at a time: two candidates' tasks that find a new one break it.

    The turn is taken in a database of its own beside it, which is let go of when its owner dies, on any platform.
    """
    path = Path(uri.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path.with_suffix(".turn"), timeout=_FIRST_USE_S, isolation_level=None)) as turn:
        turn.execute("BEGIN EXCLUSIVE")
        with closing(sqlite3.connect(path)) as database:
            made = database.execute("select 1 from sqlite_master where name = 'alembic_version'").fetchone()
        if made is None:
            MlflowClient(uri, uri).search_experiments(max_results=1)
