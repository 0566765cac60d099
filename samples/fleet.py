"""Many models with long histories in seconds: what their runs would have recorded, without training anything.

Every record goes through the ledger's own functions; the store holds whole manifests and specs, and of everything else
only names of the right age. Nothing of it is random, so that a model of 10 days begins like one of 100.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Connection

from retraining.care import items
from retraining.data import chunks, snapshots
from retraining.data.ingest import source_id_of
from retraining.evaluation.finalist import document_key
from retraining.gate.decision import make_verdict, verdict_id
from retraining.gate.policy import Policy
from retraining.ledger import Ledger
from retraining.monitor.performance import day_key
from retraining.pages.verdicts.page import page_key
from retraining.records import (
    Alert,
    CandidateScore,
    Champion,
    Chunk,
    Column,
    DayPerformance,
    Deployment,
    Manifest,
    PredictionSet,
    Provenance,
    Release,
    Request,
    Served,
    SliceResult,
    Snapshot,
    Trained,
    Tried,
    TriggerDecision,
    Validation,
    Verdict,
    Window,
    digest_of,
    to_dict,
)
from retraining.spec import FrozenSpec, freeze, load, spec_key
from retraining.workspace import Workspace
from samples.records import drift, estimate, evaluation, measurement
from samples.tiny import SPEC, day, merged, settings_in

WEEK = 7
_TRAINED_DAYS, _HOLDOUT_DAYS, _LOOK_BACK = 28, 7, 2
_N_COLUMNS, _N_SLICES, _N_CANDIDATES = 14, 6, 3
_N_ROWS = 900
_OLD = 2 * 86400
"""Seconds since everything was written: what is younger than a day is never freed."""


class Filling(Ledger):
    """A ledger whose functions all run in one transaction, so that a year does not wait for a disk at each record."""

    connection: Connection | None = None

    @contextmanager
    def one_transaction(self) -> Iterator[None]:
        """Record everything inside in one transaction."""
        with self._writing() as self.connection:
            yield
        self.connection = None

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self.connection is not None:
            yield self.connection
            return
        with super()._writing() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if self.connection is not None:
            yield self.connection
            return
        with super()._reading() as connection:
            yield connection


def fleet(
    folder: Path, n_models: int, n_days: int, changes: dict[str, Any] | None = None, *, every: int = WEEK
) -> Workspace:
    """Write models with their history and return the workspace of their installation.

    Parameters
    ----------
    changes
        Keys of the YAML that differ from `samples.tiny`.
    every
        Days between retrainings.
    """
    settings = settings_in(folder)
    settings.models.mkdir(parents=True, exist_ok=True)
    workspace = Workspace(settings)
    ledger = Filling(settings.ledger)
    for name in names(n_models):
        write_yaml(settings.models, name, changes)
        life = _Life(workspace, ledger, name, every)
        with ledger.one_transaction():
            life.live(n_days)
    ledger.close()
    return workspace


def names(n_models: int) -> list[str]:
    """Return the models' names."""
    return [f"m{number:03d}" for number in range(n_models)]


