"""What people and housekeeping do between runs: `approve`, `override`, `rollback`, `housekeeping`."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, dag, get_current_context, task

from retraining_airflow import boundary
from retraining_airflow.graphs import approve
from retraining_airflow.graphs.common import as_of_param, cron, shared_arguments
from retraining_airflow.names import APPROVE

Ids = dict[str, Any]
_SHARED = shared_arguments({"operations"}, "retraining")

_OVERRIDE = """## Promote against the gate

Started by hand: the single way to promote what the gate rejected or could not decide, or whose release its checks
stopped. The release is made from the verdict's own recipe and data, loaded in a fresh process, and becomes the champion
if the champion is still the one it was judged against. Your name, as Airflow authenticated it, and your reason stay
with it for ever: in the history, on the model's page and on its version in MLflow. Where the model's YAML names
`gate.approvers` only they may, and with `gate.four_eyes` not who triggered the run: the task checks it."""
_ROLLBACK = """## Put an earlier champion back

Started by hand, by any named person: it was champion before. The release is loaded in a fresh process and must give
the outputs it had when it was made; then it becomes the newest entry of the champion history, and MLflow's alias
follows. Leave *Entry* empty for the champion before this one. `python -m retraining history MODEL` lists them."""
_HOUSEKEEPING = """## Housekeeping

Daily. Completes what a killed deploy left in MLflow, reports an alias that was moved by hand, and raises an alert for a
live champion that is stale or whose YAML is gone. A model for which that fails (its YAML no longer loads, MLflow
refuses it) gets an alert of its own and stops no other; the task fails when all are done. `free_space` frees what
nothing needs any more: never what the champion, the one before it, an open verdict, an open request or
`retention.keep` needs. `python -m retraining housekeeping --dry-run` says what it would free. `seal` keeps a digest of
what was added to the ledger since the last seal, chained to it, in ledger and store; the log has the digest, too, and
`python -m retraining check --ledger` names what was rewritten, removed or slipped in since."""


def build_override() -> DAG:
    """Build the DAG that promotes against the gate."""

    @dag(
        dag_id="override",
        schedule=None,
        description="Promote against the gate, by name and with a reason",
        doc_md=_OVERRIDE,
        params={
            "verdict": Param("", type="string", minLength=8, title="Verdict", description="Its id or the start of it."),
            "reason": Param("", type="string", minLength=3, title="Reason", description="Kept for ever."),
        },
        **_SHARED,
    )
    def graph() -> None:
        override()

    return graph()


def build_rollback() -> DAG:
    """Build the DAG that goes back to an earlier champion."""

    @dag(
        dag_id="rollback",
        schedule=None,
        description="Put an earlier champion back",
        doc_md=_ROLLBACK,
        params={
            "model": Param("", type="string", minLength=1, title="Model"),
            "to": Param(None, type=["null", "integer"], minimum=1, title="Entry", description="Of the history."),
            "reason": Param("", type="string", minLength=3, title="Reason", description="Kept for ever."),
            "as_of": as_of_param(),
        },
        **_SHARED,
    )
    def graph() -> None:
        chosen = choose_version()
        checked = preflight(chosen)
        moved = move(chosen)
        checked >> moved
        verify(moved)

    return graph()


def build_housekeeping() -> DAG:
    """Build the daily housekeeping DAG."""

    @dag(
        dag_id="housekeeping",
        schedule=cron("30 3 * * *"),
        description="Reconcile the registry, find stale models, free space, seal the ledger",
        doc_md=_HOUSEKEEPING,
        params={"as_of": as_of_param()},
        **_SHARED,
    )
    def graph() -> None:
        reconcile()
        find_stale()
        free_space()
        seal()

    return graph()


BUILDS = {
    APPROVE: approve.build,
    "override": build_override,
    "rollback": build_rollback,
    "housekeeping": build_housekeeping,
}
"""How to build each of this family's DAGs."""


@task
def override() -> Ids:
    """Make the release of the verdict's recipe, check it in a fresh process, and make it the champion."""
    from retraining.rollout.override import override as promote

    context = get_current_context()
    params, who = context["params"], boundary.named_user(context, "override")
    with boundary.stage() as work:
        entry = promote(work, params["verdict"], by=who, account=who, reason=params["reason"])
    print(f"{entry.model}: version {entry.version} is champion {entry.sequence}, by override")
    return {"model": entry.model, "sequence": entry.sequence, "version": entry.version}


@task
def choose_version() -> Ids:
    """Find the entry of the history to go back to."""
    from retraining.rollout.rollback import rollback_target

    params = get_current_context()["params"]
    with boundary.stage() as work:
        target = rollback_target(work, params["model"], params["to"])
    return {"model": target.model, "sequence": target.sequence, "release": target.release_id}


@task
def preflight(chosen: Ids) -> float:
    """Load the release in a fresh process and compare its outputs with those it was made with."""
    from retraining.artifacts.preflight import preflight as check

    with boundary.stage() as work:
        return check(work.store, chosen["release"]).difference


@task
def move(chosen: Ids) -> Ids:
    """Add the entry to the history; the registry's alias follows."""
    from retraining.rollout.rollback import rollback

    context = get_current_context()
    params, who = context["params"], boundary.named_user(context, "rollback")
    with boundary.stage() as work:
        entry = rollback(work, chosen["model"], chosen["sequence"], who, params["reason"], boundary.as_of(context))
    return {"model": entry.model, "sequence": entry.sequence, "version": entry.version}


@task
def verify(moved: Ids) -> str:
    """Read back what is live now, in the ledger and in the registry."""
    from retraining.care.reconcile import reconcile as compare

    with boundary.stage() as work:
        text = compare(work, moved["model"], boundary.as_of(get_current_context()))
    print(text)
    return text


@task
def reconcile() -> list[str]:
    """Compare MLflow's alias with the ledger, model by model; one that cannot be compared fails the task at its end."""
    from retraining.care.reconcile import reconcile_all

    with boundary.stage(housekeeping=True) as work:
        found = reconcile_all(work, boundary.as_of(get_current_context()))
        print("\n".join(found.said))
        found.require_whole()
    return list(found.said)


@task
def find_stale() -> list[str]:
    """Raise an alert for stale champions and for champions without a spec that loads."""
    from retraining.care.reconcile import find_stale as find

    with boundary.stage(housekeeping=True) as work:
        found = find(work, boundary.as_of(get_current_context()))
        print("\n".join(found.said) or "nothing is stale")
        found.require_whole()
    return list(found.said)


@task
def free_space() -> Ids:
    """Free what no champion, verdict, request or run needs and retention.keep no longer keeps."""
    from retraining.care import retention

    with boundary.stage(housekeeping=True) as work:
        plan = retention.plan(work, boundary.as_of(get_current_context()))
        done = retention.sweep(work, plan)
    print(plan.held or f"freed {done.n_objects:,} objects, {done.n_bytes:,} bytes")
    return {"n_objects": done.n_objects, "n_bytes": done.n_bytes, "n_readings": done.n_readings}


@task
def seal() -> str:
    """Seal what was added to the ledger since the last seal; the log keeps the digest."""
    from retraining.care.seal import describe
    from retraining.care.seal import seal as seal_ledger

    with boundary.stage(housekeeping=True) as work:
        text = describe(seal_ledger(work))
    print(text)
    return text
