"""Who is told of a failure, and what: the task, why, where its log is, and which runbook to open."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.sdk import BaseNotifier

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class FailureNotifier(BaseNotifier):
    """Write one line per failed task for whoever is on call."""

    def notify(self, context: Context) -> None:
        """Log the failed task instance with its exception, log URL and runbook."""
        log.error("%s", failure_message(context))


def failure_message(context: Context) -> str:
    """Return the line that is sent: what failed, why, where to look."""
    ti = context["ti"]
    index = f"[{ti.map_index}]" if (ti.map_index or -1) >= 0 else ""
    return (
        f"{ti.dag_id}.{ti.task_id}{index} failed in run {ti.run_id} (try {ti.try_number}): "
        f"{context.get('exception')!r}. Log: {ti.log_url}. Runbook: docs/runbooks/{ti.dag_id}.md"
    )
