"""Bedrock batch jobs: their requests, what is known of one that runs, and what its predecessors left unanswered.

A job's name and its client token are a function of what it asks. Whoever wants the same again finds the job, and
nothing is paid for twice. A job that was stopped or failed is followed by ``<name>-2``, which asks the rest.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lookbook.descriptions import batch_files
from lookbook.descriptions.batch_files import WrittenJob
from lookbook.descriptions.batch_records import INVOCATION_TYPE
from lookbook.settings import get_settings

RUNNING = ("Submitted", "Validating", "Scheduled", "InProgress", "Stopping")
"""The states that a job leaves by itself. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_GetModelInvocationJob.html"""

_TIMEOUT_HOURS = (24, 168)  # what AWS takes
_HASH_LENGTH = 12


def submission(job: WrittenJob, model_id: str, drop_id: str) -> dict[str, Any]:
    """Upload a job's input; return its CreateModelInvocationJob request."""
    digest = hashlib.sha256(f"{job.sha256} {model_id}".encode()).hexdigest()
    name = f"lookbook-describe-{drop_id}-{digest[:_HASH_LENGTH]}"
    root = f"s3://{get_settings().bucket}/batches/{name}"
    batch_files.upload(job, f"{root}/input/")
    return {
        "jobName": name,
        "clientRequestToken": digest,
        "roleArn": get_settings().batch_role_arn,
        "modelId": model_id,
        "modelInvocationType": INVOCATION_TYPE,
        "inputDataConfig": {"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": f"{root}/input/"}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"{root}/output/"}},
        "timeoutDurationInHours": _timeout_hours(),
        "tags": [{"key": "project", "value": "lookbook"}, {"key": "drop_id", "value": drop_id}],
    }


def following(request: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Upload what the jobs of a request left unanswered; return the request of a job that asks it.

    Args:
        request: of the first of these jobs.
        name: of the job that follows.
    """
    with tempfile.TemporaryDirectory(prefix="lookbook-batch-") as directory:
        job = next(batch_files.write_jobs(_left(request), Path(directory)))  # it asks no more than the first one
        prefix = f"{input_of(request).removesuffix('/')}-{name.rpartition('-')[2]}/"
        batch_files.upload(job, prefix)
        token = hashlib.sha256(f"{name} {job.sha256}".encode()).hexdigest()
    source = {"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": prefix}}
    return {**request, "jobName": name, "clientRequestToken": token, "inputDataConfig": source}


def count_left(request: Mapping[str, Any]) -> int:
    """Return how many records the jobs of a request left unanswered."""
    return sum(1 for _ in _left(request))


def _left(request: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the unanswered records. One that was refused counts as answered: it would be refused again."""
    answered = {record.get("recordId") for record in batch_files.read_answers(output_of(request))}
    yield from (line for line in batch_files.read_lines(input_of(request)) if line[0] not in answered)


def input_of(job: Mapping[str, Any]) -> str:
    """Return the prefix of a job's input; ``job`` is its request or what AWS tells of it."""
    return str(job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"])


def output_of(job: Mapping[str, Any]) -> str:
    """Return the prefix below which a job, and those that follow it, write their answers."""
    return str(job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"])


def reference(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return what later tasks need of a job, as GetModelInvocationJob tells it.

    ``asked_name`` is the name in the request, which a job that follows another doesn't have.
    """
    output_uri = output_of(job)
    return {
        "job_name": job["jobName"],
        "job_arn": job["jobArn"],
        "status": job["status"],
        "asked_name": output_uri.removesuffix("/output/").rpartition("/")[2],
        "output_uri": output_uri,
    }


def deadline(job: Mapping[str, Any]) -> datetime:
    """Return when the platform waits no longer for a job; counted from its submission, whoever waits since when."""
    submitted: datetime = job["submitTime"]
    return submitted + timedelta(hours=get_settings().batch_deadline_hours)


def is_late(job: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether a job that runs ought to be stopped, so that the rest can be asked on demand."""
    return job["status"] in RUNNING and now >= deadline(job)


def was_late(job: Mapping[str, Any]) -> bool:
    """Tell whether a job ended at its deadline or after it."""
    ended: datetime | None = job.get("endTime") or job.get("lastModifiedTime")
    return ended is not None and ended >= deadline(job)


def _timeout_hours() -> int:
    """Return when AWS ends the job itself, should nobody be there to stop it at the deadline."""
    shortest, longest = _TIMEOUT_HOURS
    return min(max(math.ceil(get_settings().batch_deadline_hours), shortest), longest)
