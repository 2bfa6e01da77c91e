"""What there is of configs, models, packages and artefacts, and what refers to what, read from SageMaker and S3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow.compute as pc

from lookbook import storage
from lookbook.aws import client
from lookbook.catalog import tables
from lookbook.settings import get_settings
from lookbook.training import evaluation, registry

JOB_OUTPUTS, CHECKPOINTS, DATASETS = evaluation.JOBS, "training/checkpoints", "training/datasets"

# Kept for ever: they are small, and what was decided by them is traced to them.
REPORTS = ("evaluation.json", "evaluation.html", "gate.json")
PROJECT = "lookbook"
"""What everything of Lookbook's is tagged with, as ``project``."""

_UNFINISHED = ("InProgress", "Stopping")


@dataclass(frozen=True)
class Config:
    """An endpoint config; ``ours`` says that Lookbook made it."""

    name: str
    created: datetime
    models: frozenset[str]
    ours: bool
    shadowed: bool = False
    """Whether a challenger stood beside the champion with it: it is needed only as long as an endpoint has it."""


@dataclass(frozen=True)
class Model:
    """A SageMaker model, with the artefacts and the package that it names."""

    name: str
    created: datetime
    artefacts: frozenset[str]
    package_arn: str | None
    ours: bool


@dataclass(frozen=True)
class Package:
    """A version in the registry; ``ours`` says that it is of this installation's group."""

    arn: str
    version: int
    status: str
    artefacts: frozenset[str]
    dataset_id: str | None
    ours: bool
    products_snapshot: str | None = None
    in_service_since: str = ""
    """When it last came into service, ISO 8601; empty for one that never did."""
    golden: str | None = None
    """Where its golden questions are, by which it is verified whenever it is deployed again."""


@dataclass(frozen=True)
class Prefix:
    """What a job or a data set left in S3, without the reports: when it was last written, bytes, objects."""

    uri: str
    written: datetime
    size: int
    objects: int


@dataclass(frozen=True)
class Inventory:
    """Everything that housekeeping of models decides by."""

    configs: Mapping[str, Config]
    models: Mapping[str, Model]
    packages: tuple[Package, ...]
    job_outputs: tuple[Prefix, ...]
    checkpoints: tuple[Prefix, ...]
    datasets: tuple[Prefix, ...]
    deployed_configs: frozenset[str]
    """Configs that an endpoint has, is being moved to, or was last seen to answer with."""
    described_configs: frozenset[str]
    """Configs that stand in the lineage of a description."""
    described_versions: frozenset[int]
    """Package versions whose answers are in a description."""
    busy: frozenset[str]
    """URIs that a running job reads or writes."""


def read() -> Inventory:
    """Read it all; some calls for each resource."""
    described_configs, described_versions = _described()
    return Inventory(
        configs={config.name: config for config in _configs()},
        models={model.name: model for model in _models()},
        packages=tuple(packages()),
        job_outputs=_prefixes(JOB_OUTPUTS),
        checkpoints=_prefixes(CHECKPOINTS),
        datasets=_prefixes(DATASETS),
        deployed_configs=frozenset(_deployed_configs()),
        described_configs=described_configs,
        described_versions=described_versions,
        busy=frozenset(_busy()),
    )


def packages() -> Iterator[Package]:
    """Yield the packages of every group: another group's artefacts are not waste."""
    for group in listed("list_model_package_groups", "ModelPackageGroupSummaryList"):
        name = group["ModelPackageGroupName"]
        for found in listed("list_model_packages", "ModelPackageSummaryList", ModelPackageGroupName=name):
            package = registry.describe(found["ModelPackageArn"])
            told = package.get("CustomerMetadataProperties", {})
            yield Package(
                arn=package["ModelPackageArn"],
                version=int(package["ModelPackageArn"].rpartition("/")[2]),
                status=package.get("ModelApprovalStatus", "PendingManualApproval"),
                artefacts=_artefacts(package.get("InferenceSpecification", {}).get("Containers", [])),
                dataset_id=told.get("dataset_id"),
                ours=name == get_settings().model_package_group,
                products_snapshot=told.get("products_snapshot"),
                in_service_since=told.get("in_service_since", ""),
                golden=evaluation.golden_uri(told["evaluation_report"]) if "evaluation_report" in told else None,
            )


