"""The tasks that bring a model package into service, for every DAG that does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import TaskGroup, task

from lookbook_airflow.lineage import traced_task
from lookbook_airflow.operators.sagemaker import EndpointConfigOperator, EndpointOperator, ModelOperator


def deployed(package_arn: Any, after: Any) -> Any:
    """Add the tasks that deploy a package; return the last, whose result is what verification found.

    Args:
        package_arn: the package's ARN, most often another task's result.
        after: the task that must have gone well before anything is deployed.
    """
    with TaskGroup(
        "deployment", prefix_group_id=False, tooltip="Model, endpoint config, endpoint, and a question to it"
    ):
        serving = serving_requests(package_arn)
        model = ModelOperator(task_id="create_model", config=serving["model"])
        config = EndpointConfigOperator(task_id="create_endpoint_config", config=serving["endpoint_config"])
        endpoint = EndpointOperator(task_id="deploy", config=serving["endpoint"], execution_timeout=timedelta(hours=2))
        after >> serving
        model >> config >> endpoint
        return verify(endpoint.output, package_arn)


@task(multiple_outputs=True)
def serving_requests(package_arn: str) -> dict[str, Any]:
    """Write the requests of model, endpoint config and endpoint for this package."""
    from lookbook.serving import requests

    return requests.serving_requests(package_arn)


@traced_task
def verify(endpoint: dict[str, Any], package_arn: str) -> dict[str, Any]:
    """Ask the endpoint about a picture: the version that answers must be the new one."""
    from lookbook.serving import verification

    return verification.verify(endpoint["endpoint_config_name"], package_arn).reference()
