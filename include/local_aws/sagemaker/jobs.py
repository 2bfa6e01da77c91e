"""CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs and StopTrainingJob."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from local_aws.errors import AwsError, unsupported, validation
from local_aws.images import Image
from local_aws.sagemaker import names
from local_aws.sagemaker.job import QUEUED, transitions
from local_aws.sagemaker.listing import Listing
from local_aws.sagemaker.tags import Tags
from local_aws.sagemaker.training import Trainer
from local_aws.state import Document, Store

_LISTING = Listing("TrainingJobSummaries", "TrainingJobName", "TrainingJobStatus")


class Jobs:
    """The training job operations; each takes and returns what its AWS namesake does."""

    def __init__(self, store: Store, trainer: Trainer, images: Mapping[str, Image], tags: Tags) -> None:
        self._store, self._trainer, self._images, self._tags = store, trainer, images, tags

    def create(self, request: Document) -> Document:
        """Write a job down and queue it."""
        self._check(request)
        name = request["TrainingJobName"]
        arn = names.arn(names.TRAINING_JOB, name)
        with self._store.transaction():
            if self._store.get(names.TRAINING_JOB, name):
                raise AwsError(
                    "ResourceInUse",
                    "Training job names must be unique within an AWS account and region, and a training job with this "
                    f"name already exists ({arn})",
                )
            self._store.put(names.TRAINING_JOB, name, _new(request, arn))
            self._tags.set(arn, request.get("Tags", []))
        self._trainer.submit(name)
        return {"TrainingJobArn": arn}

    def describe(self, request: Document) -> Document:
        """Return a job."""
        return self._find(request["TrainingJobName"])

    def list(self, request: Document) -> Document:
        """Return a page of jobs."""
        return _LISTING.answer(self._store.all(names.TRAINING_JOB), request)

    def stop(self, request: Document) -> Document:
        """Ask a job to end."""
        name = request["TrainingJobName"]
        with self._store.transaction():
            job = self._find(name)
            status = job["TrainingJobStatus"]
            if status not in ("InProgress", "Stopping"):
                raise validation(f"The request was rejected because the training job is in status {status}.")
            if status == "InProgress":
                self._store.update(names.TRAINING_JOB, name, **_stopping(job))
        self._trainer.stop(name)
        return {}

    def _find(self, name: str) -> Document:
        job = self._store.get(names.TRAINING_JOB, name)
        if job is None:
            raise validation("Requested resource not found.")
        return job

    def _check(self, request: Document) -> None:
        algorithm = request["AlgorithmSpecification"]
        image = algorithm.get("TrainingImage")
        if image not in self._images:
            known = ", ".join(sorted(self._images))
            raise validation(f"Cannot find image: {image}. The image file of local AWS has: {known}.")
        if request["ResourceConfig"].get("InstanceCount", 1) != 1:
            raise AwsError("ResourceLimitExceeded", "Local AWS trains on 1 instance; ask for InstanceCount 1.")
        for metric in algorithm.get("MetricDefinitions", []):
            _check_expression(metric["Name"], metric["Regex"])
        for channel in request.get("InputDataConfig", []):
            _check_channel(channel)
        _check_spot(request)


def _new(request: Document, arn: str) -> Document:
    now = time.time()
    return {
        **request,
        "TrainingJobArn": arn,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": transitions({}, "Starting"),
        "CreationTime": now,
        "LastModifiedTime": now,
        "_stage": QUEUED,
    }


def _stopping(job: Document) -> Document:
    return {
        "TrainingJobStatus": "Stopping",
        "SecondaryStatus": "Stopping",
        "SecondaryStatusTransitions": transitions(job, "Stopping"),
        "LastModifiedTime": time.time(),
    }


def _check_expression(name: str, expression: str) -> None:
    try:
        groups = re.compile(expression).groups
    except re.error as error:
        raise validation(f"The regular expression of metric {name} is not valid: {error}") from error
    if not groups:
        raise validation(f"The regular expression of metric {name} has no group that captures the value.")


def _check_channel(channel: Document) -> None:
    name, source = channel["ChannelName"], channel["DataSource"].get("S3DataSource")
    if source is None:
        raise unsupported(f"Channel {name}: a data source other than S3DataSource")
    if source["S3DataType"] != "S3Prefix":
        raise unsupported(f"Channel {name}: S3DataType {source['S3DataType']}")
    if channel.get("CompressionType", "None") != "None" or channel.get("InputMode") == "Pipe":
        raise unsupported(f"Channel {name}: CompressionType and InputMode Pipe")


def _check_spot(request: Document) -> None:
    limits = request["StoppingCondition"]
    wait = limits.get("MaxWaitTimeInSeconds")
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:
            raise validation("MaxWaitTimeInSeconds can only be set when EnableManagedSpotTraining is true.")
        return
    if wait is None or wait < limits.get("MaxRuntimeInSeconds", 86_400):
        raise validation(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds "
            "when EnableManagedSpotTraining is true."
        )
