"""A ledger with a small history, and dumps of it as each schema wrote them: what an upgrade must keep.

`python -m tests.support.ledgers` writes the dumps of the newest schema, for SQLite and PostgreSQL, and leaves those of
older ones alone. A change of the schema adds its own; a dump that was once released is never made again.
"""

from __future__ import annotations

import dataclasses
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import time_machine
from sqlalchemy import create_engine, make_url, text

from retraining.care.erase import ErasedObject, Erasure
from retraining.care.retention import Sweep
from retraining.data.readings import freed_key
from retraining.ledger import Ledger
from retraining.ledger.erasures import ErasedKey
from retraining.ledger.quarantine import Quarantined, TakenIn
from retraining.ledger.seals import Seal, SealedTable
from retraining.ledger.work import EVERY_MODEL
from retraining.records import (
    Alert,
    CandidateScore,
    Chunk,
    Closing,
    DayPerformance,
    Deployment,
    Evaluation,
    Item,
    Override,
    PredictionSet,
    Provenance,
    Release,
    Served,
    Trained,
    Tried,
    Window,
    digest_of,
)
from retraining.validation import quarantine
from samples.records import champion, decision, evaluation, measurement, request, verdict
from samples.tiny import NAME, day
from tests.support import postgres

FOLDER = Path(__file__).parents[1] / "fixtures" / "ledger"
OTHER = "other"
"""A second model, so that what belongs to one is not found with the other."""
SOURCE = digest_of("source")
SCORE = CandidateScore("LogisticRegression", {"C": 1.0}, (0.7, 0.8), 0.75, 0.05, "run")
_ITEM = Item("champion", "pass", "no champion", "none", "there is no champion yet")


def chunk(name: str, number: int = 1) -> Chunk:
    """Return a made-up chunk of features."""
    return Chunk(digest_of(name), "features", day(number), 40, 0, 2048, digest_of([name, "content"]))


def predictions(model: str, number: int) -> PredictionSet:
    """Return a made-up published day."""
    key = f"predictions/{model}/{number}.parquet"
    return PredictionSet(model, Window(day(number), day(number + 1)), "r1", 1, "c", day(number + 1), key, 40, "digest")


def fill(ledger: Ledger) -> None:
    """Write a history of two models: whatever the ledger can hold, at least once."""
    fill_before_seals(ledger)
    with time_machine.travel(day(60), tick=False):
        _sealed(ledger)


def fill_before_seals(ledger: Ledger, parts: slice = slice(None)) -> None:
    """Write that history without a seal, or some parts of it."""
    with time_machine.travel(day(60), tick=False):
        for part in _PARTS[parts]:
            part(ledger)


def _readings(ledger: Ledger) -> None:
    ledger.add_readings(SOURCE, day(5), {day(1): (chunk("a"),), day(2): (chunk("b", 2), chunk("c", 2)), day(3): ()})
    ledger.add_readings(SOURCE, day(6), {day(1): (chunk("a"),)})
    ledger.add_readings(digest_of("elsewhere"), day(5), {day(1): (chunk("d"),)})


def trained(model: str = NAME) -> Trained:
    """Return a made-up training."""
    return Trained(
        model=model,
        recipe_id="recipe",
        spec_id="spec",
        snapshot_id="snapshot",
        estimator="LogisticRegression",
        params={"C": 1.0},
        seed=1,
        artifact_id="artifact",
        run_id="run",
        cutoff=day(32),
        scores=(SCORE,),
        why="the best of one",
    )


def tried(model: str = NAME) -> Tried:
    """Return a made-up candidate."""
    return Tried(model, "spec", "snapshot", 0, "LogisticRegression", SCORE, digest_of("predictions"), 1, 1)


def performance(number: int) -> DayPerformance:
    """Return a made-up day of realised performance."""
    return DayPerformance(day(number), 40, 0, 0.75, None, "r1")


def _frozen(ledger: Ledger) -> None:
    ledger.add_provenance(digest_of("snapshot"), Provenance(NAME, day(5), SOURCE, (day(3),)))


def _evaluation(model: str) -> Evaluation:
    """Return an evaluation without what was added since the first dump: what a record lacks is read as its default."""
    fields = dataclasses.fields(Evaluation)
    later = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING and f.name != "chosen"}
    return evaluation(model=model, **later)


def _work(ledger: Ledger) -> None:
    for model in (NAME, OTHER):
        ledger.finish(model, "train", "t1", trained(model))
        ledger.finish(model, "candidate", "c1", tried(model))
        ledger.finish(model, "evaluate", "e1", _evaluation(model))
    ledger.finish(NAME, "performance", "p1", performance(45))
    ledger.finish_many(NAME, "validation", {digest_of("report"): {"report_key": "reports/validation/1.html"}})
    ledger.finish_many(NAME, "partition", {digest_of("partition"): {"start": day(1).isoformat(), "n_rows": 40}})
    ledger.finish_many(NAME, "unique keys", {digest_of(["c1", "c2"]): {"chunks": ["c1", "c2"]}})


