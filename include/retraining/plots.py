"""The pictures a run carries in MLflow: how the candidate and the champion do on the holdout."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

from retraining.metrics import Array

_CHAMPION, _CANDIDATE = "#8a8a8a", "#1b6ca8"


def draw(task: str, y: Array, candidate: Array, champion: Array | None, classes: tuple[Any, ...]) -> dict[str, bytes]:
    """Return PNG pictures by file name, for a holdout's truth and predictions."""
    models = [("candidate", candidate, _CANDIDATE)]
    if champion is not None:
        models.append(("champion", champion, _CHAMPION))
    if task == "regression":
        return {"residuals.png": _residuals(y, models)}
    if candidate.ndim == 2:
        return {"confusion.png": _confusion(y, candidate, classes)}
    if len(np.unique(y)) < 2:
        return {}
    return {"curves.png": _curves(y, models)}


def _curves(y: Array, models: list[tuple[str, Array, str]]) -> bytes:
    figure = Figure(figsize=(12, 4), layout="constrained")
    roc, recall, calibration = figure.subplots(1, 3)
    for name, p, colour in models:
        false_positive, true_positive, _ = roc_curve(y, p)
        roc.plot(false_positive, true_positive, color=colour, label=name)
        precision, found, _ = precision_recall_curve(y, p)
        recall.plot(found, precision, color=colour, label=name)
        share, mean = calibration_curve(y, p, n_bins=10, strategy="quantile")
        calibration.plot(mean, share, "o-", color=colour, label=name)
    roc.plot([0, 1], [0, 1], ":", color="black", linewidth=0.8)
    calibration.plot([0, 1], [0, 1], ":", color="black", linewidth=0.8)
    roc.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    recall.set(title="Precision and recall", xlabel="recall", ylabel="precision")
    calibration.set(title="Calibration (ten equal groups)", xlabel="predicted probability", ylabel="observed share")
    calibration.legend()
    return _png(figure)


def _residuals(y: Array, models: list[tuple[str, Array, str]]) -> bytes:
    figure = Figure(figsize=(10, 4), layout="constrained")
    scatter, histogram = figure.subplots(1, 2)
    for name, p, colour in models:
        scatter.plot(p, y - p, ".", markersize=2, alpha=0.3, color=colour, label=name)
        histogram.hist(y - p, bins=60, histtype="step", color=colour, label=name)
    scatter.set(title="Residuals", xlabel="prediction", ylabel="truth less prediction")
    histogram.set(title="Distribution of residuals", xlabel="truth less prediction", ylabel="rows")
    histogram.legend()
    return _png(figure)


def _confusion(y: Array, p: Array, classes: tuple[Any, ...]) -> bytes:
    counts = confusion_matrix(y, p.argmax(axis=1), labels=range(len(classes)), normalize="true")
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    figure.colorbar(axes.imshow(counts, vmin=0, vmax=1, cmap="Blues"), label="share of the true class")
    names = [str(c) for c in classes]
    axes.set(title="Confusion", xlabel="predicted", ylabel="true")
    axes.set_xticks(range(len(names)), names, rotation=45)
    axes.set_yticks(range(len(names)), names)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()
