"""The training operator: one paid job, however often its task is retried, cleared or killed.

See docs/decisions/0001-operators-over-the-stock-ones.md for what the stock operator does instead.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator

from lookbook.errors import PermanentError, RetryableError
from lookbook_airflow.console_links import TrainingJobLink, TrainingLogLink
from lookbook_airflow.operators.jobs import Job, JobOperator, found
from lookbook_airflow.training_jobs import LOG_GROUP
from lookbook_airflow.triggers import TrainingJobTrigger

# Beside its runtime a job waits for capacity and is started, downloaded to and uploaded from.
_WAIT_BEYOND_RUNTIME_S = 7200
_FAULTS_OF_AWS = ("InternalServerError", "CapacityError")


class TrainingJobOperator(JobOperator, SageMakerTrainingOperator):
    """Run one training job, once, and wait for it while its log shows in the task's own.

    A retry or a cleared task attaches to the job of the same name that is running or completed. A job that failed or
    was stopped is followed by one named ``<name>-2``, ``-3`` …, so the history stays readable.

    Returns a reference: job name and ARN, artefact URIs, final metrics, billable seconds and list price.

    Args:
        config: the CreateTrainingJob request (templated).
        deferrable: wait in the triggerer, without holding a worker; otherwise in the worker.

    Raises:
        PermanentError: the job failed by its own fault or was stopped; carries SageMaker's reason.
        RetryableError: the job failed by AWS's fault.
    """

    name_key = "TrainingJobName"
    trigger = TrainingJobTrigger
    operator_extra_links = (TrainingJobLink(), TrainingLogLink())

    def __init__(self, *, config: dict[str, Any], deferrable: bool = True, **kwargs: Any) -> None:
        super().__init__(config=config, print_log=False, deferrable=deferrable, check_if_job_exists=False, **kwargs)

    def prepare(self) -> None:
        """Bring the request into the provider's form."""
        self.preprocess_config()

    def find(self, name: str) -> Job | None:
        """Return the job of that name, or ``None``."""
        return found(lambda: self.describe(name))

    def create(self, name: str) -> Job:
        """Create a job of that name."""
        self.hook.get_conn().create_training_job(**self.config | {"TrainingJobName": name})
        return self.describe(name)

    def describe(self, key: str) -> Job:
        """Return the job as SageMaker describes it."""
        job: Job = self.hook.describe_training_job(key)
        return job

    def status(self, job: Job) -> str:
        """Return the state of a job."""
        return str(job["TrainingJobStatus"])

    def is_useful(self, job: Job) -> bool:
        """Tell whether a job runs or is completed."""
        return self.status(job) not in ("Failed", "Stopped")

    def failure(self, job: Job) -> PermanentError | RetryableError:
        """Return SageMaker's reason."""
        return _failure(job)

    def longest(self) -> timedelta:
        """Return the job's own limit, and time to start and to end."""
        condition = self.config["StoppingCondition"]
        longest = max(condition["MaxRuntimeInSeconds"], condition.get("MaxWaitTimeInSeconds", 0))
        return timedelta(seconds=longest + _WAIT_BEYOND_RUNTIME_S)

    def left(self, job: Job) -> dict[str, Any]:
        """Return the job's reference."""
        from lookbook.training import reporting  # here, since DAG files import this module

        # What the provider's OpenLineage extraction reads, which it sets itself only after it has waited.
        self.serialized_training_data = job
        reporting.report(job)
        return reporting.reference(job)


def _failure(job: dict[str, Any]) -> PermanentError | RetryableError:
    reason = (job.get("FailureReason") or job.get("SecondaryStatus", "no reason given")).rstrip(". ")
    message = (
        f"Training job {job['TrainingJobName']} ended {job['TrainingJobStatus']}: {reason}. "
        f"Its log: CloudWatch group {LOG_GROUP}, stream prefix {job['TrainingJobName']}."
    )
    return RetryableError(message) if reason.startswith(_FAULTS_OF_AWS) else PermanentError(message)
