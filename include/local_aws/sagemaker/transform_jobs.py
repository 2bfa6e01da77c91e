"""CreateTransformJob, DescribeTransformJob, ListTransformJobs and StopTransformJob."""

from __future__ import annotations

import time

from local_aws.errors import AwsError, unsupported, validation
from local_aws.sagemaker import names
from local_aws.sagemaker.listing import Listing
from local_aws.sagemaker.tags import Tags
from local_aws.sagemaker.transform import DEFAULT_PAYLOAD_MB, Transformer
from local_aws.state import Document, Store

_LISTING = Listing("TransformJobSummaries", "TransformJobName", "TransformJobStatus", descending=True)
_MOST_MB = 100
# What a job does when the request doesn't say otherwise.
_WHOLE = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}


class TransformJobs:
    """The transform job operations; each takes and returns what its AWS namesake does."""

    def __init__(self, store: Store, transformer: Transformer, tags: Tags) -> None:
        self._store, self._transformer, self._tags = store, transformer, tags

    def create(self, request: Document) -> Document:
        """Write a job down, with its model as it now is, and queue it."""
        _check(request)
        name, now = request["TransformJobName"], time.time()
        arn = names.arn(names.TRANSFORM_JOB, name)
        with self._store.transaction():
            if self._store.get(names.TRANSFORM_JOB, name):
                raise AwsError(
                    "ResourceInUse",
                    "Job name must be unique within an AWS account and region, and a job with this name already "
                    f"exists ({arn})",
                )
            model = names.find(self._store, names.MODEL, request["ModelName"])
            own = {"TransformJobArn": arn, "TransformJobStatus": "InProgress", "_model": model}
            times = {"CreationTime": now, "LastModifiedTime": now}
            self._store.put(names.TRANSFORM_JOB, name, {**request, **own, **times})
            self._tags.set(arn, request.get("Tags", []))
        self._transformer.submit(name)
        return {"TransformJobArn": arn}

    def describe(self, request: Document) -> Document:
        """Return a job."""
        return names.find(self._store, names.TRANSFORM_JOB, request["TransformJobName"])

    def list(self, request: Document) -> Document:
        """Return a page of jobs."""
        return _LISTING.answer(self._store.all(names.TRANSFORM_JOB), request)

    def stop(self, request: Document) -> Document:
        """Ask a job to end; results that are written stay."""
        name = request["TransformJobName"]
        with self._store.transaction():
            status = self.describe(request)["TransformJobStatus"]
            if status not in ("InProgress", "Stopping"):
                raise validation(f"The request was rejected because the transform job is in status {status}.")
            fields = {"TransformJobStatus": "Stopping", "LastModifiedTime": time.time()}
            self._store.update(names.TRANSFORM_JOB, name, **fields)
        self._transformer.stop(name)
        return {}


def _check(request: Document) -> None:
    source = request["TransformInput"]
    if source.get("SplitType", "None") != "None":
        raise unsupported(f"SplitType {source['SplitType']}: an object is sent whole, with SplitType None; others")
    if source.get("CompressionType", "None") != "None":
        raise unsupported(f"CompressionType {source['CompressionType']}")
    kind = source["DataSource"]["S3DataSource"]["S3DataType"]
    if kind not in ("S3Prefix", "ManifestFile"):
        raise unsupported(f"S3DataType {kind}")
    if {**_WHOLE, **request.get("DataProcessing", {})} != _WHOLE:
        raise unsupported("DataProcessing that filters or joins")
    if "DataCaptureConfig" in request:
        raise unsupported("DataCaptureConfig of a transform job")
    _check_payload(request)


def _check_payload(request: Document) -> None:
    largest, concurrency = request.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB), request.get("MaxConcurrentTransforms", 1)
    if largest * max(1, concurrency) > _MOST_MB:
        raise validation(
            f"MaxConcurrentTransforms ({concurrency}) * MaxPayloadInMB ({largest}) must not exceed {_MOST_MB} MB."
        )
