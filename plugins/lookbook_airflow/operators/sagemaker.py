"""SageMaker operators that may be retried and cleared.

The stock operators start a second paid job on a retry, stop waiting after 30 minutes and call a rolled-back endpoint
update a success (docs/decisions/0001-operators-over-the-stock-ones.md). These keep the stock hooks, request format,
templating and triggers, and differ in one rule: **what the request's name stands for is made once**. Found there and
still good, it is waited for or returned; only what failed is made anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerEndpointConfigOperator,
    SageMakerEndpointOperator,
    SageMakerModelOperator,
    SageMakerRegisterModelVersionOperator,
    SageMakerTrainingOperator,
)
from airflow.providers.amazon.aws.triggers.sagemaker import SageMakerTrigger
from airflow.sdk.bases.operator import BaseOperatorMeta
from botocore.exceptions import ClientError

from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage import records
from lookbook.settings import get_settings
from lookbook_airflow.lineage import traced
from lookbook_airflow.triggers import TrainingJobTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

_JOB_NAME_LIMIT = 63
# Beside its runtime a job waits for capacity and is started, downloaded to and uploaded from.
_WAIT_BEYOND_RUNTIME = timedelta(hours=2)
_FAULTS_OF_AWS = ("InternalServerError", "CapacityError")


class _Documented:
    """Shows the first line of the operator's docstring on its tasks, unless they bring a ``doc_md`` of their own."""

    # A mixin's __init__ isn't wrapped by the operators' metaclass, which the operator then expects it to be.
    @BaseOperatorMeta._apply_defaults
    def __init__(self, **kwargs: Any) -> None:
        first_line = (type(self).__doc__ or "").partition("\n")[0]
        super().__init__(**({"doc_md": first_line} | kwargs))