def listed(operation: str, member: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    """Yield the items of all pages of one of SageMaker's List… operations."""
    for page in client("sagemaker").get_paginator(operation).paginate(**arguments):
        yield from page[member]


def tags(arn: str) -> dict[str, str]:
    """Return the tags of a SageMaker resource."""
    return {tag["Key"]: tag["Value"] for tag in client("sagemaker").list_tags(ResourceArn=arn)["Tags"]}


def root_of(part: str) -> str:
    """Return the S3 prefix of :data:`JOB_OUTPUTS`, :data:`CHECKPOINTS` or :data:`DATASETS`."""
    return f"s3://{get_settings().bucket}/{part}/"


def is_report(uri: str) -> bool:
    """Return whether an object is one of the reports that are kept."""
    return uri.rpartition("/")[2] in REPORTS


def _configs() -> Iterator[Config]:
    for found in listed("list_endpoint_configs", "EndpointConfigs"):
        config = client("sagemaker").describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
        shadows = config.get("ShadowProductionVariants", [])
        variants = [*config["ProductionVariants"], *shadows]
        models = frozenset(variant["ModelName"] for variant in variants if "ModelName" in variant)
        name, arn = found["EndpointConfigName"], found["EndpointConfigArn"]
        yield Config(name, found["CreationTime"], models, _ours(name, arn), bool(shadows))


def _models() -> Iterator[Model]:
    for found in listed("list_models", "Models"):
        model = client("sagemaker").describe_model(ModelName=found["ModelName"])
        containers = [*model.get("Containers", []), *filter(None, [model.get("PrimaryContainer")])]
        packages = [one.get("Environment", {}).get(registry.PACKAGE_VARIABLE) for one in containers]
        yield Model(
            name=found["ModelName"],
            created=found["CreationTime"],
            artefacts=_artefacts(containers),
            package_arn=next(filter(None, packages), None),
            ours=_ours(found["ModelName"], found["ModelArn"]),
        )


def _artefacts(containers: list[dict[str, Any]]) -> frozenset[str]:
    sources = [one.get("ModelDataSource", {}).get("S3DataSource", {}).get("S3Uri") for one in containers]
    return frozenset(filter(None, [*(one.get("ModelDataUrl") for one in containers), *sources]))


def _ours(name: str, arn: str) -> bool:
    if not name.startswith(f"{get_settings().model_package_group}-v"):
        return False
    return tags(arn).get("project") == PROJECT


def _deployed_configs() -> Iterator[str]:
    for found in listed("list_endpoints", "Endpoints"):
        endpoint = registry.describe_endpoint(found["EndpointName"])
        if endpoint is None:  # deleted since it was listed
            continue
        yield endpoint["EndpointConfigName"]
        if pending := endpoint.get("PendingDeploymentSummary"):
            yield pending["EndpointConfigName"]


def _busy() -> Iterator[str]:
    for status in _UNFINISHED:
        for found in listed("list_training_jobs", "TrainingJobSummaries", StatusEquals=status):
            job = client("sagemaker").describe_training_job(TrainingJobName=found["TrainingJobName"])
            yield from (channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in _channels(job))
            yield f"{job['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job['TrainingJobName']}/"
            if checkpoints := job.get("CheckpointConfig"):
                yield checkpoints["S3Uri"]


def _channels(job: dict[str, Any]) -> list[dict[str, Any]]:
    return [channel for channel in job.get("InputDataConfig", []) if "S3DataSource" in channel["DataSource"]]


def _prefixes(under: str) -> tuple[Prefix, ...]:
    """Return one entry for each job or data set whose objects lie under ``under``, oldest first."""
    root = root_of(under)
    found: dict[str, Prefix] = {}
    for stored, written in storage.list_dated(root):
        name, slash, _ = stored.uri.removeprefix(root).partition("/")
        if not slash or is_report(stored.uri):
            continue
        before = found.get(name, Prefix(f"{root}{name}/", written, 0, 0))
        found[name] = Prefix(before.uri, max(before.written, written), before.size + stored.size, before.objects + 1)
    return tuple(sorted(found.values(), key=lambda prefix: prefix.written))


def _described() -> tuple[frozenset[str], frozenset[int]]:
    rows = tables.read("descriptions.descriptions", columns=("endpoint_config", "attribute_model_version"))
    configs, versions = (
        set(pc.unique(rows[column]).to_pylist()) - {None} for column in ("endpoint_config", "attribute_model_version")
    )
    return frozenset(configs), frozenset(int(version.removeprefix("v")) for version in versions)