def _judged(ledger: Ledger) -> None:
    for model, letter in ((NAME, "a"), (OTHER, "b")):
        judged = _evaluation(model)
        for number, changed in enumerate(({}, {"decision": "reject"}, {"dry_run": True}, {"decision": "inconclusive"})):
            made = dataclasses.replace(verdict(digest_of([model, number]), model=model, evaluation=judged), **changed)
            ledger.add_verdict(dataclasses.replace(made, checklist=(_ITEM,)), [])
        promoted, overridden = digest_of([model, 0]), digest_of([model, 1])
        deployed = Deployment(model, "deployed", 1, 1, "version 1 is champion 1")
        served = Served(0.1, 5.0, 300.0, 0.1, 0.0)
        release = Release(digest_of([letter, 1]), model, promoted, "s", day(39), "run", 0.0, 10, served, ())
        ledger.add_release(release)
        ledger.add_approval(model, promoted, True, "ann", "looks right")
        ledger.move_champion(champion(1, model=model, release_id=release.id, verdict_id=promoted), deployed)
        ledger.add_alias(model, 1, 1)
        made = Override(model, overridden, "reject", "release2", 2, "Ann", "ann", "the fair is on", day(42))
        ledger.move_champion(champion(2, model=model, kind="override", verdict_id=overridden), override=made)
        ledger.add_outcome(digest_of([model, 2]), Deployment(model, "refused", None, None, "bob said no"))


def _asked(ledger: Ledger) -> None:
    for identity, number in (("r1", 48), ("r2", 50), ("r3", 50)):
        ledger.add_request(request(identity, number))
    ledger.add_request(dataclasses.replace(request("r4", 51), model=OTHER))
    # of a request that was served: so that ledgers from before there were closings say the same of what is open
    ledger.add_closing(Closing("r1", NAME, "Ann", "ann", "the fair is over", day(52)))
    ledger.add_verdict(verdict(digest_of("serves"), decision="nothing_new", evaluation=_evaluation(NAME)), ["r1"])


def _watched(ledger: Ledger) -> None:
    for model in (NAME, OTHER):
        for number in (48, 49, 50):
            ledger.add_predictions(predictions(model, number))
            ledger.add_measurement(measurement(number, model=model))
            outcome = "ask" if number == 50 else "quiet"
            ledger.add_decision(decision(number, id=digest_of([model, number]), model=model, outcome=outcome))
        ledger.add_alert(Alert(model, "stale", day(49), "the champion is 9 days old"))
        ledger.add_alert(Alert(model, "failed", day(50), "the source does not answer"))


def _set_aside(ledger: Ledger) -> None:
    for number, blocks in ((1, False), (2, True), (3, True)):
        kept = Quarantined(
            mark=digest_of(["mark", number]),
            partition=day(number),
            features_id=digest_of(["features", number]),
            n_rows=number,
            n_partition=40,
            checks={"x1: expect_column_values_to_be_between": number},
            key=f"quarantine/{number}.parquet",
            blocks=blocks,
        )
        ledger.set_aside(NAME, {digest_of(["entry", number]): kept})
    quarantine.drop(ledger, NAME, day(3), "ann", "a test order")
    ended = TakenIn("the rows were repaired at their source", digest_of("repaired"))
    ledger.take_in(NAME, {digest_of(["entry", 1]): ended})
    ledger.distrust(NAME, [digest_of("bad reading")], "snapshot")


def _erased(ledger: Ledger) -> None:
    key = ErasedKey(("customer",), day(55), "asked by the person", "ann")
    for model in (NAME, OTHER):
        ledger.add_erased_keys(model, [digest_of("person")], key)
    ledger.add_erased_rows(NAME, digest_of("reading"), 2)
    ledger.replace_chunk(chunk("b", 2).id, chunk("b cleaned", 2))
    ledger.replace_chunk(chunk("c", 2).id, None)
    old = predictions(NAME, 49)
    cleaned = dataclasses.replace(old, key="predictions/tiny/49-cleaned.parquet", n_rows=39)
    ledger.replace_predictions(old.key, cleaned)
    objects = (ErasedObject("features", "chunks/1.parquet", 1),)
    record = Erasure(NAME, ("customer",), day(55), "asked", "ann", False, objects, ("s",), (NAME, OTHER), ())
    ledger.finish(NAME, "erase", digest_of("erasure"), record)


def _freed(ledger: Ledger) -> None:
    freed, item = freed_key(SOURCE, day(1), day(5)), "releases/old"
    ledger.free_readings([freed], day(58))
    ledger.free_items({digest_of(item): item}, day(58))
    ledger.finish(EVERY_MODEL, "housekeeping", digest_of("sweep"), Sweep(day(58), 1, 2048, 1, {"releases": 1}))


def _sealed(ledger: Ledger) -> None:
    table = SealedTable("champions", ("row", "body"), None, 4, 4, digest_of("rows"))
    ledger.add_seal(Seal(1, "", "0007", True, "the first seal", day(60), (table,)))


_PARTS = (_readings, _frozen, _work, _judged, _asked, _watched, _set_aside, _erased, _freed)


