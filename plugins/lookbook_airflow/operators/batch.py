"""The operator of Bedrock batch jobs.

The provider's sends no client token, waits for 20 minutes, and leaves the job running when its task is killed
(docs/decisions/0027-history-by-batch.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.bedrock import BedrockHook
from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from lookbook.descriptions import batch_jobs
from lookbook.descriptions.batch_files import Limits
from lookbook.errors import PermanentError, RetryableError
from lookbook.lineage import records
from lookbook.settings import get_settings
from lookbook_airflow.console_links import BatchJobLink
from lookbook_airflow.operators.jobs import Job, JobOperator
from lookbook_airflow.triggers import BatchJobTrigger

# What a job may take beyond its deadline, to be stopped.
_WAIT_BEYOND_DEADLINE = timedelta(hours=6)


class BatchJobOperator(JobOperator, AwsBaseOperator[BedrockHook]):
    """Run one Bedrock batch job, once, and wait for it while its log shows how far it is.

    A retry or a cleared task attaches to the job of the same name. One that was stopped or failed is followed by
    ``<name>-2``, ``-3`` …, which ask only what it left unanswered, if that is enough for a job. A job that hasn't ended
    by its deadline is stopped, and what it has answered counts.

    Returns the job's reference (:func:`lookbook.descriptions.batch_jobs.reference`).

    Args:
        config: the CreateModelInvocationJob request (templated).
        deferrable: wait in the triggerer, without holding a worker; otherwise in the worker.

    Raises:
        PermanentError: the job failed, or somebody stopped it; carries Bedrock's reason.
        RetryableError: the job failed by AWS's fault, or the account may have no more jobs at a time.
    """

    aws_hook_class = BedrockHook
    template_fields: Sequence[str] = aws_template_fields("config")
    operator_extra_links = (BatchJobLink(),)

    name_key = "jobName"
    running = batch_jobs.RUNNING
    trigger = BatchJobTrigger

    def __init__(self, *, config: dict[str, Any], deferrable: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.deferrable = config, deferrable

    def find(self, name: str) -> Job | None:
        """Return the newest job of that name, or ``None``."""
        pages = self.hook.conn.get_paginator("list_model_invocation_jobs").paginate(
            nameContains=name, sortBy="CreationTime", sortOrder="Descending"
        )
        jobs = (job for page in pages for job in page["invocationJobSummaries"])
        return next((self.describe(job["jobArn"]) for job in jobs if job["jobName"] == name), None)

    def create(self, name: str) -> Job:
        """Create the job, or one that asks what the jobs before it left unanswered."""
        request = self.config if name == self.config["jobName"] else batch_jobs.following(self.config, name)
        try:
            created = self.hook.conn.create_model_invocation_job(**request)
        except self.hook.conn.exceptions.ServiceQuotaExceededException as error:
            raise RetryableError(
                f"Bedrock takes no further batch job now: {error} Lower the slots of pool lookbook_batch, or have the "
                "quota raised; until then the task tries again."
            ) from error
        return self.describe(created["jobArn"])

    def describe(self, key: str) -> Job:
        """Return the job of an ARN as Bedrock describes it."""
        job: Job = self.hook.conn.get_model_invocation_job(jobIdentifier=key)
        return job

    def key(self, job: Job) -> str:
        """Return the job's ARN."""
        return str(job["jobArn"])

    def status(self, job: Job) -> str:
        """Return the state of a job."""
        return str(job["status"])

    def is_useful(self, job: Job) -> bool:
        """Tell whether a job runs, has done what it could, or left too little for another job."""
        if self.status(job) not in ("Failed", "Stopped") or batch_jobs.was_late(job):
            return True
        return batch_jobs.count_left(self.config) < Limits().min_records

    def failure(self, job: Job) -> PermanentError | RetryableError:
        """Return Bedrock's reason, and what to do."""
        reason = job.get("message") or "no reason given"
        told = f"Batch job {job['jobName']} ended {job['status']}: {reason.rstrip('. ')}."
        if "internal" in reason.lower():
            return RetryableError(f"{told} The next try asks what it left, in another job.")
        return PermanentError(
            f"{told} Mend the cause (docs/aws.md says what role and model need) and clear this task: another job then "
            "asks what this one left. Or start the run anew with Mode sharded, at twice the price."
        )

    def left(self, job: Job) -> dict[str, Any]:
        """Return the job's reference."""
        if self.status(job) != "Completed":
            self.log.warning("Job %s is %s: what it left goes on demand.", job["jobName"], self.status(job))
        reference = batch_jobs.reference(job)
        records.reads_prefix(batch_jobs.input_of(job))
        records.reads("text_model", job["modelId"], job["modelId"])
        records.writes("batch_job", job["jobName"], job["jobArn"])
        records.writes("prefix", reference["output_uri"], job["jobArn"])
        return reference

    def longest(self) -> timedelta:
        """Return the time to the deadline, and time to be stopped."""
        return timedelta(hours=get_settings().batch_deadline_hours) + _WAIT_BEYOND_DEADLINE
