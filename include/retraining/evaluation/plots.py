"""The pictures of a finalist on its holdout, beside the champion: PNG for MLflow, SVG for the pages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_curve, roc_auc_score, roc_curve

from retraining.stats.metrics import Array

_CANDIDATE, _CHAMPION = ("#0b5fa5", "-"), ("#b34700", "--")
"""Blue and orange differ for every kind of colour vision, and the line style says it again."""
_MOST_POINTS = 200
"""Points of a curve: more than a page's pixels can show would only make it large."""
_MOST_CLASSES = 15
"""Classes of a confusion matrix whose numbers can be read; the rarer ones are left out, and the picture says so."""
_SIDE_BY_SIDE = 6
"""Classes up to which two confusion matrices stand side by side on a page; larger ones one below the other."""
_N_GROUPS = 10
_UPRIGHT = 1
"""Characters of a name that fits below its tick without being turned."""
_STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "retraining", "font.size": 8.5, "text.parse_math": False}
"""Text stays text, and the same picture is the same bytes. A class may be called `$x$`: it is not mathematics."""


@dataclass(frozen=True)
class Picture:
    """A drawn figure with its title and what it shows in words, for those who cannot see it."""

    name: str
    title: str
    alt: str
    figure: Figure

    def png(self) -> bytes:
        """Return it as PNG."""
        return _saved(self.figure, format="png", dpi=90)

    def svg(self) -> bytes:
        """Return it as SVG."""
        return _saved(self.figure, format="svg", metadata={"Date": None, "Creator": None})


def draw(task: str, y: Array, candidate: Array, champion: Array | None, classes: tuple[Any, ...]) -> list[Picture]:
    """Return what can be drawn of a holdout's truth and predictions; nothing where it has one class only."""
    models = [("challenger", candidate, _CANDIDATE)]
    if champion is not None:
        models.append(("champion", champion, _CHAMPION))
    if task == "regression":
        return [_residuals(y, models), _histogram(y, models)]
    if len(np.unique(y)) < 2:
        return []
    if candidate.ndim == 2:
        return [_confidence(y, models), _confusion(y, models, classes)]
    return [_roc(y, models), _recall(y, models), _calibration(y, models), _confusion(y, models, classes)]


