"""The transform operator: one paid job, however often its task is retried, cleared or killed.

The stock operator appends a timestamp to a name that is taken and starts a second paid job, gives up after 60 polls,
and has no ``on_kill`` (docs/decisions/0001-operators-over-the-stock-ones.md).
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTransformOperator
from botocore.exceptions import ClientError

from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage import records
from lookbook.serving import transform_jobs
from lookbook.settings import get_settings
from lookbook_airflow.console_links import TransformJobLink, TransformLogLink
from lookbook_airflow.lineage import traced
from lookbook_airflow.operators.documented import Documented
from lookbook_airflow.operators.training import job_names
from lookbook_airflow.training_jobs import RUNNING
from lookbook_airflow.transform_jobs import LOG_GROUP, TransformJobWatch
from lookbook_airflow.triggers import TransformJobTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

_FAULTS_OF_AWS = ("InternalServerError", "CapacityError")
# A transform job has no limit of its own; the whole reference catalogue takes hours.
_LONGEST = timedelta(hours=24)


class TransformJobOperator(Documented, SageMakerTransformOperator):
    """Run one batch transform job, once, and wait for it while its log shows in the task's own.

    A retry or a cleared task attaches to the job of the same name that is running or has left results. A job that
    failed for some pictures has left those of the others, which count. One that left none is followed by one named
    ``<name>-2``, ``-3`` …

    Returns the job's reference (:func:`lookbook.serving.transform_jobs.reference`).

    Args:
        config: the CreateTransformJob request (templated).
        deferrable: wait in the triggerer, without holding a worker; otherwise in the worker.

    Raises:
        PermanentError: the job failed by its own fault and left nothing, or was stopped; carries SageMaker's reason.
        RetryableError: the job failed by AWS's fault.
    """

    operator_extra_links: Any = (TransformJobLink(), TransformLogLink())

    def __init__(self, *, config: dict[str, Any], deferrable: bool = True, **kwargs: Any) -> None:
        super().__init__(config=config, deferrable=deferrable, check_if_job_exists=False, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Find or create the job, then wait for it and return what it left."""
        self.preprocess_config()
        job = self._find_or_create()
        name = self.config["TransformJobName"] = job["TransformJobName"]
        if job["TransformJobStatus"] in RUNNING:
            if self.deferrable:
                self._defer(name)
            self._wait(name)
        return self._finish(context, name)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the job left, or fail as it did."""
        name = self.config["TransformJobName"] = (event or {})["job_name"]
        return self._finish(context, name)

    def on_kill(self) -> None:
        """Stop the job when the task is killed: nobody would read what it goes on to pay for."""
        job = self._describe(self.config["TransformJobName"])
        if job and job["TransformJobStatus"] == "InProgress":
            self.hook.get_conn().stop_transform_job(TransformJobName=job["TransformJobName"])

    def _find_or_create(self) -> dict[str, Any]:
        for name in job_names(self.config["TransformJobName"]):
            job = self._describe(name)
            if job is None:
                return self._create(name)
            if _is_useful(job):
                self.log.info("Found job %s, which is %s: going on with it.", name, job["TransformJobStatus"])
                return job
        raise AssertionError("names never end")

    def _create(self, name: str) -> dict[str, Any]:
        self.hook.get_conn().create_transform_job(**self.config | {"TransformJobName": name})
        self.log.info("Created transform job %s.", name)
        return self.hook.describe_transform_job(name)

    def _describe(self, name: str) -> dict[str, Any] | None:
        try:
            return self.hook.describe_transform_job(name)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
                return None
            raise

    def _defer(self, name: str) -> NoReturn:
        self.defer(
            timeout=_LONGEST,
            trigger=TransformJobTrigger(name, get_settings().poll_interval_s, self._connection()),
            method_name="execute_complete",
        )
        raise AssertionError("defer() raises")

    def _wait(self, name: str) -> None:
        logs = AwsBaseHook(client_type="logs", **self._connection()).get_conn()
        watch = TransformJobWatch(name, self.hook.get_conn(), logs, self.log)
        while watch.look():
            time.sleep(get_settings().poll_interval_s)

    def _connection(self) -> dict[str, Any]:
        return {"aws_conn_id": self.aws_conn_id, "region_name": self.region_name, "verify": self.verify}

    def _finish(self, context: Context, name: str) -> dict[str, Any]:
        job = self.hook.describe_transform_job(name)
        if not _is_useful(job):
            raise _failure(job)
        if job["TransformJobStatus"] != "Completed":
            self.log.warning("%s What it left is used; the endpoint is asked about the others.", _told(job))
        # What the provider's OpenLineage extraction reads.
        self.serialized_model, self.serialized_transform = self.hook.describe_model(job["ModelName"]), job
        with traced(context):
            return _reported(job)


def _is_useful(job: dict[str, Any]) -> bool:
    """Tell whether to go on with a job: it runs, is done, or failed for some pictures and has results of others."""
    if job["TransformJobStatus"] != "Failed":
        return bool(job["TransformJobStatus"] != "Stopped")
    return transform_jobs.count_results(transform_jobs.reference(job)) > 0


def _told(job: dict[str, Any]) -> str:
    reason = job.get("FailureReason", "no reason given").rstrip(". ")
    return (
        f"Transform job {job['TransformJobName']} ended {job['TransformJobStatus']}: {reason}. "
        f"Its log: CloudWatch group {LOG_GROUP}, stream prefix {job['TransformJobName']}."
    )


def _failure(job: dict[str, Any]) -> PermanentError | RetryableError:
    by_aws = job.get("FailureReason", "").startswith(_FAULTS_OF_AWS)
    return RetryableError(_told(job)) if by_aws else PermanentError(_told(job))


def _reported(job: dict[str, Any]) -> dict[str, Any]:
    reference = transform_jobs.reference(job)
    records.reads("object", reference["manifest_uri"], job["TransformJobArn"])
    records.writes("transform_job", job["TransformJobName"], job["TransformJobArn"])
    records.writes("prefix", reference["output_uri"], job["TransformJobArn"])
    records.counts(results=transform_jobs.count_results(reference))
    return reference
