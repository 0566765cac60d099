"""A model card per version (Mitchell et al. 2019, Model Cards for Model Reporting), as Markdown and as HTML.

Both are written from one structure of sections. What nobody knows is said to be unknown; a heading is never left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from retraining.data.ingest import source_id_of
from retraining.data.snapshots import read_snapshot
from retraining.errors import Damaged, RequestError
from retraining.pages.markdown import plain, plain_table
from retraining.pages.verdicts import sections
from retraining.pages.verdicts.page import templates
from retraining.pages.verdicts.sections import Known, Section
from retraining.pages.verdicts.story import story_of
from retraining.records import Champion, Snapshot, Trained, Verdict, shown_day
from retraining.spec import FrozenSpec
from retraining.workspace import Workspace

_LAST = "card.html"
"""What is logged last: a run that has it has all of the card."""


@dataclass(frozen=True)
class Card:
    """A model card: title, a sentence that sums it up, and its sections in reading order."""

    model: str
    version: int
    title: str
    summary: str
    sections: tuple[Section, ...]


def card_of(workspace: Workspace, model: str, version: int | None = None) -> Card:
    """Return the card of a version, or of the champion.

    Raises
    ------
    RequestError
        When the version never was a champion.
    Damaged
        When the release, or what it was made of, is not what was stored.
    """
    history = workspace.ledger.champions(model)
    found = [c for c in history if version in (None, c.version)]
    if not found:
        there = sorted({c.version for c in history})
        what = f"It has {', '.join(map(str, there))}" if there else "It has no champion yet"
        raise RequestError(f"{model}: version {version or ''} has no card: it never was a champion. {what}.")
    entry = found[-1] if version is None else found[0]  # how it came into office, not how a rollback brought it back
    return make(_known(workspace, entry, _offices(history, entry)))


def make(known: Known) -> Card:
    """Write a card from what is known of a version."""
    entry, spec = known.entry, known.frozen.spec
    return Card(
        entry.model,
        entry.version,
        f"Model card: {entry.model}, version {entry.version}",
        spec.description,
        (
            sections.details(known),
            sections.intended_use(known),
            sections.data(known),
            sections.training(known),
            sections.metrics(known),
            sections.slices(known),
            sections.checklist(known),
            sections.limits(known),
            sections.decision(known),
            sections.lineage(known),
        ),
    )


def as_html(card: Card) -> str:
    """Return the card as one self-contained page."""
    return templates().get_template("card.html").render(card=card)


def as_markdown(card: Card) -> str:
    """Return the card as Markdown; what a source or a YAML says cannot change its structure."""
    parts = [f"# {plain(card.title)}", plain(card.summary)]
    for section in card.sections:
        parts.append(f"## {section.title}")
        mark = "- " if len(section.notes) > 1 else ""
        parts += ["\n".join(mark + plain(note) for note in section.notes)] if section.notes else []
        if section.facts:
            parts.append("\n".join(f"- **{plain(name)}**: {plain(text)}" for name, text in section.facts))
        if section.columns:
            parts.append(plain_table(section.columns, section.rows))
    return "\n\n".join(parts) + "\n"


def keep(workspace: Workspace, verdict: Verdict) -> None:
    """Log the card of what a verdict led to with its release's run in MLflow; done work is not done again."""
    made = [c for c in workspace.ledger.champions(verdict.model) if c.verdict_id == verdict.id]
    release = workspace.ledger.release_of(verdict.id)
    if not made or release is None or workspace.registry.has_file(release.run_id, _LAST):
        return
    card = card_of(workspace, verdict.model, made[0].version)
    files = {"card.md": as_markdown(card).encode(), _LAST: as_html(card).encode()}
    workspace.registry.log_files(release.run_id, files)


def _known(workspace: Workspace, entry: Champion, offices: Iterable[str]) -> Known:
    from retraining.artifacts.environment import read_environment
    from retraining.artifacts.stored import read_card  # imports scikit-learn, which only a card's reader pays for

    stored = read_card(workspace.store, entry.release_id)
    verdict = workspace.ledger.verdict(entry.verdict_id) if entry.verdict_id else None
    trained = workspace.ledger.recorded(Trained, entry.model, "train").values()
    candidate = verdict.evaluation.candidate_id if verdict else None
    frozen = workspace.frozen(entry.spec_id)
    return Known(
        entry=entry,
        stored=stored,
        frozen=frozen,
        environment=read_environment(workspace.store, stored.environment_id),
        data=_snapshot(workspace, stored.snapshot_id, frozen, verdict.evaluation.as_of if verdict else entry.as_of),
        trained=next((t for t in trained if t.artifact_id == candidate), None),
        story=story_of(workspace, verdict) if verdict else None,
        offices=tuple(offices),
    )


def _snapshot(workspace: Workspace, identity: str, frozen: FrozenSpec, as_of: datetime) -> Snapshot | None:
    run = (frozen.model, as_of, source_id_of(frozen))
    try:
        return read_snapshot(workspace.store, workspace.ledger, identity, *run)
    except Damaged:  # housekeeping may have freed it; the card then says that the data is not kept any more
        return None


def _offices(history: Sequence[Champion], entry: Champion) -> Iterable[str]:
    """Yield when the version was champion, and who made it so."""
    for one, after in zip(history, [*history[1:], None], strict=True):
        if one.version == entry.version:
            until = shown_day(after.as_of) if after else "now"
            yield f"entry {one.sequence}: {shown_day(one.as_of)} to {until}, {one.kind} by {one.by}"
