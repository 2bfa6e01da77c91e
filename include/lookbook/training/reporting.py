"""What a training or evaluation job read and left, for the record of the task that waited for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookbook import storage
from lookbook.lineage import records
from lookbook.lineage.records import Kind
from lookbook.training import cost, evaluation


def report(job: Mapping[str, Any]) -> None:
    """Report a completed job: its channels, its image, itself, what it left, and what it cost at list price.

    What an evaluation job leaves is an archive with a report, not a model's artefact, though SageMaker calls it one.

    Args:
        job: as DescribeTrainingJob tells it.
    """
    for channel in job["InputDataConfig"]:
        _report_channel(channel["DataSource"]["S3DataSource"]["S3Uri"])
    records.reads_image(job["AlgorithmSpecification"]["TrainingImage"])
    records.writes("training_job", job["TrainingJobName"], job["TrainingJobArn"])
    kind: Kind = "object" if evaluation.is_evaluation(job["TrainingJobName"]) else "model_artifact"
    if stored := storage.find(job["ModelArtifacts"]["S3ModelArtifacts"]):
        records.writes(kind, stored.uri, stored.etag)
    records.counts(billable_seconds=int(job.get("BillableTimeInSeconds", 0)))
    records.costs(cost.usd_of_training(job))


def _report_channel(uri: str) -> None:
    """Report a channel: everything under a prefix or, of a job that compares models, a model's artefact."""
    if stored := None if uri.endswith("/") else storage.find(uri):
        records.reads("model_artifact", uri, stored.etag)
    else:
        records.reads_prefix(uri)


def reference(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return what later tasks need of a completed job; ``cost_usd`` is ``None`` where the price list lacks its type.

    Args:
        job: as DescribeTrainingJob tells it.
    """
    return {
        "job_name": job["TrainingJobName"],
        "job_arn": job["TrainingJobArn"],
        "image_uri": job["AlgorithmSpecification"]["TrainingImage"],
        "model_data": job["ModelArtifacts"]["S3ModelArtifacts"],
        "metrics": {metric["MetricName"]: metric["Value"] for metric in job.get("FinalMetricDataList", [])},
        "billable_seconds": int(job.get("BillableTimeInSeconds", 0)),
        "cost_usd": cost.usd_of_training(job),
    }
