"""The transform operator: one paid job, however often its task is retried, cleared or killed.

See docs/decisions/0001-operators-over-the-stock-ones.md for what the stock operator does instead.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTransformOperator

from lookbook.errors import PermanentError, RetryableError
from lookbook.serving import transform_jobs
from lookbook_airflow.console_links import TransformJobLink, TransformLogLink
from lookbook_airflow.operators.jobs import Job, JobOperator, found
from lookbook_airflow.transform_jobs import LOG_GROUP
from lookbook_airflow.triggers import TransformJobTrigger

_FAULTS_OF_AWS = ("InternalServerError", "CapacityError")
# A transform job has no limit of its own; the whole reference catalogue takes hours.
_LONGEST = timedelta(hours=24)


class TransformJobOperator(JobOperator, SageMakerTransformOperator):
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

    name_key = "TransformJobName"
    trigger = TransformJobTrigger
    operator_extra_links: Any = (TransformJobLink(), TransformLogLink())

    def __init__(self, *, config: dict[str, Any], deferrable: bool = True, **kwargs: Any) -> None:
        super().__init__(config=config, deferrable=deferrable, check_if_job_exists=False, **kwargs)

    def prepare(self) -> None:
        """Bring the request into the provider's form."""
        self.preprocess_config()

    def find(self, name: str) -> Job | None:
        """Return the job of that name, or ``None``."""
        return found(lambda: self.describe(name))

    def create(self, name: str) -> Job:
        """Create a job of that name."""
        self.hook.get_conn().create_transform_job(**self.config | {"TransformJobName": name})
        return self.describe(name)

    def describe(self, key: str) -> Job:
        """Return the job as SageMaker describes it."""
        job: Job = self.hook.describe_transform_job(key)
        return job

    def status(self, job: Job) -> str:
        """Return the state of a job."""
        return str(job["TransformJobStatus"])

    def is_useful(self, job: Job) -> bool:
        """Tell whether a job runs, is done, or failed for some pictures and has results of others."""
        if self.status(job) != "Failed":
            return self.status(job) != "Stopped"
        return transform_jobs.count_results(transform_jobs.reference(job)) > 0

    def failure(self, job: Job) -> PermanentError | RetryableError:
        """Return SageMaker's reason."""
        by_aws = job.get("FailureReason", "").startswith(_FAULTS_OF_AWS)
        return RetryableError(_told(job)) if by_aws else PermanentError(_told(job))

    def longest(self) -> timedelta:
        """Return more than the largest catalogue takes."""
        return _LONGEST

    def left(self, job: Job) -> dict[str, Any]:
        """Return the job's reference."""
        from lookbook.serving import reporting  # here, since DAG files import this module

        if self.status(job) != "Completed":
            self.log.warning("%s What it left is used; the endpoint is asked about the others.", _told(job))
        # What the provider's OpenLineage extraction reads.
        self.serialized_model, self.serialized_transform = self.hook.describe_model(job["ModelName"]), job
        reporting.report_transform(job, self.serialized_model)
        return transform_jobs.reference(job)


def _told(job: dict[str, Any]) -> str:
    reason = job.get("FailureReason", "no reason given").rstrip(". ")
    return (
        f"Transform job {job['TransformJobName']} ended {job['TransformJobStatus']}: {reason}. "
        f"Its log: CloudWatch group {LOG_GROUP}, stream prefix {job['TransformJobName']}."
    )
