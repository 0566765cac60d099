"""The sections of a model card: pure functions of what is known of a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retraining.gate.champion import comparisons
from retraining.pages.verdicts.story import Story
from retraining.records import Champion, Estimate, Snapshot, Trained, short, shown_day
from retraining.spec import FrozenSpec
from retraining.windows import format_duration

if TYPE_CHECKING:
    from retraining.artifacts.stored import ModelCard

_UNKNOWN = "unknown"
_MOST_COLUMNS = 200
"""Columns a card lists: more are a data dictionary, and belong to the source."""
_CORE = ("scikit-learn", "numpy", "scipy", "pandas", "skops")
"""Packages whose versions a card names; the environment's document has all of them."""


@dataclass(frozen=True)
class Section:
    """A part of a card: sentences, named facts, and a table."""

    title: str
    notes: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Known:
    """What is known of a version; None where nobody recorded it, or it is not kept any more."""

    entry: Champion
    stored: ModelCard
    frozen: FrozenSpec
    environment: Mapping[str, Any] | None
    data: Snapshot | None
    trained: Trained | None
    story: Story | None
    offices: tuple[str, ...]

    @property
    def adopted(self) -> bool:
        """Whether it was made elsewhere, so that nobody here knows what it was trained on."""
        return self.stored.provenance is not None


def details(k: Known) -> Section:
    """Return who made what, when, and in which environment."""
    owner, stored = k.frozen.spec.owner, k.stored
    facts = [
        ("Version", f"{k.entry.version} of {k.entry.model}"),
        ("Owner", f"{owner.business} (business), {owner.technical} (technical)"),
        ("Kind", f"{stored.task}, {stored.estimator}"),
        ("Trained to", _UNKNOWN if k.adopted else shown_day(stored.cutoff)),
        ("Champion", "; ".join(k.offices)),
        ("Licence", "none is stated in the YAML; ask the owner"),
    ]
    if k.adopted:
        facts.insert(3, ("Provenance", f"adopted from {stored.provenance}: made elsewhere, its training is unknown"))
    return Section("Model details", facts=tuple(facts))


def intended_use(k: Known) -> Section:
    """Return what it is for, and how it is meant to be used."""
    spec = k.frozen.spec
    scored = f"every run of {spec.score.schedule} (UTC)" if spec.score.schedule else "when somebody asks"
    return Section(
        "Intended use",
        (spec.description,),
        (
            ("Predicts", _meaning(k, spec.data.target)),
            ("Used", f"scores {scored}"),
            ("Out of scope", "any other purpose, and rows from another source than the one below"),
        ),
    )


def data(k: Known) -> Section:
    """Return where the rows come from, who answers for them, and what the columns mean."""
    d, source = k.frozen.spec.data, k.frozen.spec.data.source
    owner = " ".join(text for text in (source.owner, source.contact) if text)
    facts = [
        ("Source", source.described),
        ("Source's owner", owner or "not stated (data.source.owner)"),
        ("Upstream", source.upstream or "not stated (data.source.upstream)"),
        ("Refreshed", source.refresh or "not stated (data.source.refresh)"),
        ("A label is final after", format_duration(d.label_delay)),
    ]
    what = "Watched against" if k.adopted else "Trained on"
    if k.data is None:
        facts.append((what, f"snapshot {short(k.stored.snapshot_id)}, which is not kept any more"))
    else:
        aside = sum(s.n_rows for s in k.data.set_aside)
        rows = f"{k.data.n_rows:,} rows, {k.data.n_labelled:,} labelled, {aside:,} set aside by checks"
        when = str(k.data.window) if d.time_ordered else "no time column"
        facts.append((what, f"{rows}; {when}; snapshot {k.data.id}"))
    used = k.stored.plan.columns
    listed = [*used, *(n for n in (d.time_column, *d.known_late) if n), *(n for n in d.columns if n not in used)]
    types = {c.name: c.type for c in k.data.columns} if k.data else {}
    rows_ = tuple((n, _role(k, n), types.get(n, ""), _meaning(k, n, "")) for n in dict.fromkeys(listed))
    notes = (f"{len(rows_) - _MOST_COLUMNS} columns more are not listed.",) if len(rows_) > _MOST_COLUMNS else ()
    return Section("Data", notes, tuple(facts), ("column", "used as", "type", "meaning"), rows_[:_MOST_COLUMNS])


