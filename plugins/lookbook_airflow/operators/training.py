"""The training operator: one paid job, however often its task is retried, cleared or killed.

See docs/decisions/0001-operators-over-the-stock-ones.md for what the stock operator does instead.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator
from botocore.exceptions import ClientError

from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage import records
from lookbook.settings import get_settings
from lookbook_airflow.console_links import TrainingJobLink, TrainingLogLink
from lookbook_airflow.lineage import traced
from lookbook_airflow.operators.documented import Documented
from lookbook_airflow.training_jobs import LOG_GROUP, RUNNING, TrainingJobWatch
from lookbook_airflow.triggers import TrainingJobTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

_JOB_NAME_LIMIT = 63
# Beside its runtime a job waits for capacity and is started, downloaded to and uploaded from.
_WAIT_BEYOND_RUNTIME_S = 7200
_FAULTS_OF_AWS = ("InternalServerError", "CapacityError")


class TrainingJobOperator(Documented, SageMakerTrainingOperator):
    """Run one training job, once, and wait for it while its log shows in the task's own.

    A retry or a cleared task attaches to the job of the same name that is running or completed. A job that failed or
    was stopped is followed by one named ``<name>-2``, ``-3`` …, so the history stays readable.

    Returns a reference: job name and ARN, artefact URIs, final metrics and billable seconds.

    Args:
        config: the CreateTrainingJob request (templated).
        deferrable: wait in the triggerer, without holding a worker; otherwise in the worker.

    Raises:
        PermanentError: the job failed by its own fault or was stopped; carries SageMaker's reason.
        RetryableError: the job failed by AWS's fault.
    """

    operator_extra_links = (TrainingJobLink(), TrainingLogLink())

    def __init__(self, *, config: dict[str, Any], deferrable: bool = True, **kwargs: Any) -> None:
        super().__init__(config=config, print_log=False, deferrable=deferrable, check_if_job_exists=False, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Find or create the job, then wait for it and return what it left."""
        self.preprocess_config()
        job = self._find_or_create()
        name = self.config["TrainingJobName"] = job["TrainingJobName"]
        if job["TrainingJobStatus"] in RUNNING:
            if self.deferrable:
                self._defer(name)
            self._wait(name)
        return self._finish(context, name)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the job left, or fail as it did."""
        name = self.config["TrainingJobName"] = (event or {})["job_name"]
        return self._finish(context, name)

    def on_kill(self) -> None:
        """Stop the job when the task is killed: a retry would not, and it would run on and cost money."""
        job = self._describe(self.config["TrainingJobName"])
        if job and job["TrainingJobStatus"] == "InProgress":
            self.hook.get_conn().stop_training_job(TrainingJobName=job["TrainingJobName"])

    def _find_or_create(self) -> dict[str, Any]:
        for name in job_names(self.config["TrainingJobName"]):
            job = self._describe(name)
            if job is None:
                return self._create(name)
            if job["TrainingJobStatus"] not in ("Failed", "Stopped"):
                self.log.info("Found job %s, which is %s: going on with it.", name, job["TrainingJobStatus"])
                return job
        raise AssertionError("names never end")

    def _create(self, name: str) -> dict[str, Any]:
        self.hook.get_conn().create_training_job(**self.config | {"TrainingJobName": name})
        self.log.info("Created training job %s.", name)
        return self.hook.describe_training_job(name)

    def _describe(self, name: str) -> dict[str, Any] | None:
        try:
            return self.hook.describe_training_job(name)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
                return None
            raise

    def _defer(self, name: str) -> NoReturn:
        condition = self.config["StoppingCondition"]
        longest = max(condition["MaxRuntimeInSeconds"], condition.get("MaxWaitTimeInSeconds", 0))
        self.defer(
            timeout=timedelta(seconds=longest + _WAIT_BEYOND_RUNTIME_S),
            trigger=TrainingJobTrigger(name, get_settings().poll_interval_s, self._connection()),
            method_name="execute_complete",
        )
        raise AssertionError("defer() raises")

    def _wait(self, name: str) -> None:
        logs = AwsBaseHook(client_type="logs", **self._connection()).get_conn()
        watch = TrainingJobWatch(name, self.hook.get_conn(), logs, self.log)
        while watch.look():
            time.sleep(get_settings().poll_interval_s)

    def _connection(self) -> dict[str, Any]:
        return {"aws_conn_id": self.aws_conn_id, "region_name": self.region_name, "verify": self.verify}

    def _finish(self, context: Context, name: str) -> dict[str, Any]:
        job = self.hook.describe_training_job(name)
        if job["TrainingJobStatus"] != "Completed":
            raise _failure(job)
        # What the provider's OpenLineage extraction reads, which it sets itself only after it has waited.
        self.serialized_training_data = job
        with traced(context):
            _report(job)
        return _reference(job)


def job_names(base: str) -> Iterator[str]:
    """Yield the names of a job: ``base``, and what follows it when the job of the name before came to nothing."""
    yield base
    for number in count(2):
        suffix = f"-{number}"
        yield base[: _JOB_NAME_LIMIT - len(suffix)] + suffix


def _failure(job: dict[str, Any]) -> PermanentError | RetryableError:
    reason = (job.get("FailureReason") or job.get("SecondaryStatus", "no reason given")).rstrip(". ")
    message = (
        f"Training job {job['TrainingJobName']} ended {job['TrainingJobStatus']}: {reason}. "
        f"Its log: CloudWatch group {LOG_GROUP}, stream prefix {job['TrainingJobName']}."
    )
    return RetryableError(message) if reason.startswith(_FAULTS_OF_AWS) else PermanentError(message)


def _report(job: dict[str, Any]) -> None:
    for channel in job["InputDataConfig"]:
        source = channel["DataSource"]["S3DataSource"]["S3Uri"]
        records.reads("prefix", source, channel["ChannelName"])
    records.writes("training_job", job["TrainingJobName"], job["TrainingJobArn"])
    records.writes("object", job["ModelArtifacts"]["S3ModelArtifacts"], job["TrainingJobArn"])
    records.counts(billable_seconds=int(job.get("BillableTimeInSeconds", 0)))


def _reference(job: dict[str, Any]) -> dict[str, Any]:
    return {
        "job_name": job["TrainingJobName"],
        "job_arn": job["TrainingJobArn"],
        "image_uri": job["AlgorithmSpecification"]["TrainingImage"],
        "model_data": job["ModelArtifacts"]["S3ModelArtifacts"],
        "metrics": {metric["MetricName"]: metric["Value"] for metric in job.get("FinalMetricDataList", [])},
        "billable_seconds": int(job.get("BillableTimeInSeconds", 0)),
    }
