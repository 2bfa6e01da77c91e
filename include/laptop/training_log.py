"""What the training job that runs now says of its progress, from CloudWatch Logs."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

_GROUP = "/aws/sagemaker/TrainingJobs"
_TELLING = ("epoch=", "progress=")


class TrainingLog:
    """Reads the log of the newest running training job, each line once."""

    def __init__(self, sagemaker: Any, logs: Any) -> None:
        self._sagemaker = sagemaker
        self._logs = logs
        self._seen: dict[str, int] = {}

    def new_lines(self) -> list[str]:
        """Return the lines on training progress that came since the last call."""
        job = self._newest_running_job()
        if job is None:
            return []
        return [line for stream in self._streams(job) for line in self._unread(stream) if line.startswith(_TELLING)]

    def _newest_running_job(self) -> str | None:
        answer = self._sagemaker.list_training_jobs(
            StatusEquals="InProgress", SortBy="CreationTime", SortOrder="Descending", MaxResults=1
        )
        jobs = [str(job["TrainingJobName"]) for job in answer["TrainingJobSummaries"]]
        return jobs[0] if jobs else None

    def _streams(self, job: str) -> list[str]:
        try:
            found = self._logs.describe_log_streams(logGroupName=_GROUP, logStreamNamePrefix=f"{job}/")
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":  # nothing was ever logged
                return []
            raise
        return [stream["logStreamName"] for stream in found["logStreams"]]

    def _unread(self, stream: str) -> list[str]:
        page = self._logs.get_log_events(logGroupName=_GROUP, logStreamName=stream, startFromHead=True)
        lines = [event["message"].strip() for event in page["events"]]
        unread = lines[self._seen.get(stream, 0) :]
        self._seen[stream] = len(lines)
        return unread