def training(k: Known) -> Section:
    """Return how it was learnt and why it was chosen."""
    if k.adopted:
        return Section("Training", ("It was trained elsewhere; parameters, seed and data are unknown.",))
    stored, trained = k.stored, k.trained
    params = ", ".join(f"{name}={value}" for name, value in sorted(stored.params.items())) or "defaults"
    importance = sorted(stored.importance.items(), key=lambda pair: -pair[1])
    facts = [
        ("Estimator", stored.estimator),
        ("Parameters", params),
        ("Learnt", _learnt(k)),
        ("Seed", str(stored.seed)),
        ("Chosen because", trained.why if trained else "not recorded"),
        ("Environment", _environment(k)),
        ("Most important columns", ", ".join(f"{n} {v:.1%}" for n, v in importance[:10]) or "not computed"),
    ]
    rows = [
        (s.name, f"{s.mean:.4f}", f"{s.standard_error:.4f}", str(len(s.folds)))
        for s in (trained.scores if trained else ())
    ]
    columns = ("candidate", k.frozen.spec.training.metric, "standard error", "folds") if rows else ()
    return Section("Training", (), tuple(facts), columns, tuple(rows))


def metrics(k: Known) -> Section:
    """Return what the gate measured, with intervals."""
    title = "Metrics"
    if k.story is None:
        return Section(title, ("No gate judged this version, so nothing was measured before it went live.",))
    e = k.story.verdict.evaluation
    refit = " The candidate was measured; this version is the same recipe, refitted through the holdout."
    notes = (
        f"Measured on {e.n_rows:,} rows in {e.n_blocks} blocks ({_when(k)}) that neither model had seen. Intervals "
        f"have {e.confidence:.0%} on each side, by blocks of time.{refit if k.frozen.spec.gate.refit else ''}",
    )
    rows = [("this model", _number(e.candidate), "", "")]
    for name, value, over in comparisons(e):
        if value is not None:
            rows.append((name, _number(value), *_interval(over)))
    c = e.calibration
    if c is not None:
        rows.append(("calibration error, this model", _number(c.candidate), "", ""))
    if c is not None and c.champion is not None:
        rows.append(("calibration error, champion before", _number(c.champion), *_interval(c.gain)))
    return Section(title, notes, (), (e.metric, "value", "gain of this model", "interval"), tuple(rows))


def slices(k: Known) -> Section:
    """Return how groups of rows are served."""
    title = "Slices"
    found = k.story.verdict.evaluation.slices if k.story else ()
    if not found:
        return Section(title, ("No group of rows was judged apart (gate.slices names none).",))
    rows = tuple(
        (s.name, f"{s.n_rows:,}", _number(s.candidate), _number(s.champion), *_interval(s.gain), s.problem or "")
        for s in found
    )
    return Section(
        title,
        (),
        (),
        ("slice", "rows", "this model", "champion before", "gain", "interval", "not judged because"),
        rows,
    )


def checklist(k: Known) -> Section:
    """Return every item the gate and the release had to pass."""
    title = "Checklist"
    items = (*k.story.verdict.checklist, *(k.story.release.checklist if k.story.release else ())) if k.story else ()
    if not items:
        return Section(title, ("There was none.",))
    return Section(
        title,
        (),
        (),
        ("item", "outcome", "found", "limit"),
        tuple((i.name, i.outcome, i.figure, i.limit) for i in items),
    )


def limits(k: Known) -> Section:
    """Return what nobody checked, what was warned of, and when it should not be trusted."""
    spec = k.frozen.spec
    said = []
    if k.adopted:
        said.append("Its training data is unknown: it may have seen rows that later figures are computed on.")
    if not spec.data.time_ordered:
        said.append("Judged on a keyed-hash holdout: not time-ordered, so nothing is known of how it ages.")
    if not spec.gate.slices:
        said.append("No groups of rows were judged apart, so nothing is known of fairness between them.")
    if spec.gate.cases is None:
        said.append("No behavioural cases are stated (gate.cases).")
    if k.story is not None:
        e = k.story.verdict.evaluation
        said += [i.sentence for i in k.story.verdict.checklist if i.outcome != "pass"]
        said += [i.sentence for i in (k.story.release.checklist if k.story.release else ()) if i.outcome != "pass"]
        said += [f"{e.n_unlabelled:,} holdout rows without a label were left out."] if e.n_unlabelled else []
        said += [f"The same rows were judged {e.looks} times before."] if e.looks else []
    watched = f"watched every run of {spec.monitor.schedule} (UTC)" if spec.monitor.schedule else "not watched"
    said.append(f"Data drifts: it is {watched}, and says nothing of rows unlike those of its training window.")
    return Section("Limits", tuple(dict.fromkeys(said)))


