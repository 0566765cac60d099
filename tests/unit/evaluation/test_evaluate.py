"""Candidate and champion are compared class by class, whatever the order or number of their classes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from retraining.errors import NotEnoughData
from retraining.evaluation.holdout import aligned
from tests.unit.artifacts.test_stored import card

OUTPUTS = np.array([[0.2, 0.8], [0.6, 0.4]])


def test_classes_are_put_into_the_candidates_order() -> None:
    champion = dataclasses.replace(card(task="multiclass"), classes=("b", "c"))
    assert aligned(OUTPUTS, champion, ("b", "c"), "here") is OUTPUTS
    found = aligned(OUTPUTS, champion, ("a", "b", "c"), "here")
    assert found.tolist() == [[0.0, 0.2, 0.8], [0.0, 0.6, 0.4]]
    assert aligned(OUTPUTS, champion, ("c",), "here").tolist() == [[0.8], [0.4]]


def test_two_classes_with_another_meaning_cannot_be_compared() -> None:
    champion = dataclasses.replace(card(), classes=("no", "yes"))
    with pytest.raises(NotEnoughData, match="here: the champion's classes are no, yes, the candidate's 0, 1"):
        aligned(OUTPUTS[:, 1], champion, (0, 1), "here")
