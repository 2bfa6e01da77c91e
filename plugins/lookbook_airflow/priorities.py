"""Fresh drops go before backfills.

A backfill of ``ingest_drop`` starts ``describe_products`` for each drop it publishes, as a drop of this week does: what
tells them apart is the drop's date. A cluster policy is where Airflow lets a run decide about the priority of its
tasks; a weight rule knows the task alone (docs/decisions/0026-what-a-run-may-cost.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance

_DAGS = frozenset({"ingest_drop", "describe_products"})
_FRESH = timedelta(days=14)
# More than the weights of all tasks of a DAG together, which are what Airflow adds up to a task's priority.
_BEHIND = 1000
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def behind_fresh_drops(task_instance: TaskInstance, dag_run: DagRun | None) -> None:
    """Put a task behind all others if its run is about an older drop and no person started it.

    Airflow calls this whenever it makes a task instance or works its priority out anew, sometimes twice in a row.
    """
    if dag_run is None or dag_run.dag_id not in _DAGS:
        return
    if is_history(dag_run.run_type, dag_run.partition_key, dag_run.conf) and task_instance.priority_weight > 0:
        task_instance.priority_weight -= _BEHIND


def is_history(run_type: str, partition_key: str | None, conf: Mapping[str, Any] | None) -> bool:
    """Tell whether a run is about an older drop and no person started it."""
    if run_type == "manual":
        return False
    found = _DATE.search(partition_key or str((conf or {}).get("drop") or ""))
    return found is not None and datetime.now(UTC).date() - date.fromisoformat(found[0]) > _FRESH
