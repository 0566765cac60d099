"""One self-contained HTML page per verdict: nothing is loaded, nothing runs, every value is escaped."""

from __future__ import annotations

import base64
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from retraining.evaluation.finalist import Drawing
from retraining.gate.champion import comparisons, decisive
from retraining.gate.measured import where_it_holds
from retraining.ledger import Ledger
from retraining.pages.verdicts.intervals import scale_of
from retraining.pages.verdicts.story import Story, story_of
from retraining.records import Trained, Verdict, short, shown_day
from retraining.workspace import Workspace

VERDICTS = "reports/verdicts/"
_WIDE, _NARROW = 560, 200
"""Widths of the interval pictures in pixels: of the comparison, and in a row of the slices."""
CONTENT_SECURITY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a server that shows a page should allow: its own styles and its pictures, which are in it."""


def page_key(verdict_id: str) -> str:
    """Return where a verdict's page is in the store."""
    return f"{VERDICTS}{verdict_id}.html"


def render(story: Story) -> str:
    """Return the page."""
    e = story.verdict.evaluation
    gains = [s.gain for s in e.slices if s.gain is not None]
    over = decisive(e)[1]
    return (
        templates()
        .get_template("verdict.html")
        .render(
            story=story,
            v=story.verdict,
            e=e,
            spec=story.frozen.spec,
            over=over,
            comparisons=comparisons(e),
            measured=where_it_holds(e),
            wide=scale_of([] if over is None else [over], [story.bar], _WIDE),
            narrow=scale_of(gains, [-s.margin for s in e.slices if s.gain is not None], _NARROW),
        )
    )


def live(workspace: Workspace, verdict: Verdict) -> str:
    """Return a verdict's page with everything that is known now."""
    return render(story_of(workspace, verdict))


def keep(workspace: Workspace, verdict: Verdict) -> None:
    """Keep the page as the verdict was made, in MLflow and in the store; done work is not done again.

    Neither copy names a row: an erasure rewrites the flipped rows that the live page shows, not finished pages. The
    store's copy comes last, so that a killed attempt is made good.
    """
    key = page_key(verdict.id)
    if workspace.store.exists(key):
        return
    content = render(story_of(workspace, verdict).without_keys()).encode()
    run = candidate_run(workspace.ledger, verdict)
    if run is not None:
        workspace.registry.log_files(run, {f"verdict-{short(verdict.id)}.html": content})
    workspace.store.write_once(key, content)


def candidate_run(ledger: Ledger, verdict: Verdict) -> str | None:
    """Return the MLflow run of the candidate that a verdict is about; the newest, where it was trained twice."""
    trained = ledger.recorded(Trained, verdict.model, "train").values()
    found = [t.run_id for t in trained if t.artifact_id == verdict.evaluation.candidate_id]
    return found[-1] if found else None


@cache
def templates() -> Environment:
    """Return the templates of this package: undefined values are errors, everything is escaped."""
    loader = PackageLoader("retraining.pages.verdicts")
    found = Environment(
        loader=loader, autoescape=select_autoescape(), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.filters["short"], found.filters["day"] = short, shown_day
    found.filters["image"] = _image
    found.filters["figure"] = lambda value: "" if value is None else f"{value:.4g}"
    found.filters["signed"] = lambda value: f"{value:+.4f}"
    found.filters["time"] = lambda value: f"{value:%Y-%m-%d %H:%M} UTC"
    return found


def _image(drawing: Drawing) -> str:
    """Return a picture as the address of itself; as an image it can run nothing and asks for nothing."""
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing.svg.encode()).decode()}"
