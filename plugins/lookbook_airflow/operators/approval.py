"""Ask a person, but only where there is something to ask."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param

from lookbook.errors import PermanentError
from lookbook_airflow.clearing import ASKS_AGAIN
from lookbook_airflow.lineage import traced
from lookbook_airflow.links import EvaluationLink, ModelLink
from lookbook_airflow.notifiers import QuestionNotifier
from lookbook_airflow.operators.documented import Documented

if TYPE_CHECKING:
    from airflow.sdk import Context


class ApprovalIfNeededOperator(Documented, ApprovalOperator):
    """Waits for *Approve* or *Reject* in the UI when ``needed`` is true, and goes on at once when it is not.

    Who is to be told is told that something waits. *Reject* skips what comes after; no answer within ``WAIT`` fails the
    task. Waiting holds no worker and is not tried again: a person was asked once.

    :param needed: whether to ask; most often another task's result.
    """

    WAIT = timedelta(days=3)
    clear = ASKS_AGAIN

    template_fields: Collection[str] = (*ApprovalOperator.template_fields, "needed")

    def __init__(self, *, needed: Any, **arguments: Any) -> None:
        # In place of what every task has by default: those bound how long a worker may take.
        waiting = {"execution_timeout": None, "response_timeout": self.WAIT, "retries": 0}
        super().__init__(**(arguments | waiting | {"notifiers": [QuestionNotifier()]}))
        self.needed = needed

    def execute(self, context: Context) -> Any:
        """Ask, or say that there is nothing to ask.

        Raises:
            PermanentError: ``needed`` says neither yes nor no; what nobody decided is not to go on unasked.
        """
        if not isinstance(self.needed, bool):
            raise PermanentError(f"Whether {self.task_id} must ask is {self.needed!r}; expected true or false.")
        if self.needed:
            return super().execute(context)
        self.log.info("No approval is needed: %s", self.subject)
        return {"chosen_options": [self.APPROVE], "asked": False}


class ModelApprovalOperator(ApprovalIfNeededOperator):
    """Asks whether a registered model may serve; its package keeps who agreed, or is rejected with person and reason.

    :param package_arn: the package in the registry; most often another task's result.
    """

    template_fields: Collection[str] = (*ApprovalIfNeededOperator.template_fields, "package_arn")
    operator_extra_links = (EvaluationLink("evaluate"), ModelLink("register"))

    def __init__(self, *, package_arn: Any, **arguments: Any) -> None:
        reason = Param(
            None,
            type=["null", "string"],
            maxLength=500,
            title="Reason",
            description="Kept with your name if you reject",
            source="task",
        )
        # In place of the DAG's parameters, which `arguments` hold: they are asked for when a run is started.
        super().__init__(**(arguments | {"params": {"reason": reason}}))
        self.package_arn = package_arn

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Read the answer and keep it in the registry; where it is *Reject*, before what follows is skipped.

        Skipping is an exception that ends the task: nothing after it would be done.
        """
        from lookbook.training import registry  # here, since DAG files import this module

        by = (event.get("responded_by_user") or {}).get("name", "somebody")
        if event.get("chosen_options") == [self.REJECT]:
            with traced(context):
                registry.reject(self.package_arn, f"Refused by {by}: {_reason(event)}")
        elif event.get("chosen_options") == [self.APPROVE]:
            registry.annotate(self.package_arn, {"approved_by": by})
        return super().execute_complete(context, event)


def _reason(answer: dict[str, Any]) -> str:
    return (answer.get("params_input") or {}).get("reason") or "no reason given."
