"""Ask a person, but only where there is something to ask."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from lookbook.errors import PermanentError

if TYPE_CHECKING:
    from airflow.sdk import Context


class ApprovalIfNeededOperator(ApprovalOperator):
    """Waits for *Approve* or *Reject* in the UI when ``needed`` is true, and goes on at once when it is not.

    *Reject* skips what comes after; no answer within ``WAIT`` fails the task. Waiting holds no worker and is not tried
    again: a person was asked once.

    :param needed: whether to ask; most often another task's result.
    """

    WAIT = timedelta(days=3)

    template_fields: Collection[str] = (*ApprovalOperator.template_fields, "needed")

    def __init__(self, *, needed: Any, **arguments: Any) -> None:
        # In place of what every task has by default: those bound how long a worker may take.
        waiting = {"execution_timeout": None, "response_timeout": self.WAIT, "retries": 0}
        super().__init__(**(arguments | waiting))
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
