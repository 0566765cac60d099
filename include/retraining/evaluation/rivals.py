"""Rivals on the holdout: who they are by the ledger, and their predictions on its rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np

from retraining.evaluation.holdout import Judged, Scored, score
from retraining.gate.rivals import ANCHOR_REFRESHES, Rivals, choose_rivals
from retraining.records import Champion, Window
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace


def rivals_of(workspace: Workspace, frozen: FrozenSpec, champion: Champion | None, holdout: Window) -> Rivals:
    """Return whom a candidate that was trained up to the holdout is compared with."""
    history = workspace.ledger.champions(frozen.model) if champion else []
    return choose_rivals(
        history,
        _rules(workspace, history),
        champion,
        holdout,
        frozen.spec.gate.holdout,
    )


def with_rivals(
    workspace: Workspace, judged: Judged, champion: Champion | None, rivals: Rivals, where: str, *, refresh: bool
) -> Judged:
    """Score the holdout with the champion in office and, for a refresh, with its opponent and its anchor."""
    if champion is None:
        return judged

    @cache
    def scored(entry: Champion) -> Scored:
        return score(workspace, entry, judged.data, where)

    begins = None if rivals.champion_from is None else np.datetime64(rivals.champion_from.replace(tzinfo=None))
    newer = np.zeros(len(judged.data.y), dtype=np.bool_) if begins is None else judged.data.times >= begins
    met = replace(judged, champion=scored(champion), champion_rows=np.asarray(newer))
    if not refresh:
        return met
    anchor = None if rivals.anchor is None else scored(rivals.anchor)
    return replace(met, opponent=_first_that_scores(scored(entry) for entry in rivals.opponents), anchor=anchor)


def _first_that_scores(found: Iterable[Scored]) -> Scored | None:
    """Return the nearest rival with predictions; where none has any the nearest, which says why."""
    tried: list[Scored] = []
    for one in found:
        if one.predictions is not None:
            return one
        tried.append(one)
    return tried[0] if tried else None


def _rules(workspace: Workspace, history: list[Champion]) -> dict[str, str]:
    """Return by which rule the newest champions were promoted, by verdict: as many as the anchor can be back."""
    found: dict[str, str] = {}
    for entry in [c for c in history if c.kind == "promotion"][-ANCHOR_REFRESHES - 1 :]:
        verdict = workspace.ledger.verdict(entry.verdict_id or "")
        if verdict is not None:
            found[verdict.id] = verdict.evaluation.rule
    return found
