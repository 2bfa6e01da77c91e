"""The tasks that bring a model package into service, for every DAG that does.

What is deployed stays only if it is verified: else the endpoint gets its former config back and the package is
rejected, so that no run asks a model that failed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import TaskGroup, TriggerRule

from lookbook_airflow.clearing import HANDS_ON, SAME_AGAIN
from lookbook_airflow.console_links import EndpointLink
from lookbook_airflow.endpoint_life import endpoint_held
from lookbook_airflow.lineage import traced_task
from lookbook_airflow.links import linked
from lookbook_airflow.operators.restoring import RestoreEndpointOperator
from lookbook_airflow.operators.sagemaker import (
    FAILURE_KEY,
    EndpointConfigOperator,
    EndpointOperator,
    ModelOperator,
)

_UPDATE = {"execution_timeout": timedelta(hours=2)}


def deployed(package_arn: Any, after: Any, *, at_once: bool = False) -> Any:
    """Add the tasks that deploy a package; return the one whose result is what verification found.

    Args:
        package_arn: the package's ARN, most often another task's result.
        after: the task that must have gone well before anything is deployed.
        at_once: update without steps, waits and alarms, for a rollback.
    """
    with TaskGroup("deployment", prefix_group_id=False, tooltip="Put a model in service, verify it, or go back"):
        serving = serving_requests(package_arn, at_once)
        model = ModelOperator(task_id="create_model", config=serving["model"])
        config = EndpointConfigOperator(task_id="create_endpoint_config", config=serving["endpoint_config"])
        endpoint = EndpointOperator(task_id="deploy", config=serving["endpoint"], **_UPDATE)
        after >> serving
        serving >> put_alarms() >> endpoint
        model >> config >> endpoint
        verified = linked(verify(endpoint.output, package_arn), EndpointLink())
        # Not ONE_FAILED, which holds too where nothing was deployed because an earlier task failed.
        back = RestoreEndpointOperator(
            task_id="put_back",
            config=serving["way_back"],
            unless=verified,
            trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
            **_UPDATE,
        )
        rejected = reject_package(package_arn)
        [endpoint, verified] >> back >> rejected
        endpoint_held(after, endpoint, verified, rejected)
        return verified


@traced_task(clear=HANDS_ON, multiple_outputs=True)
def serving_requests(package_arn: str, at_once: bool) -> dict[str, Any]:
    """Write the requests of model, endpoint config and endpoint for this package, and of the way back."""
    from lookbook.serving import requests

    return requests.serving_requests(package_arn, at_once=at_once)


@traced_task(clear=SAME_AGAIN)
def put_alarms() -> list[str]:
    """Put the endpoint's alarms as the settings say; one that rings during the update takes it back."""
    from lookbook.serving import alarms

    return alarms.put()


@traced_task
def verify(endpoint: dict[str, Any], package_arn: str, ti: Any = None) -> dict[str, Any]:
    """Ask the golden questions: only the new model answers, as it did when it was evaluated, and in time."""
    from lookbook.errors import LookbookError
    from lookbook.serving import verification

    try:
        return verification.verify(endpoint["endpoint_config_name"], package_arn).reference()
    except LookbookError as error:
        ti.xcom_push(FAILURE_KEY, str(error))
        raise


@traced_task(clear=SAME_AGAIN)
def reject_package(package_arn: str, ti: Any = None) -> dict[str, Any]:
    """Mark the package as rejected, with the reason why its model could not serve."""
    from lookbook.serving import rollback

    failure = ti.xcom_pull("verify", key=FAILURE_KEY) or ti.xcom_pull("deploy", key=FAILURE_KEY)
    return rollback.reject_failed(package_arn, failure).reference()