class TrainingJobOperator(_Documented, SageMakerTrainingOperator):
    """Run one training job, once, and wait for it without holding a worker.

    A retry or a cleared task attaches to the job of the same name that is running or completed. A job that failed or
    was stopped is followed by one named ``<name>-2``, ``-3`` …, so the history stays readable.

    Returns a reference: job name and ARN, artefact URIs, final metrics and billable seconds.

    Args:
        config: the CreateTrainingJob request (templated).

    Raises:
        PermanentError: the job failed by its own fault or was stopped; carries SageMaker's reason.
        RetryableError: the job failed by AWS's fault.
    """

    def __init__(self, *, config: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(config=config, print_log=False, deferrable=True, check_if_job_exists=False, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Find or create the job, then wait for it or return what it left."""
        self.preprocess_config()
        job = self._find_or_create()
        if job["TrainingJobStatus"] in self.hook.non_terminal_states:
            self._wait_for(job["TrainingJobName"])
        return self._finish(context, job)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look at the job itself: the trigger's word for its end is less exact than its description."""
        return self._finish(context, self.hook.describe_training_job((event or {})["job_name"]))

    def on_kill(self) -> None:
        """Stop the job when the task is killed before it deferred."""
        job = self._describe(self.config["TrainingJobName"])
        if job and job["TrainingJobStatus"] == "InProgress":
            self.hook.get_conn().stop_training_job(TrainingJobName=job["TrainingJobName"])

    def _find_or_create(self) -> dict[str, Any]:
        for name in _names(self.config["TrainingJobName"]):
            job = self._describe(name)
            if job is None:
                return self._create(name)
            if job["TrainingJobStatus"] not in ("Failed", "Stopped"):
                self.log.info("Found job %s, which is %s: going on with it.", name, job["TrainingJobStatus"])
                return job
        raise AssertionError("names never end")

    def _create(self, name: str) -> dict[str, Any]:
        self.config["TrainingJobName"] = name
        self.hook.get_conn().create_training_job(**self.config)
        self.log.info("Created training job %s.", name)
        return self.hook.describe_training_job(name)

    def _describe(self, name: str) -> dict[str, Any] | None:
        try:
            return self.hook.describe_training_job(name)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
                return None
            raise

    def _wait_for(self, name: str) -> NoReturn:
        interval = get_settings().poll_interval_s
        longest = self.config["StoppingCondition"]["MaxRuntimeInSeconds"] + _WAIT_BEYOND_RUNTIME.total_seconds()
        self.defer(
            timeout=timedelta(seconds=longest),
            trigger=TrainingJobTrigger(
                job_name=name,
                job_type="Training",
                waiter_delay=interval,
                waiter_max_attempts=math.ceil(longest / interval),
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name="execute_complete",
        )
        raise AssertionError("defer() raises")

    def _finish(self, context: Context, job: dict[str, Any]) -> dict[str, Any]:
        if job["TrainingJobStatus"] != "Completed":
            raise _failure(job)
        with traced(context):
            _report_job(job)
        return _job_reference(job)


class ModelOperator(_Documented, SageMakerModelOperator):
    """Create a SageMaker model; one of that name that is already there is the same one, since names hold a hash."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the model or find it; return its name and ARN."""
        self.preprocess_config()
        name = self.config["ModelName"]
        _create_once(lambda: self.hook.create_model(self.config), "already existing model", self.log)
        return {"model_name": name, "model_arn": self.hook.describe_model(name)["ModelArn"]}


class EndpointConfigOperator(_Documented, SageMakerEndpointConfigOperator):
    """Create an endpoint config; one of that name that is already there is the same one."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the config or find it; return its name and ARN."""
        self.preprocess_config()
        name = self.config["EndpointConfigName"]
        _create_once(lambda: self.hook.create_endpoint_config(self.config), "already existing endpoint", self.log)
        arn = self.hook.describe_endpoint_config(name)["EndpointConfigArn"]
        return {"endpoint_config_name": name, "endpoint_config_arn": arn}


class EndpointOperator(_Documented, SageMakerEndpointOperator):
    """Create or update an endpoint and fail unless it then serves the config that was asked for.

    After an update that SageMaker rolled back the endpoint is ``InService`` again, with its **old** config. The stock
    operator reports that as success; this one fails with SageMaker's reason.
    """

    def __init__(self, *, config: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(config=config, deferrable=True, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the update, unless it is under way or done, and wait for its end."""
        self.check_interval = get_settings().poll_interval_s
        endpoint = self._describe()
        if endpoint and endpoint["EndpointStatus"] in ("Creating", "Updating", "SystemUpdating"):
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
            raise PermanentError(
                f"Endpoint {endpoint['EndpointName']} is {endpoint['EndpointStatus']} with config "
                f"{endpoint['EndpointConfigName']}, expected InService with {asked}: the update was rolled back. "
                f"Reason: {endpoint.get('FailureReason', 'none given')}. See the endpoint's log, then retrain or clear."
            )
        with traced(context):
            records.writes("endpoint_config", endpoint["EndpointName"], asked)
        return {"endpoint_name": endpoint["EndpointName"], "endpoint_config_name": asked}


class RegisterModelVersionOperator(_Documented, SageMakerRegisterModelVersionOperator):
    """Register a model package, once per artefact.

    The request's ``ClientToken`` (in ``extras``) makes SageMaker answer a repeated call with the first one's package.
    """

    template_fields = (*SageMakerRegisterModelVersionOperator.template_fields, "extras")

    def execute(self, context: Context) -> str:
        """Register the package; return its ARN."""
        with traced(context):
            arn: str = super().execute(context)
            records.reads("object", self.model_url, arn)
            records.writes("model_package", self.package_group_name, arn)
        return arn


def _names(base: str) -> Iterator[str]:
    yield base
    for number in count(2):
        suffix = f"-{number}"
        yield base[: _JOB_NAME_LIMIT - len(suffix)] + suffix


def _create_once(create: Any, exists: str, log: Any) -> None:
    try:
        create()
    except ClientError as error:
        if exists not in error.response["Error"]["Message"]:
            raise
        log.info("Already there: %s", error.response["Error"]["Message"])


def _failure(job: dict[str, Any]) -> PermanentError | RetryableError:
    reason = (job.get("FailureReason") or job.get("SecondaryStatus", "no reason given")).rstrip(". ")
    message = (
        f"Training job {job['TrainingJobName']} ended {job['TrainingJobStatus']}: {reason}. "
        f"Its log: CloudWatch group /aws/sagemaker/TrainingJobs, stream prefix {job['TrainingJobName']}."
    )
    return RetryableError(message) if reason.startswith(_FAULTS_OF_AWS) else PermanentError(message)


def _report_job(job: dict[str, Any]) -> None:
    for channel in job["InputDataConfig"]:
        source = channel["DataSource"]["S3DataSource"]["S3Uri"]
        records.reads("prefix", source, channel["ChannelName"])
    records.writes("training_job", job["TrainingJobName"], job["TrainingJobArn"])
    records.writes("object", job["ModelArtifacts"]["S3ModelArtifacts"], job["TrainingJobArn"])
    records.counts(billable_seconds=int(job.get("BillableTimeInSeconds", 0)))


def _job_reference(job: dict[str, Any]) -> dict[str, Any]:
    return {
        "job_name": job["TrainingJobName"],
        "job_arn": job["TrainingJobArn"],
        "model_data": job["ModelArtifacts"]["S3ModelArtifacts"],
        "metrics": {metric["MetricName"]: metric["Value"] for metric in job.get("FinalMetricDataList", [])},
        "billable_seconds": int(job.get("BillableTimeInSeconds", 0)),
    }