def everything(ledger: Ledger) -> dict[str, Any]:
    """Return all of the history that `fill` writes, as today's functions read it."""
    found: dict[str, Any] = {
        "models": ledger.models(),
        "known": ledger.known_models(),
        "readings": ledger.every_reading(),
        "erased chunks": ledger.replaced_chunks(chunk(c).id for c in "abc"),
        "freed": ledger.freed(
            [freed_key(SOURCE, day(1), day(5)), freed_key(SOURCE, day(1), day(6)), digest_of("releases/old")]
        ),
        "sweeps": ledger.recorded(Sweep, EVERY_MODEL, "housekeeping"),
    }
    for model in (NAME, OTHER):
        found[model] = {name: read(ledger, model) for name, read in _READ.items()}
    return found


_READ: dict[str, Callable[[Ledger, str], Any]] = {
    "trained": lambda ledger, model: ledger.recorded(Trained, model, "train"),
    "tried": lambda ledger, model: ledger.recorded(Tried, model, "candidate"),
    "evaluations": lambda ledger, model: ledger.recorded(Evaluation, model, "evaluate"),
    "performance": lambda ledger, model: ledger.finished(DayPerformance, model, "performance", "p1"),
    "validations": lambda ledger, model: ledger.finished_all(model, "validation"),
    "partitions": lambda ledger, model: ledger.finished_all(model, "partition"),
    "unique": lambda ledger, model: ledger.finished_all(model, "unique keys"),
    "verdicts": lambda ledger, model: ledger.verdicts(model),
    "near": lambda ledger, model: ledger.verdicts_near(model, Window(day(32), day(39))),
    "looks": lambda ledger, model: ledger.looks_at(model, Window(day(32), day(39)), replace=False),
    "numbered looks": lambda ledger, model: ledger.numbered_looks(model),
    "releases": lambda ledger, model: ledger.releases(model),
    "approvals": lambda ledger, model: ledger.approvals(model),
    "overrides": lambda ledger, model: ledger.overrides(model),
    "champions": lambda ledger, model: ledger.champions(model),
    "alias": lambda ledger, model: [ledger.alias_was_set(model, number) for number in (1, 2)],
    "outcomes": lambda ledger, model: [ledger.outcome(digest_of([model, number])) for number in range(4)],
    "requests": lambda ledger, model: ledger.requests(model),
    "open": lambda ledger, model: ledger.open_requests(model),
    "predictions": lambda ledger, model: ledger.all_predictions(model),
    "measurements": lambda ledger, model: ledger.measurements(model, day(0), day(60)),
    "decisions": lambda ledger, model: ledger.decisions(model),
    "alerts": lambda ledger, model: ledger.alerts(model),
    "quarantine": lambda ledger, model: quarantine.entries(ledger, model),
    "distrusted": lambda ledger, model: ledger.distrusted(model, [digest_of("bad reading"), digest_of("good one")]),
    "erased keys": lambda ledger, model: ledger.erased_keys(model),
    "erased rows": lambda ledger, model: ledger.erased_rows(model),
    "erasures": lambda ledger, model: ledger.recorded(Erasure, model, "erase"),
}


# --- dumps --------------------------------------------------------------------------------------------------------


def load(dump: Path, url: str) -> None:
    """Run a dump's statements on an empty database."""
    script = dump.read_text()
    if url.startswith("sqlite"):
        connection = sqlite3.connect(str(make_url(url).database))
        connection.executescript(script)
        connection.close()
        return
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as opened:
        opened.exec_driver_sql(script.replace("%", "%%"))
    engine.dispose()


def revision_of(url: str) -> str:
    """Return the schema that a ledger has."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = str(connection.execute(text("select version_num from alembic_version")).scalar())
    engine.dispose()
    return found


def write(folder: Path = FOLDER) -> list[Path]:
    """Dump a filled ledger of the newest schema from both databases."""
    with tempfile.TemporaryDirectory() as place, postgres.cluster() as server:
        small = f"sqlite:///{place}/ledger.db"
        large = postgres.create_database(server, "ledger")
        for url in (small, large):
            ledger = Ledger(url)
            fill(ledger)
            ledger.close()
        revision = revision_of(small)
        made = {"sqlite": _dump_sqlite(small), "postgresql": _dump_postgresql(large)}
    for name, script in made.items():
        (folder / f"{revision}.{name}.sql").write_text(script)
    return sorted(folder.glob(f"{revision}.*.sql"))


def _dump_sqlite(url: str) -> str:
    connection = sqlite3.connect(str(make_url(url).database))
    lines = list(connection.iterdump())
    connection.close()
    return "\n".join(lines) + "\n"


def _dump_postgresql(url: str) -> str:
    plain = url.replace("+psycopg2", "")
    options = ["--inserts", "--no-owner", "--no-privileges", "--no-comments"]
    done = subprocess.run(
        [postgres.programs() / "pg_dump", *options, plain], capture_output=True, text=True, check=True
    )
    kept = [line for line in done.stdout.splitlines() if line and not line.startswith(("--", "\\"))]  # no psql commands
    return "\n".join(kept) + "\n"


if __name__ == "__main__":
    for path in write(*map(Path, sys.argv[1:])):
        print(f"{path}: {path.stat().st_size:,} bytes")
