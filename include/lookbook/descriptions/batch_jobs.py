"""Bedrock batch jobs: their requests, what is known of one that runs, and what its predecessors left unanswered.

A job's name and its client token are a function of what it asks. Whoever wants the same again finds the job, and
nothing is paid for twice. A job that was stopped or failed is followed by ``<name>-2``, which asks the rest.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lookbook.descriptions import batch_files
from lookbook.descriptions.batch_files import Limits, WrittenJob
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


def following(request: Mapping[str, Any], name: str, limits: Limits | None = None) -> dict[str, Any] | None:
    """Return the request of a job that asks what the jobs before it left unanswered; ``None`` if that is too little.

    A record that was refused counts as answered: it would be refused again.

    Args:
        request: of the first of these jobs.
        name: of the job that follows.
        limits: of a job.
    """
    limits = limits or Limits()
    asked, answers = input_of(request), output_of(request)
    answered = {record.get("recordId") for record in batch_files.read_answers(answers)}
    left = (line for line in batch_files.read_lines(asked) if line[0] not in answered)
    with tempfile.TemporaryDirectory(prefix="lookbook-batch-") as directory:
        job = next(batch_files.write_jobs(left, Path(directory), limits), None)
        if job is None or len(job.record_ids) < limits.min_records:
            return None
        prefix = f"{asked.removesuffix('/')}-{name.rpartition('-')[2]}/"
        batch_files.upload(job, prefix)
        token = hashlib.sha256(f"{name} {job.sha256}".encode()).hexdigest()
    source = {"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": prefix}}
    return {**request, "jobName": name, "clientRequestToken": token, "inputDataConfig": source}


def input_of(job: Mapping[str, Any]) -> str:
    """Return the prefix of a job's input; ``job`` is its request or what AWS tells of it."""
    return str(job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"])


def output_of(job: Mapping[str, Any]) -> str:
    """Return the prefix below which a job, and those that follow it, write their answers."""
    return str(job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"])


def reference(job: Mapping[str, Any], asked_name: str) -> dict[str, Any]:
    """Return what later tasks need of a job, as GetModelInvocationJob tells it.

    Args:
        job: of GetModelInvocationJob.
        asked_name: the name in the request, which a job that follows another doesn't have.
    """
    return {
        "job_name": job["jobName"],
        "job_arn": job["jobArn"],
        "status": job["status"],
        "asked_name": asked_name,
        "output_uri": output_of(job),
    }


def deadline(job: Mapping[str, Any]) -> datetime:
    """Return when the platform waits no longer for a job; counted from its submission, whoever waits since when."""
    submitted: datetime = job["submitTime"]
    return submitted + timedelta(hours=get_settings().batch_deadline_hours)


def is_late(job: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether a job that runs ought to be stopped, so that the rest can be asked on demand."""
    return job["status"] in RUNNING and now >= deadline(job)


def _timeout_hours() -> int:
    """Return when AWS ends the job itself, should nobody be there to stop it at the deadline."""
    shortest, longest = _TIMEOUT_HOURS
    return min(max(math.ceil(get_settings().batch_deadline_hours), shortest), longest)