def class_name(value: object) -> str:
    """Return a class as people write it: labels that a source stores as 1.0 are 1.

    >>> class_name(1.0), class_name("late")
    ('1', 'late')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def lines(panels: Sequence[tuple[str, Sequence[Any], Sequence[tuple[str, Sequence[float]]]]], ylabel: str) -> Figure:
    """Draw small pictures side by side on one scale: a title, its x values (numbers or texts) and named curves.

    Numbers make a line, texts a point each.
    """
    with mpl.rc_context(_STYLE):
        n_columns = min(3, len(panels))
        n_rows = -(-len(panels) // n_columns)
        figure = Figure(figsize=(3.2 * n_columns, 2.5 * n_rows), layout="constrained")
        grid = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False).ravel()
        for axes, (title, xs, curves) in zip(grid, panels, strict=False):
            for index, (name, ys) in enumerate(curves):
                style = "o" if xs and isinstance(xs[0], str) else "o-"
                axes.plot(
                    range(len(xs)) if style == "o" else xs, ys, style, markersize=4, color=f"C{index}", label=name
                )
            if xs and isinstance(xs[0], str):
                _name_ticks(axes, [_short(x, 12) for x in xs])
                axes.set_xlim(-0.5, len(xs) - 0.5)
            axes.set_title(_short(title, 32))
        for axes in grid[::n_columns]:
            axes.set_ylabel(ylabel)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        if panels and len(panels[0][2]) > 1:
            grid[0].legend(fontsize=7.5)
        return figure


_Models = list[tuple[str, Array, tuple[str, str]]]


def _roc(y: Array, models: _Models) -> Picture:
    figure, axes = _empty("ROC", "false positive rate", "true positive rate")
    said = []
    for name, p, (colour, line) in models:
        x, found, _ = roc_curve(y, p)
        area = roc_auc_score(y, p)
        axes.plot(*_thinned(x, found), line, color=colour, label=f"{name} ({area:.3f})")
        said.append(f"{name} has an area of {area:.3f}")
    _diagonal(axes)
    return _finished(figure, axes, "roc", "ROC", f"ROC curves: {', '.join(said)}.")


def _recall(y: Array, models: _Models) -> Picture:
    figure, axes = _empty("Precision and recall", "recall", "precision")
    said = []
    for name, p, (colour, line) in models:
        precision, found, _ = precision_recall_curve(y, p)
        average = average_precision_score(y, p)
        axes.plot(*_thinned(found, precision), line, color=colour, label=f"{name} ({average:.3f})")
        said.append(f"{name} has an average precision of {average:.3f}")
    share = float(np.mean(y))
    axes.axhline(share, linestyle=":", color="#444444", linewidth=1)
    axes.set_ylim(0, 1.02)
    text = f"Precision against recall: {', '.join(said)}; {share:.1%} of the rows are positive."
    return _finished(figure, axes, "precision-recall", "Precision and recall", text)


def _calibration(y: Array, models: _Models) -> Picture:
    figure, axes = _empty("Calibration", "predicted probability", "observed share")
    end = 0.0
    for name, p, (colour, line) in models:
        share, mean = calibration_curve(y, p, n_bins=_N_GROUPS, strategy="quantile")
        axes.plot(mean, share, f"o{line}", color=colour, label=name, markersize=4)
        end = max(end, *mean, *share)
    _diagonal(axes, min(1.0, 1.1 * end))
    text = "Observed share against predicted probability in ten groups of equal size; the dotted diagonal is perfect."
    return _finished(figure, axes, "calibration", "Calibration", text)


def _confidence(y: Array, models: _Models) -> Picture:
    figure, axes = _empty("Calibration", "probability of the predicted class", "share that is right")
    for name, p, (colour, line) in models:
        right = (p.argmax(axis=1) == y).astype(float)
        sure = p.max(axis=1)
        if right.min() < right.max():
            share, mean = calibration_curve(right, sure, n_bins=_N_GROUPS, strategy="quantile")
            axes.plot(mean, share, f"o{line}", color=colour, label=name, markersize=4)
        else:
            axes.plot([sure.mean()], [right.mean()], f"o{line}", color=colour, label=name, markersize=4)
    _diagonal(axes)
    text = "Share of right predictions against the probability of the predicted class; the dotted diagonal is perfect."
    return _finished(figure, axes, "calibration", "Calibration", text)


def _confusion(y: Array, models: _Models, classes: tuple[Any, ...]) -> Picture:
    counts = np.bincount(y.astype(int), minlength=len(classes))
    shown = np.sort(np.argsort(-counts, kind="stable")[:_MOST_CLASSES])
    names = [_short(class_name(classes[i]), 14) for i in shown]
    with mpl.rc_context(_STYLE):
        side = max(2.4, 0.45 * len(names) + 1.3)
        across = len(models) if len(names) <= _SIDE_BY_SIDE else 1
        down = len(models) // across
        figure = Figure(figsize=(side * across, side * down), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False).ravel()
        said = []
        for axes, (name, p, _) in zip(grid, models, strict=True):
            predicted = p.argmax(axis=1) if p.ndim == 2 else (p >= 0.5).astype(int)
            every = confusion_matrix(y, predicted, labels=range(len(classes)), normalize="true")
            share = every[np.ix_(shown, shown)]
            axes.imshow(share, vmin=0, vmax=1, cmap="Blues")
            for (row, column), value in np.ndenumerate(share):
                colour = "white" if value > 0.5 else "black"
                axes.text(column, row, f"{value:.0%}", ha="center", va="center", color=colour, fontsize=8)
            _name_ticks(axes, names)
            axes.set_yticks(range(len(names)), names)
            axes.set(title=name, xlabel="predicted", ylabel="true")
            said.append(
                f"{name} finds {', '.join(f'{d:.0%} of {n}' for d, n in zip(share.diagonal(), names, strict=True))}"
            )
    left = f" The {len(classes) - len(names)} rarest classes are left out." if len(classes) > len(names) else ""
    at = " at a probability of 0.5" if len(classes) == 2 else ""
    return Picture("confusion", f"Confusion{at}", f"Confusion{at}: {'; '.join(said)}.{left}", figure)


def _residuals(y: Array, models: _Models) -> Picture:
    figure, axes = _empty("Residuals", "prediction", "truth less prediction")
    for name, p, (colour, line) in models:
        order = np.argsort(p, kind="stable")
        groups = [g for g in np.array_split(order, min(2 * _N_GROUPS, len(order))) if len(g)]
        middle = [float(np.mean(p[g])) for g in groups]
        low, half, high = (np.array([np.quantile((y - p)[g], q) for g in groups]) for q in (0.1, 0.5, 0.9))
        axes.plot(middle, half, f"o{line}", color=colour, label=f"{name}: median, 80 % band", markersize=3)
        axes.fill_between(middle, low, high, color=colour, alpha=0.15)
    axes.axhline(0, linestyle=":", color="#444444", linewidth=1)
    text = "Residuals by prediction in twenty groups of equal size: the median, and the band of eight rows in ten."
    return _finished(figure, axes, "residuals", "Residuals", text)


def _histogram(y: Array, models: _Models) -> Picture:
    figure, axes = _empty("Distribution of residuals", "truth less prediction", "rows")
    every = np.concatenate([y - p for _, p, _ in models])
    low, high = np.quantile(every, [0.005, 0.995])  # a few extreme rows would leave nothing of the picture
    bins = np.linspace(low, high if high > low else low + 1, 61).tolist()
    for name, p, (colour, line) in models:
        axes.hist(y - p, bins=bins, histtype="step", color=colour, linestyle=line, label=name)
    axes.axvline(0, linestyle=":", color="#444444", linewidth=1)
    text = f"Distribution of residuals; 99 % of them are between {low:.4g} and {high:.4g}."
    return _finished(figure, axes, "residual-distribution", "Distribution of residuals", text)


def _empty(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.2, 3.0), layout="constrained")
        axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    return figure, axes


def _finished(figure: Figure, axes: Axes, name: str, title: str, alt: str) -> Picture:
    axes.legend(fontsize=7.5)
    return Picture(name, title, alt, figure)


def _name_ticks(axes: Axes, names: list[str]) -> None:
    turned: dict[str, Any] = {"rotation": 45, "ha": "right"} if max(map(len, names)) > _UPRIGHT else {}
    axes.set_xticks(range(len(names)), names, **turned)


def _diagonal(axes: Axes, end: float = 1.0) -> None:
    axes.plot([0, end], [0, end], ":", color="#444444", linewidth=1)


def _thinned(x: Array, y: Array) -> tuple[Array, Array]:
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).astype(int))
    return x[kept], y[kept]


def _short(value: object, limit: int) -> str:
    text = " ".join(str(value).split()) or "(empty)"
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _saved(figure: Figure, **how: Any) -> bytes:
    """Draw a figure. Finding room for its texts takes as long as drawing it, so that is done the first time only."""
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, **how)
    figure.set_layout_engine(None)
    return buffer.getvalue()
