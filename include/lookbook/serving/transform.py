"""A plan's pictures asked about by a batch transform job: its requests, and what it left.

The job loads the model that the endpoint would serve, into the same container, and reads the pictures where they lie.
Its name is a function of the pictures and the model: whoever asks for it again finds it, and nothing is paid twice.
"""

from __future__ import annotations

import hashlib
import logging
import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from lookbook import storage
from lookbook.descriptions.plans import Plan, read_plan
from lookbook.lineage import records
from lookbook.serving import models
from lookbook.serving.asking import Outputs
from lookbook.serving.inputs import Input, inputs_of, result_uri, results_prefix
from lookbook.serving.requests import model_request
from lookbook.settings import Settings, get_settings
from lookbook.training import registry

log = logging.getLogger(__name__)

_HASH_LENGTH = 12
_MAX_PAYLOAD_MB = 6
_MAX_PAYLOADS_MB = 100  # of all that one instance is sent at a time, as SageMaker allows
_INVOCATION = {"InvocationsTimeoutInSeconds": 300, "InvocationsMaxRetries": 3}


def transform_requests(plan_uri: str) -> dict[str, dict[str, Any]] | None:
    """Return the requests of ``model`` and ``job`` if the plan is large enough for a transform job, else ``None``.

    What the model was asked before is left out, and so is a picture that changed since it was published or is too
    large for the container.

    Args:
        plan_uri: of :func:`lookbook.descriptions.planning.plan_products`.
    """
    settings, plan = get_settings(), read_plan(plan_uri)
    package_arn = models.champion_package() if settings.transform_from is not None else None
    if package_arn is None or settings.transform_from is None:
        return _not_taken("LOOKBOOK_TRANSFORM_FROM is not set, or there is no model")
    model = model_request(package_arn, settings)
    unasked = _unasked(plan, package_arn, model["ModelName"])
    pictures = sorted({asked.picture_uri: asked.picture_sha256 for asked in _sendable(unasked)}.items())
    if len(pictures) < settings.transform_from:
        return _not_taken(f"{len(pictures)} pictures, fewer than LOOKBOOK_TRANSFORM_FROM={settings.transform_from}")
    job = _job_request(plan.drop_id, model["ModelName"], pictures, settings)
    records.reads("model_package", settings.model_package_group, package_arn)
    records.counts(pictures=len(pictures))
    records.details(transform_job=job["TransformJobName"], transform_from=str(settings.transform_from))
    log.info("%d pictures go to transform job %s.", len(pictures), job["TransformJobName"])
    return {"model": model, "job": job}


def outputs_of(job: Mapping[str, Any], inputs: Iterable[Input]) -> Outputs:
    """Return what a job left, without the answers about pictures that are no longer those that were published.

    Args:
        job: the job task's reference: ``job_name``, ``manifest_uri`` and ``output_uri``.
        inputs: what is asked.
    """
    prefix, *names = storage.read_json(job["manifest_uri"])
    sent = {f"{prefix['prefix']}{name}": name for name in names}
    found = _Found(job["output_uri"])
    left = {
        asked.picture_uri: output
        for asked in _sendable(asked for asked in inputs if asked.picture_uri in sent)
        if (output := found.of(sent[asked.picture_uri]))
    }
    log.info("Transform job %s left answers about %d of %d pictures.", job["job_name"], len(left), len(sent))
    return Outputs(job["job_name"], left)


class _Found:
    """The result objects under a prefix.

    SageMaker names them after the pictures' keys, from the manifest's prefix on or from further up: they are found by
    how they end.
    """

    def __init__(self, output_uri: str) -> None:
        self._by_file: dict[str, list[str]] = {}
        for stored in storage.list_objects(output_uri):
            self._by_file.setdefault(stored.uri.rpartition("/")[2], []).append(stored.uri)

    def of(self, name: str) -> str | None:
        """Return the URI of the result of the picture of that name in the manifest."""
        ending = f"/{name}.out"
        return next((uri for uri in self._by_file.get(ending.rpartition("/")[2], ()) if uri.endswith(ending)), None)


def _not_taken(why: str) -> dict[str, dict[str, Any]] | None:
    records.details(transform_job="none", because=why)
    log.info("No transform job: %s.", why)
    return None


def _unasked(plan: Plan, package_arn: str, model_name: str) -> list[Input]:
    metadata = registry.describe(package_arn)["CustomerMetadataProperties"]
    taught = models.taught(metadata["dataset_id"])
    known = {stored.uri for stored in storage.list_objects(results_prefix(plan.drop_id))}
    inputs = set(inputs_of(plan, taught).values())
    return [asked for asked in inputs if result_uri(plan.drop_id, asked, model_name) not in known]


def _sendable(inputs: Iterable[Input]) -> list[Input]:
    """Return the inputs whose pictures are the published ones and of a size that the container is sent."""
    chosen = list(inputs)
    directories = {asked.picture_uri.rpartition("/")[0] for asked in chosen}
    stored = {one.uri: one for directory in directories for one in storage.list_objects(f"{directory}/")}
    return [
        asked
        for asked in chosen
        if (found := stored.get(asked.picture_uri))
        and found.etag == asked.picture_etag
        and found.size <= _MAX_PAYLOAD_MB * 2**20
    ]


def _job_request(drop_id: str, model_name: str, pictures: list[tuple[str, str]], settings: Settings) -> dict[str, Any]:
    """Write the job's manifest and return the CreateTransformJob request."""
    decisive = orjson.dumps([pictures, model_name, settings.endpoint_instance_type])
    name = f"lookbook-predict-{drop_id}-{hashlib.sha256(decisive).hexdigest()[:_HASH_LENGTH]}"
    root = f"s3://{settings.bucket}/transforms/{name}"
    records.writes_object(storage.write_json(f"{root}/manifest.json", _manifest([uri for uri, _ in pictures])))
    source = {"S3DataType": "ManifestFile", "S3Uri": f"{root}/manifest.json"}
    return {
        "TransformJobName": name,
        "ModelName": model_name,
        "BatchStrategy": "SingleRecord",
        "MaxPayloadInMB": _MAX_PAYLOAD_MB,
        "MaxConcurrentTransforms": min(settings.endpoint_concurrency, _MAX_PAYLOADS_MB // _MAX_PAYLOAD_MB),
        "ModelClientConfig": _INVOCATION,
        "TransformInput": {
            "DataSource": {"S3DataSource": source},
            "ContentType": "application/x-image",
            "CompressionType": "None",
            "SplitType": "None",
        },
        "TransformOutput": {
            "S3OutputPath": f"{root}/results/",
            "Accept": "application/json",
            "AssembleWith": "None",
        },
        "TransformResources": {"InstanceType": settings.endpoint_instance_type, "InstanceCount": 1},
        "Tags": [{"Key": "project", "Value": "lookbook"}, {"Key": "drop_id", "Value": drop_id}],
    }


def _manifest(uris: list[str]) -> list[Any]:
    bucket = storage.split_uri(uris[0])[0]
    keys = [storage.split_uri(uri)[1] for uri in uris]
    directory = posixpath.commonpath([posixpath.dirname(key) for key in keys])
    return [{"prefix": f"s3://{bucket}/{directory}/"}, *(key.removeprefix(f"{directory}/") for key in keys)]
