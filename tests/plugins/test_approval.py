"""Asking a person: run in real DAGs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.exceptions import HITLTimeoutError
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import DownstreamTasksSkipped

from lookbook_airflow.defaults import DEFAULT_ARGS
from lookbook_airflow.operators.approval import ApprovalIfNeededOperator, ModelApprovalOperator

Run = Callable[..., Any]


def asking(dag_id: str, needed: bool | None) -> DAG:
    """A DAG that asks, where ``needed`` is told by a task, before it spends."""
    with DAG(dag_id, schedule=None, catchup=False, default_args=DEFAULT_ARGS) as dag:

        @task
        def estimate() -> dict[str, Any]:
            return {"needed": needed, "sentence": "It costs 40 USD."}

        @task
        def spend() -> None:
            pass

        approve = ApprovalIfNeededOperator(
            task_id="approve",
            needed=estimate()["needed"],
            subject="Spend?",
            body="{{ ti.xcom_pull('estimate')['sentence'] }}",
        )
        approve >> spend()
    return dag


def test_where_nothing_is_needed_nobody_is_asked(run_dag: Run) -> None:
    states = {ti.task_id: ti.state for ti in run_dag(asking("not_needed", False)).get_task_instances()}
    assert states == {"estimate": "success", "approve": "success", "spend": "success"}


def test_a_task_that_asks_waits_longer_than_a_worker_may_and_asks_once(airflow_db: None) -> None:
    approve = asking("waits", True).get_task("approve")
    assert approve.execution_timeout is None
    assert approve.response_timeout == ApprovalIfNeededOperator.WAIT
    assert approve.retries == 0


def test_what_nobody_decided_does_not_go_on_unasked(run_dag: Run) -> None:
    dag_run = run_dag(asking("undecided", None))
    states = {ti.task_id: ti.state for ti in dag_run.get_task_instances()}
    assert states == {"estimate": "success", "approve": "failed", "spend": "upstream_failed"}


@pytest.mark.filterwarnings("ignore::airflow.exceptions.AirflowProviderDeprecationWarning")
def test_a_task_that_needs_approval_waits_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(ApprovalOperator, "execute", lambda self, context: asked.append(self.subject))
    ApprovalIfNeededOperator(task_id="ask", needed=True, subject="Spend?").execute({})
    assert asked == ["Spend?"]


class Decisions:
    """Stands for the registry; the account that could answer is another module's to run."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def reject(self, package_arn: str, why: str) -> None:
        self.told.append((package_arn, why))

    def annotate(self, package_arn: str, metadata: dict[str, str]) -> None:
        self.told.append((package_arn, metadata))


def answered(option: str, reason: str | None, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Let a person answer whether a model may serve; return what the registry was told."""
    decisions = Decisions()
    monkeypatch.setattr("lookbook.training.registry.reject", decisions.reject)
    monkeypatch.setattr("lookbook.training.registry.annotate", decisions.annotate)
    monkeypatch.setattr("lookbook_airflow.operators.approval.traced", lambda _: contextlib.nullcontext())
    with DAG("serves", schedule=None):
        operator = ModelApprovalOperator(task_id="ask", needed=True, package_arn="arn/3", subject="Serve?")
        # A refusal ends in skipping what follows, which is an exception: nothing may be left to be done after it.
        operator >> EmptyOperator(task_id="deploy")
    event = {
        "chosen_options": [option],
        "params_input": {"reason": reason},
        "responded_at": datetime.now(UTC),
        "responded_by_user": {"id": "1", "name": "ada"},
    }
    context = {"ti": SimpleNamespace(map_index=-1, xcom_push=lambda **_: None), "task": operator}
    with pytest.raises(DownstreamTasksSkipped) if option == "Reject" else contextlib.nullcontext():
        operator.execute_complete(context, event)
    return decisions.told


def test_a_question_that_nobody_answered_rejects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    decisions = Decisions()
    monkeypatch.setattr("lookbook.training.registry.reject", decisions.reject)
    operator = ModelApprovalOperator(task_id="ask", needed=True, package_arn="arn/3", subject="Serve?")
    with pytest.raises(HITLTimeoutError):
        operator.execute_complete({}, {"error": "nobody answered", "error_type": "timeout"})
    assert decisions.told == []


def test_a_model_that_a_person_refuses_is_rejected_with_name_and_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    told = answered("Reject", "It sees no skirts.", monkeypatch)
    assert told == [("arn/3", "Refused by ada: It sees no skirts.")]


def test_a_refusal_needs_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answered("Reject", None, monkeypatch) == [("arn/3", "Refused by ada: no reason given.")]


def test_a_model_that_a_person_approves_keeps_who_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answered("Approve", None, monkeypatch) == [("arn/3", {"approved_by": "ada"})]
