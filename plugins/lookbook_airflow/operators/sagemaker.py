"""SageMaker operators that may be retried and cleared.

The stock operators start a second paid job on a retry, stop waiting after 30 minutes and call a rolled-back endpoint
update a success (docs/decisions/0001-operators-over-the-stock-ones.md). These keep the stock hooks, request format,
templating and triggers, and differ in one rule: **what the request's name stands for is made once**. Found there and
still good, it is waited for or returned; only what failed is made anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerEndpointConfigOperator,
    SageMakerEndpointOperator,
    SageMakerModelOperator,
    SageMakerRegisterModelVersionOperator,
)
from airflow.providers.amazon.aws.triggers.sagemaker import SageMakerTrigger
from botocore.exceptions import ClientError

from lookbook.errors import PermanentError
from lookbook.settings import get_settings
from lookbook_airflow.console_links import EndpointLink
from lookbook_airflow.lineage import traced
from lookbook_airflow.links import ModelLink
from lookbook_airflow.operators.documented import Documented

if TYPE_CHECKING:
    from airflow.sdk import Context


FAILURE_KEY = "failure"
"""XCom key under which a task says why a deployment failed: a failed task returns nothing."""

MOVING = ("Creating", "Updating", "SystemUpdating", "RollingBack")
"""The states of an endpoint that it leaves by itself, and in which it can't be changed."""


class ModelOperator(Documented, SageMakerModelOperator):
    """Create a SageMaker model; one of that name that is already there is the same one, since names hold a hash."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the model or find it; return its name and ARN."""
        from lookbook.serving import reporting  # here and below, since DAG files import this module

        self.preprocess_config()
        name = self.config["ModelName"]
        with traced(context):
            _create_once(lambda: self.hook.create_model(self.config), "already existing model", self.log)
            model = self.hook.describe_model(name)
            reporting.report_model(model)
        return {"model_name": name, "model_arn": model["ModelArn"]}


class EndpointConfigOperator(Documented, SageMakerEndpointConfigOperator):
    """Create an endpoint config; one of that name that is already there is the same one."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the config or find it; return its name and ARN."""
        from lookbook.serving import reporting

        self.preprocess_config()
        name = self.config["EndpointConfigName"]
        with traced(context):
            _create_once(lambda: self.hook.create_endpoint_config(self.config), "already existing endpoint", self.log)
            config = self.hook.describe_endpoint_config(name)
            reporting.report_endpoint_config(config)
        return {"endpoint_config_name": name, "endpoint_config_arn": config["EndpointConfigArn"]}


class EndpointOperator(Documented, SageMakerEndpointOperator):
    """Create or update an endpoint and fail unless it then serves the config that was asked for.

    After an update that SageMaker rolled back the endpoint is ``InService`` again, with its **old** config. The stock
    operator reports that as success; this one fails with SageMaker's reason.
    """

    operator_extra_links = (EndpointLink(),)

    def __init__(self, *, config: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(config=config, deferrable=True, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the update, unless it is under way or done, and wait for its end."""
        self.check_interval = get_settings().poll_interval_s
        endpoint = self._describe()
        if endpoint and endpoint["EndpointStatus"] in MOVING:
            self.log.info("Endpoint is %s: waiting for that.", endpoint["EndpointStatus"])
            self._wait()
        if endpoint and endpoint["EndpointStatus"] == "Failed":
            raise PermanentError(
                f"Endpoint {self.config['EndpointName']} is Failed: {endpoint.get('FailureReason')}. "
                "It never served: delete it (aws sagemaker delete-endpoint) and clear this task."
            )
        if endpoint and endpoint["EndpointConfigName"] == self.config["EndpointConfigName"]:
            return self._finish(context, endpoint)
        self.operation = "update" if endpoint else "create"
        result: dict[str, Any] = super().execute(context)
        return result

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Compare what serves with what was asked for."""
        return self._finish(context, self.hook.describe_endpoint(self.config["EndpointName"]))

    def execute_after_other_update(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Begin again once the update that was under way has ended, however it ended."""
        return self.execute(context)

    def _describe(self) -> dict[str, Any] | None:
        try:
            return self.hook.describe_endpoint(self.config["EndpointName"])
        except ClientError as error:
            if "Could not find endpoint" in error.response["Error"]["Message"]:
                return None
            raise

    def _wait(self) -> NoReturn:
        self.defer(
            trigger=SageMakerTrigger(
                job_name=self.config["EndpointName"],
                job_type="endpoint",
                waiter_delay=self.check_interval,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
            ),
            method_name="execute_after_other_update",
        )
        raise AssertionError("defer() raises")

    def _finish(self, context: Context, endpoint: dict[str, Any]) -> dict[str, Any]:
        asked = self.config["EndpointConfigName"]
        if endpoint["EndpointStatus"] != "InService" or endpoint["EndpointConfigName"] != asked:
            failure = (
                f"Endpoint {endpoint['EndpointName']} is {endpoint['EndpointStatus']} with config "
                f"{endpoint['EndpointConfigName']}, expected InService with {asked}: the update was rolled back. "
                f"Reason: {endpoint.get('FailureReason', 'none given')}. See the endpoint's log, then retrain or clear."
            )
            context["ti"].xcom_push(FAILURE_KEY, failure)
            raise PermanentError(failure)
        from lookbook.serving import reporting

        with traced(context):
            reporting.report_endpoint(endpoint)
        return {"endpoint_name": endpoint["EndpointName"], "endpoint_config_name": asked}


class RegisterModelVersionOperator(Documented, SageMakerRegisterModelVersionOperator):
    """Register a model package, once per artefact.

    The request's ``ClientToken`` (in ``extras``) makes SageMaker answer a repeated call with the first one's package.
    """

    template_fields = (*SageMakerRegisterModelVersionOperator.template_fields, "extras")
    operator_extra_links = (ModelLink("register"),)

    def execute(self, context: Context) -> str:
        """Register the package; return its ARN."""
        from lookbook.lineage import sagemaker_ml
        from lookbook.serving import reporting
        from lookbook.training import registry

        with traced(context):
            arn: str = super().execute(context)
            reporting.report_package(registry.describe(arn))
            sagemaker_ml.record_model(arn)
        return arn


def _create_once(create: Any, exists: str, log: Any) -> None:
    try:
        create()
    except ClientError as error:
        if exists not in error.response["Error"]["Message"]:
            raise
        log.info("Already there: %s", error.response["Error"]["Message"])
