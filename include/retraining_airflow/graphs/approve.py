"""`approve`: prepare > ask > deploy. One run per verdict that waits for a person, started by its retraining."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from retraining.records import Approval
from retraining.spec.gate import LONGEST_APPROVAL
from retraining_airflow import boundary
from retraining_airflow.graphs.common import shared_arguments, with_params
from retraining_airflow.names import APPROVE

Ids = dict[str, Any]

YES, NO = "Approve", "Reject"
_MOST_QUESTIONS = 1000
"""Questions of all models may wait at the same time. Each holds a row in Airflow's database and no worker slot, so this
only has to be far above the number of models."""
_RUN_TIMEOUT = LONGEST_APPROVAL + timedelta(days=1)
"""Beyond the longest wait that a YAML can ask for, with a day for the tasks before and after it."""
_SHORTEST_WAIT = timedelta(seconds=1)
"""Airflow takes no wait at all for one without an end."""

_PAGE = """## Ask a person about a promotion

Started by `retrain__M` where the model's YAML says `gate.approval: required` or `mode: suggest`, or `gate.approval:
on_warning` and the checklist has a warning: one run per verdict. `ask` waits in Airflow without a worker slot; answer
it under *Required Actions*. Airflow lets only those answer whom `gate.approvers` names, with `gate.four_eyes` without
the one who triggered the run; the task checks both again and fails on an answer that does not count. The answer is
written to the ledger under the name Airflow authenticated; the first one stays. No answer within
`gate.approval_timeout` is a no.
`deploy` compares the champion again: if another run replaced it meanwhile, the verdict is superseded.

### Started by hand
When the run of a question was lost: the verdict's id opens it again, unless it was answered.
`python -m retraining explain VERDICT` shows what it is about."""


def build() -> DAG:
    """Build the DAG that asks a person."""
    shared = {**shared_arguments({"operations"}, "retraining"), "dagrun_timeout": _RUN_TIMEOUT}

    @dag(
        dag_id=APPROVE,
        schedule=None,
        description="Ask a person about a promotion that waits",
        doc_md=_PAGE,
        **{**shared, "max_active_runs": _MOST_QUESTIONS},
    )
    def graph() -> None:
        asked = prepare()
        answered = AskPerson(task_id="ask", question=asked)
        answered >> deploy(asked)

    verdict = Param("", type="string", minLength=8, title="Verdict", description="Its id or the start of it.")
    return with_params(graph(), {"verdict": verdict})


@task
def prepare() -> Ids:
    """Find the verdict, and freeze from when the time to answer counts."""
    from retraining.rollout.approval import question

    asked_at = datetime.now(UTC)  # a person's time to answer is a matter of the wall clock, not of the run's time
    with boundary.stage() as work:
        asked = question(work, get_current_context()["params"]["verdict"], asked_at)
    return {"verdict_id": asked.verdict_id, "asked_at": asked_at.isoformat()}


@task
def deploy(question: Ids) -> str:
    """Deploy on yes, after comparing the champion again; a no changes nothing."""
    from retraining.rollout.approval import act_on_answer

    with boundary.stage() as work:
        deployment = act_on_answer(work, question["verdict_id"])
    print(deployment.detail)
    return deployment.detail


class AskPerson(HITLOperator):
    """Waits for the answer of a person, and writes it down.

    The answer goes to the ledger in this task, from what Airflow's scheduler or API resumed it with: an XCom between
    tasks could be edited by users who may not answer.
    """

    template_fields = (*HITLOperator.template_fields, "question")

    def __init__(self, *, question: Any, **kwargs: Any) -> None:
        reason = Param("", type=["null", "string"], title="Reason", description="Optional; it is kept for ever.")
        super().__init__(
            subject="A promotion waits",
            options=[YES, NO],
            defaults=NO,
            params={"reason": reason},
            response_timeout=LONGEST_APPROVAL,
            doc_md=AskPerson.__doc__,
            **kwargs,
        )
        self.question = question

    def execute(self, context: Any) -> Ids | None:
        """Ask, with what the verdict's own spec says about approvers and time, and leave the worker.

        A task that is tried again after its answer was written down does not ask again.
        """
        from retraining.rollout.approval import question

        with boundary.stage() as work:
            known = work.ledger.approval_of(self.question["verdict_id"])
            if known is not None:
                return _ids(known)
            asked = question(work, self.question["verdict_id"], datetime.fromisoformat(self.question["asked_at"]))
        self.subject, self.body = asked.subject, asked.body
        self.assigned_users = [{"id": name, "name": name} for name in asked.approvers]
        self.response_timeout = max(asked.deadline - datetime.now(UTC), _SHORTEST_WAIT)
        super().execute(context)  # leaves by an exception
        return None

    def execute_complete(self, context: Any, event: Mapping[str, Any]) -> Ids:
        """Write the answer to the ledger under the name that Airflow authenticated."""
        from retraining.rollout.approval import record_answer

        given = super().execute_complete(context, dict(event))
        user = given["responded_by_user"]
        with boundary.stage() as work:
            answer = record_answer(
                work,
                self.question["verdict_id"],
                approved=given["chosen_options"] == [YES],
                by=user["name"] if user else "",
                user_id=boundary.login_of(user) if user else None,
                reason=str(given["params_input"].get("reason") or ""),
            )
        print(f"{'yes' if answer.approved else 'no'}, by {answer.by}")
        return _ids(answer)


def _ids(answer: Approval) -> Ids:
    return {"verdict": answer.verdict_id, "approved": answer.approved}


class OpenQuestion(TriggerDagRunOperator):
    """Starts the run that asks a person about a verdict that waits: once, however often its retraining is repeated."""

    template_fields = ("verdict", "deployed")

    def __init__(self, *, verdict: Any, deployed: Any, **kwargs: Any) -> None:
        super().__init__(
            trigger_dag_id=APPROVE,
            logical_date=None,
            skip_when_already_exists=True,
            doc_md=OpenQuestion.__doc__,
            **kwargs,
        )
        self.verdict, self.deployed = verdict, deployed

    def execute(self, context: Any) -> None:
        """Start the run, or skip when nothing waits."""
        if self.deployed["outcome"] != "waiting":
            raise AirflowSkipException(self.deployed["detail"])
        identity = self.verdict["verdict"]
        self.trigger_run_id, self.conf = f"verdict-{identity}", {"verdict": identity}
        super().execute(context)
