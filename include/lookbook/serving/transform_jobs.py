"""A batch transform job as SageMaker describes it: its reference, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookbook import storage


def reference(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return what later tasks need of a job, as DescribeTransformJob tells it."""
    return {
        "job_name": job["TransformJobName"],
        "job_arn": job["TransformJobArn"],
        "model_name": job["ModelName"],
        "manifest_uri": job["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"],
        "output_uri": job["TransformOutput"]["S3OutputPath"],
    }


def count_pictures(job: Mapping[str, Any]) -> int:
    """Return how many pictures the job of a reference is about."""
    return len(storage.read_json(job["manifest_uri"])) - 1


def count_results(job: Mapping[str, Any]) -> int:
    """Return how many results the job of a reference has left; one that failed for a picture keeps the others'."""
    return sum(stored.uri.endswith(".out") for stored in storage.list_objects(job["output_uri"]))