def write_yaml(folder: Path, name: str, changes: dict[str, Any] | None = None) -> Path:
    """Write a model's YAML; its source is never read."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(merged(merged(SPEC, {"data": {"source": {"files": f"{name}.csv"}}}), changes or {})))
    return path


class _Life:
    """One model's life, day by day."""

    def __init__(self, workspace: Workspace, ledger: Ledger, model: str, every: int) -> None:
        self.work, self.ledger, self.model, self.every = workspace, ledger, model, every
        self.frozen: FrozenSpec = load(workspace.settings.models / f"{model}.yaml")
        self.source = source_id_of(self.frozen)
        self.columns = tuple(Column(f"x{i}", "double") for i in range(_N_COLUMNS))
        self.champion: Champion | None = None
        self.root = workspace.settings.home / "store"

    def live(self, n_days: int) -> None:
        """Read, score, watch and, once a week, retrain."""
        self._place(spec_key(self.frozen.id), freeze(self.frozen))
        self.ledger.add_readings(self.source, day(0), {day(d): self._chunks(d) for d in range(-_TRAINED_DAYS, 0)})
        for number in range(n_days):
            self._day(number)
        results = {digest_of([self.model, "rows", d]): {"start": d, "aside": None} for d in range(n_days)}
        self.ledger.finish_many(self.model, "partition", results)

    def _day(self, number: int) -> None:
        as_of = day(number + 1)
        read = {day(d): self._chunks(d) for d in range(number - _LOOK_BACK, number + 1)}
        self.ledger.add_readings(self.source, as_of, read)
        for chunk in self._chunks(number):
            self._place(chunks.key_of(chunk.id))
        if number % self.every == 0:
            self._retrain(number)
        if self.champion is not None:
            self._score(number, self.champion)
            self._watch(number, self.champion)

    def _score(self, number: int, champion: Champion) -> None:
        window = Window(day(number), day(number + 1))
        key = f"predictions/{self.model}/{day(number):%Y-%m-%dT%H%M}.parquet"
        mark = digest_of([self.model, "predictions", number])
        parts = (window, champion.release_id, champion.sequence, mark, window.end, key, _N_ROWS, mark)
        made = PredictionSet(self.model, *parts)
        self.ledger.add_predictions(made)
        self._place(key)
        metric = 0.7 + 0.01 * (number % 3)
        done = DayPerformance(day(number), _N_ROWS, 0, metric, None, champion.release_id)
        self.ledger.finish(self.model, "performance", day_key(self.frozen, made, self._chunks(number)[1]), done)

    def _watch(self, number: int, champion: Champion) -> None:
        columns = tuple(drift(f"x{i}", drifted=False) for i in range(_N_COLUMNS))
        key = f"reports/monitor/{self.model}/{day(number + 1):%Y-%m-%dT%H%M}.json"
        found = measurement(number + 1, model=self.model, drift=columns, release_id=champion.release_id, report_key=key)
        self.ledger.add_measurement(found)
        self._place(key)
        as_of, mark = found.as_of, digest_of([self.model, "decision", number])
        asks = number % (4 * WEEK) == 4 * WEEK - 1 and not self.ledger.open_requests(self.model)
        outcome, reason = ("ask", "performance: roc_auc") if asks else ("quiet", "")
        facts = ("roc_auc 0.70 in the last 14 days, 0.70 before: holds", f"no drift in {_N_COLUMNS} columns")
        self.ledger.add_decision(TriggerDecision(mark, self.model, as_of, outcome, reason, facts, ("a real fall",)))  # type: ignore[arg-type]  # of the outcomes
        if asks:
            self.ledger.add_request(Request(mark, self.model, as_of, reason, "monitor"))
            self.ledger.add_alert(Alert(self.model, "data health", as_of, f"{self.model}: x1: 40% missing"))

    def _retrain(self, number: int) -> None:
        """Judge a candidate; three of four are promoted."""
        start, first, end = day(number - _TRAINED_DAYS), number - _HOLDOUT_DAYS, day(number)
        train = self._snapshot(Window(start, day(first)), range(number - _TRAINED_DAYS, first), end)
        holdout = self._snapshot(Window(day(first), end), range(first, number), end)
        refit = self._snapshot(Window(start, end), range(number - _TRAINED_DAYS, number), end)
        self._validate(refit)
        candidate = digest_of([self.model, "candidate", number])
        self._train(train, candidate)
        found = self._judged(number, candidate, holdout, refit)
        asked = [r.id for r in self.ledger.open_requests(self.model)]
        self.ledger.add_verdict(found, asked)
        for key in (page_key(found.id), document_key(found.evaluation), f"releases/{candidate}/manifest.json"):
            self._place(key)
        if found.decision == "promote":
            self._deploy(number, found, refit)

    def _train(self, train: Snapshot, candidate: str) -> None:
        scores = tuple(CandidateScore(f"c{i}", {"C": 1.0}, (0.7, 0.7), 0.7, 0.01, "run") for i in range(_N_CANDIDATES))
        for index, score in enumerate(scores):
            mark = digest_of([train.id, "candidate", index])
            tried = Tried(self.model, self.frozen.id, train.id, index, score.name, score, mark, 1, 1)
            self.ledger.finish(self.model, "candidate", mark, tried)
            self._place(tried.predictions_key)
        parts = ("recipe", self.frozen.id, train.id, "LogisticRegression", {"C": 1.0}, 0, candidate, "run")
        trained = Trained(self.model, *parts, train.window.end, scores, "the simplest of the best")
        self.ledger.finish(self.model, "train", digest_of([train.id, "train"]), trained)

    def _validate(self, refit: Snapshot) -> None:
        key = f"reports/validation/{refit.id}-rows.html"
        found = Validation(refit.id, "suite", 12, refit.n_rows, 0, refit.id, (), key)
        self.ledger.finish_many(self.model, "validation", {digest_of(key.removesuffix(".html")): to_dict(found)})
        self._place(key)

    def _judged(self, number: int, candidate: str, holdout: Snapshot, refit: Snapshot) -> Verdict:
        gain = estimate(0.01, 0.05) if number // WEEK % 4 else estimate(-0.2, -0.1)
        parts = [SliceResult(**_slice(f"group {i}")) for i in range(_N_SLICES)]
        found = evaluation(
            model=self.model,
            candidate_id=candidate,
            holdout_id=holdout.id,
            refit_id=refit.id,
            spec_id=self.frozen.id,
            window=holdout.window,
            as_of=day(number),
            champion_release_id=self.champion.release_id if self.champion else None,
            champion_sequence=self.champion.sequence if self.champion else None,
            champion_as_of=self.champion.as_of if self.champion else None,
            champion_cutoff=self.champion.cutoff if self.champion else None,
            over_champion=gain,
            slices=tuple(parts),
        )
        made = make_verdict(found, Policy.of(self.frozen.spec), dry_run=False)
        decision = "promote" if gain.lower > 0 or self.champion is None else "reject"
        return dataclasses.replace(
            made,
            decision=decision,  # type: ignore[arg-type]  # of the decisions
            id=verdict_id(found, decision, dry_run=False),  # type: ignore[arg-type]  # as above
        )

    def _deploy(self, number: int, verdict: Verdict, refit: Snapshot) -> None:
        identity = digest_of([self.model, "release", number])
        sequence = self.champion.sequence + 1 if self.champion else 1
        served = Served(0.2, 1.0, 30.0, 0.5, 0.0)
        release = Release(
            identity,
            self.model,
            verdict.id,
            refit.id,
            refit.window.end,
            "run",
            0.01,
            _N_ROWS,
            served,
            verdict.checklist,
        )
        self.ledger.add_release(release)
        for name in ("manifest.json", "meta.json", "model.skops"):
            self._place(f"{items.release_key(identity)}/{name}")
        times = {"as_of": day(number), "cutoff": refit.window.end, "created_at": day(number) + timedelta(hours=1)}
        made = Champion(
            model=self.model,
            sequence=sequence,
            kind="promotion",
            release_id=identity,
            verdict_id=verdict.id,
            spec_id=self.frozen.id,
            recipe_id="recipe",
            estimator="LogisticRegression",
            version=sequence,
            by="gate",
            reason=verdict.reasons[0],
            **times,
        )
        assert self.ledger.move_champion(made, Deployment(self.model, "deployed", sequence, sequence, ""))
        self.ledger.add_alias(self.model, sequence, sequence)
        self.champion = made

    def _snapshot(self, window: Window, days: Iterable[int], as_of: Any) -> Snapshot:
        found = [c for d in days for c in self._chunks(d)]
        features, labels = (tuple(c for c in found if c.kind == kind) for kind in ("features", "labels"))
        identity = snapshots.snapshot_id(found, self.columns, window)
        parts = (identity, window, self.columns, features, labels)
        content = json.dumps(to_dict(Manifest(*parts)), sort_keys=True, indent=1)
        self._place(snapshots.snapshot_key(identity), content.encode())
        provenance = Provenance(self.model, as_of, self.source)
        self.ledger.add_provenance(identity, provenance)
        return Snapshot(*parts, provenance)

    def _chunks(self, number: int) -> tuple[Chunk, ...]:
        kinds = ("features", "labels")
        marks = [digest_of([self.model, kind, number]) for kind in kinds]
        return tuple(Chunk(m, k, day(number), _N_ROWS, _N_ROWS, 0, m) for m, k in zip(marks, kinds, strict=True))  # type: ignore[arg-type]  # the two kinds

    def _place(self, key: str, content: bytes = b"") -> None:
        """Write a file that looks two days old; unlike the store's own writing it waits for no disk."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        then = time.time() - _OLD
        os.utime(path, (then, then))


def _slice(name: str) -> dict[str, Any]:
    gain = estimate(-0.01, 0.03)
    known = {"name": name, "n_rows": 200, "candidate": 0.72, "champion": 0.7, "gain": gain, "margin": 0.05}
    return {**known, "p_worse": 0.8, "evaluated": True, "problem": None, "blocks": True}
