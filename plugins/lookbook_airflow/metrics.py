"""What a task's lineage record says in numbers, handed to Airflow's own metrics: its settings decide where they go."""

from __future__ import annotations

from airflow.sdk.observability import stats

from lookbook.lineage.records import LineageRecord
from lookbook.metrics import measured


def emit(record: LineageRecord) -> None:
    """Hand on the numbers of a record, of a failed task's too, tagged by its DAG.

    There is no other tag: a series of its own for each drop or run would never end, and model ids hold the colon that
    separates a StatsD name from its value.
    """
    tags = {"dag_id": record.task.dag_id}
    for metric, value in measured(record):
        if metric.kind == "counter":
            stats.incr(metric.name, value, tags=tags)
        else:
            stats.gauge(metric.name, value, tags=tags)
