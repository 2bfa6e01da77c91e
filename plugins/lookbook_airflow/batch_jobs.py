"""A Bedrock batch job that is waited for: its state, how many records are answered, and its deadline."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.exceptions import ClientError

from lookbook.descriptions import batch_jobs
from lookbook.progress import Progress


class BatchJobWatch:
    """Follows one batch job; every look logs what is new, and n of N records. At its deadline it stops the job.

    Args:
        arn: the job's.
        bedrock: a boto3 client of Bedrock.
        log: the task's log.
        now: tells the time.
    """

    def __init__(
        self, arn: str, bedrock: Any, log: Any, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._arn, self._bedrock, self._log, self._now = arn, bedrock, log, now
        self._status = ""
        self._progress: Progress | None = None
        self._counted = 0

    @classmethod
    def connected(cls, key: str, connection: dict[str, Any], log: Any) -> Self:
        """Return a watch of a job with a client of its own."""
        return cls(key, AwsBaseHook(client_type="bedrock", **connection).get_conn(), log)

    def look(self) -> bool:
        """Log what is new, stop a job that is late, and return whether it still runs."""
        job = self._bedrock.get_model_invocation_job(jobIdentifier=self._arn)
        if job["status"] != self._status:
            self._status = job["status"]
            self._log.info("Job %s is %s. %s", job["jobName"], self._status, job.get("message", ""))
        self._count(job)
        if batch_jobs.is_late(job, self._now()) and self._status != "Stopping":
            self._log.warning(
                "Job %s did not end by its deadline (%s, LOOKBOOK_BATCH_DEADLINE_HOURS): it is stopped. "
                "What it answered is used, the rest is asked on demand.",
                *(job["jobName"], batch_jobs.deadline(job).isoformat(timespec="minutes")),
            )
            self.stop()
        return self._status in batch_jobs.RUNNING

    def stop(self) -> None:
        """Ask Bedrock to stop the job, unless it has ended meanwhile."""
        try:
            self._bedrock.stop_model_invocation_job(jobIdentifier=self._arn)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("ConflictException", "ValidationException"):
                raise
            self._log.info("Job %s needn't be stopped: %s", self._arn, error.response["Error"]["Message"])

    def _count(self, job: dict[str, Any]) -> None:
        if not (total := job.get("totalRecordCount")):
            return  # it isn't known before the job is validated
        if self._progress is None:
            self._progress = Progress(self._log, f"Records of batch job {job['jobName']}", total)
        done = job.get("processedRecordCount", 0)
        self._progress.advance(done - self._counted)
        self._counted = done
