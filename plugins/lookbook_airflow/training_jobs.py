"""A training job that is waited for: looks at its state, and passes on what its log has said since the last look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.hooks.sagemaker import (
    secondary_training_status_changed,
    secondary_training_status_message,
)
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
RUNNING = ("InProgress", "Stopping")


class JobWatch(Protocol):
    """Follows one job: what operators and triggers wait for it by."""

    @classmethod
    def connected(cls, key: str, connection: dict[str, Any], log: Any) -> Self:
        """Return a watch of the job that AWS knows by ``key``; ``connection`` holds the hooks' arguments."""

    def look(self) -> bool:
        """Log what is new and return whether the job still runs."""

    def stop(self) -> None:
        """Ask AWS to stop the job."""


class TrainingJobWatch:
    """Follows one training job; every look logs what is new, beginning with the first line.

    Args:
        name: the job's name.
        sagemaker: a boto3 client of SageMaker.
        logs: a boto3 client of CloudWatch Logs.
        log: where status and lines go, the task's log.
    """

    log_group = LOG_GROUP

    def __init__(self, name: str, sagemaker: Any, logs: Any, log: Any) -> None:
        self._name, self._sagemaker, self._logs, self._log = name, sagemaker, logs, log
        self._before: dict[str, Any] | None = None
        self._place: dict[str, str] = {}  # by log stream: the token of what comes next
        self._readable = True

    @classmethod
    def connected(cls, key: str, connection: dict[str, Any], log: Any) -> Self:
        """Return a watch of a job with clients of its own."""
        clients = (AwsBaseHook(client_type=service, **connection).get_conn() for service in ("sagemaker", "logs"))
        return cls(key, *clients, log)

    def stop(self) -> None:
        """Ask SageMaker to stop the job."""
        self._sagemaker.stop_training_job(TrainingJobName=self._name)

    def look(self) -> bool:
        """Log what is new and return whether the job still runs."""
        job = self._sagemaker.describe_training_job(TrainingJobName=self._name)
        if secondary_training_status_changed(job, self._before or {}):
            self._log.info("%s", secondary_training_status_message(job, self._before))
        self._before = job
        for line in self._new_lines():
            self._log.info("%s", line)
        return job["TrainingJobStatus"] in RUNNING

    def _new_lines(self) -> list[str]:
        """Return the lines since the last call; without the right to read them, the job is waited for all the same."""
        try:
            return [line for stream in self._streams() for line in self._lines(stream)] if self._readable else []
        except self._logs.exceptions.ResourceNotFoundException:
            return []  # the log begins with the job's first line
        except ClientError as error:
            self._readable = False
            self._log.warning("The log of job %s cannot be shown here: %s", self._name, error)
            return []

    def _streams(self) -> list[str]:
        """Return the job's log streams: one an instance."""
        prefix = f"{self._name}/"
        found = self._logs.describe_log_streams(logGroupName=self.log_group, logStreamNamePrefix=prefix)["logStreams"]
        return [stream["logStreamName"] for stream in found]

    def _lines(self, stream: str) -> Iterator[str]:
        while True:
            place = {"nextToken": self._place[stream]} if stream in self._place else {}
            asked = {"logGroupName": self.log_group, "logStreamName": stream, "startFromHead": True, **place}
            page = self._logs.get_log_events(**asked)
            yield from (event["message"] for event in page["events"])
            self._place[stream] = page["nextForwardToken"]
            # CloudWatch gives the same token again at the end of the stream.
            if not page["events"] or place.get("nextToken") == page["nextForwardToken"]:
                return