def decision(k: Known) -> Section:
    """Return the verdict, its rule, and who let it in."""
    title, entry = "Decision", k.entry
    facts = [("Entered as", f"{entry.kind} by {entry.by}: {entry.reason}")]
    if k.story is None:
        return Section(title, ("No verdict stands behind this version.",), tuple(facts))
    v = k.story.verdict
    facts.insert(
        0, ("Verdict", f"{v.decision}, rule {v.evaluation.rule}, as of {v.evaluation.as_of:%Y-%m-%d %H:%M} UTC")
    )
    facts += [("Reason", reason) for reason in v.reasons]
    answer, override = k.story.approval, k.story.override
    if override is not None:
        facts.append(
            ("Override", f"against the gate, by {override.by} (account {override.account}): {override.reason}")
        )
    if answer is not None:
        said = f"{'approved' if answer.approved else 'refused'} by {answer.by}"
        facts.append(("Answer", f"{said}: {answer.reason}" if answer.reason else said))
    elif entry.kind == "promotion":
        facts.append(("Answer", "no person was asked (gate.approval)"))
    return Section(title, (), tuple(facts))


def lineage(k: Known) -> Section:
    """Return the ids that lead to everything it was made of."""
    stored, e = k.stored, k.story.verdict.evaluation if k.story else None
    pairs = (
        ("Release", k.entry.release_id),
        ("Verdict", k.entry.verdict_id or "none"),
        ("Candidate", e.candidate_id if e else "none"),
        ("Holdout", e.holdout_id if e else "none"),
        ("Snapshot", stored.snapshot_id),
        ("Spec", stored.spec_id),
        ("Recipe", stored.recipe_id),
        ("Environment", stored.environment_id),
        ("MLflow run", k.story.release.run_id if k.story and k.story.release else _UNKNOWN),
    )
    how = f"`python -m retraining reproduce {k.entry.model} --version {k.entry.version}` makes it again from these."
    return Section("Lineage", () if k.adopted else (how.replace("`", ""),), pairs)


def _role(k: Known, name: str) -> str:
    d, plan = k.frozen.spec.data, k.stored.plan
    roles = dict.fromkeys(d.outcomes, "outcome, known late") | {d.time: "time", d.target: "target"}
    if name in roles:
        return roles[name]
    if name in plan.columns:
        return "number" if name in plan.numeric else "category"
    return "key" if name in d.key else "not used"


def _meaning(k: Known, name: str, otherwise: str | None = None) -> str:
    said = k.frozen.spec.data.columns.get(name)
    if said is None:
        return name if otherwise is None else otherwise
    text = said.meaning + (f" ({said.unit})" if said.unit else "")
    return f"{name}: {text}" if otherwise is None else text


def _learnt(k: Known) -> str:
    begins = k.stored.reach.begins(k.stored.cutoff)
    return "every row of the training window" if begins is None else f"only the rows from {shown_day(begins)} on"


def _environment(k: Known) -> str:
    if k.environment is None:
        return f"{short(k.stored.environment_id)}, whose description is not kept"
    versions = k.environment["versions"]
    named = ", ".join(f"{n} {versions[n]}" for n in _CORE if n in versions)
    return f"Python {k.environment['python']} on {k.environment['platform']}; {named}"


def _when(k: Known) -> str:
    e = k.story.verdict.evaluation if k.story else None
    return str(e.window) if e is not None and e.time_ordered else "a keyed-hash holdout: not time-ordered"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _interval(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None:
        return "", ""
    return f"{estimate.value:+.4f}", f"{estimate.lower:+.4f} to {estimate.upper:+.4f}"
