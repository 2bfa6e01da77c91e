"""The tasks that ask the attribute model about many pictures at once, by a batch transform job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import TaskGroup

from lookbook_airflow.defaults import Pool
from lookbook_airflow.lineage import traced_short_circuit
from lookbook_airflow.operators.sagemaker import ModelOperator
from lookbook_airflow.operators.transform import TransformJobOperator


def transformed(plan: Any) -> Any:
    """Add the tasks that ask about a large plan; return the job's reference, which is ``None`` for a small one.

    Args:
        plan: the plan's reference, another task's result.
    """
    with TaskGroup("batch_transform", prefix_group_id=False, tooltip="Many pictures: a job of its own, no endpoint"):
        requests = transform_requests(plan)
        model = ModelOperator(task_id="create_transform_model", config=requests["model"])
        job = TransformJobOperator(
            task_id="transform", config=requests["job"], pool=Pool.PREDICT, execution_timeout=timedelta(hours=26)
        )
        model >> job
    return job.output


@traced_short_circuit(ignore_downstream_trigger_rules=False, multiple_outputs=True)
def transform_requests(plan: dict) -> dict:
    """Go by batch transform if there are as many pictures to ask about as `LOOKBOOK_TRANSFORM_FROM` says."""
    from lookbook.serving import transform

    return transform.transform_requests(plan["uri"]) or {}
