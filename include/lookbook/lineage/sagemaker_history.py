"""Which entities and associations of SageMaker's ML lineage tell a model's history: a function of its package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import pyarrow.compute as pc

from lookbook.aws import client
from lookbook.catalog import tables
from lookbook.drops import discovery
from lookbook.errors import PermanentError
from lookbook.lineage.sagemaker_entities import Association, Entity
from lookbook.settings import get_settings
from lookbook.training import gating, registry
from lookbook.vqa import datasets

_JUDGED = ("gate", "promoted_", "exact_match_")
_NEEDED = ("dataset_id", "training_job", "evaluation_job", "evaluation_report", "image")


class Model:
    """A model package and what belongs to it, each as one entity."""

    def __init__(self, package_arn: str) -> None:
        """Look the package up.

        Raises:
            PermanentError: it doesn't tell what it came from: it is older than that, or was registered by others.
        """
        self.package = registry.describe(package_arn)
        self.metadata: Mapping[str, str] = self.package.get("CustomerMetadataProperties", {})
        if missing := [name for name in _NEEDED if name not in self.metadata]:
            raise PermanentError(f"Model package {package_arn} names no {', '.join(missing)} in its metadata.")
        self.name = package_arn.partition("/")[2].replace("/", "-")
        self.version = registry.version_of(package_arn)

    @cached_property
    def training(self) -> dict[str, Any]:
        """The job that trained it, as SageMaker describes it."""
        return _job(self.metadata["training_job"])

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """The job that put it to the benchmark."""
        return _job(self.metadata["evaluation_job"])

    @cached_property
    def drops(self) -> list[str]:
        """The drops that the data set has pairs of."""
        of_dataset = tables.equals("dataset_id", self.metadata["dataset_id"])
        found: list[str] = pc.unique(tables.read("training.vqa_pairs", of_dataset, ("drop_id",))["drop_id"]).to_pylist()
        return sorted(found)

    @property
    def dataset(self) -> Entity:
        """What it learned from; names its drops, also for when their associations are gone."""
        kept = {name: self.metadata.get(name, "") for name in ("dataset_id", "products_snapshot")}
        uri = datasets.dataset_uri(self.metadata["dataset_id"])
        name = f"lookbook-dataset-{self.metadata['dataset_id']}"
        return Entity("Artifact", "DataSet", uri, name, kept | {"drops": ", ".join(self.drops)})

    @property
    def artefact(self) -> Entity:
        """The ``model.tar.gz`` that the training left."""
        uri = self.training["ModelArtifacts"]["S3ModelArtifacts"]
        return Entity("Artifact", "Model", uri, f"{self.training['TrainingJobName']}-model")

    @property
    def registered(self) -> Entity:
        """The package."""
        told = {"version": self.version, "code_version": self.metadata.get("code_version", "")}
        return Entity("Artifact", "ModelPackage", self.package["ModelPackageArn"], self.name, told)

    @property
    def gate(self) -> Entity:
        """The gate's decision, with who promoted it against that."""
        told = {name: value for name, value in self.metadata.items() if name.startswith(_JUDGED)}
        uri = gating.decision_uri(self.evaluation["ModelArtifacts"]["S3ModelArtifacts"])
        return Entity("Action", "Gate", uri, f"{self.evaluation['TrainingJobName']}-gate", told)


def of_model(model: Model) -> Iterator[Association]:
    """Yield what a package came from: drops, data set, training, evaluation, gate."""
    trained, evaluated = _ran(model.training, "TrainingJob"), _ran(model.evaluation, "Evaluation")
    image = Entity("Artifact", "Image", model.metadata["image"], "lookbook-training-image")
    report = Entity("Artifact", "EvaluationReport", model.metadata["evaluation_report"], f"{evaluated.name}-report")
    for drop in model.drops:
        told = {"drop_id": drop}
        arrived = Entity("Artifact", "Drop", discovery.drop_uri(drop), f"lookbook-drop-{drop}", told)
        yield Association(arrived, "ContributedTo", model.dataset)
    for source in (model.dataset, _base(model.training), image):
        yield Association(source, "ContributedTo", trained)
    yield Association(trained, "Produced", model.artefact)
    for source in (model.dataset, model.artefact, image):
        yield Association(source, "ContributedTo", evaluated)
    yield Association(evaluated, "Produced", report)
    yield Association(report, "ContributedTo", model.gate)
    yield Association(model.artefact, "ContributedTo", model.registered)
    yield Association(model.gate, "AssociatedWith", model.registered)


def of_service(model: Model, endpoint_config: str) -> Iterator[Association]:
    """Yield a package's approval and its way into service."""
    name = get_settings().endpoint_name
    found = client("sagemaker").describe_endpoint_config(EndpointConfigName=endpoint_config)
    config_arn = found["EndpointConfigArn"]
    serves = {"model_version": model.version, "endpoint_config": endpoint_config}
    config = Entity("Artifact", "EndpointConfig", config_arn, endpoint_config)
    deployed = Entity("Action", "ModelDeployment", config_arn, f"{endpoint_config}-deployment", serves)
    approved = _approval(model)
    yield Association(model.registered, "ContributedTo", approved)
    yield Association(approved, "AssociatedWith", deployed)
    yield Association(model.registered, "ContributedTo", deployed)
    yield Association(config, "ContributedTo", deployed)
    # Where it lives only for the runs that ask it, it may be gone by now.
    if endpoint := registry.describe_endpoint(name):
        serving = Entity("Context", "Endpoint", endpoint["EndpointArn"], name, serves)
        yield Association(deployed, "AssociatedWith", serving)


def _approval(model: Model) -> Entity:
    told = {
        "status": model.package["ModelApprovalStatus"],
        "because": model.package.get("ApprovalDescription", ""),
        "in_service_since": model.metadata.get("in_service_since", ""),
    }
    return Entity("Action", "Approval", model.package["ModelPackageArn"], f"{model.name}-approval", told)


def _ran(job: Mapping[str, Any], kind: str) -> Entity:
    ended = job.get("TrainingEndTime")
    told = {"instance_type": job["ResourceConfig"]["InstanceType"], "ended_at": ended.isoformat() if ended else ""}
    return Entity("Action", kind, job["TrainingJobArn"], job["TrainingJobName"], told)


def _base(job: Mapping[str, Any]) -> Entity:
    """Return the base model that a training job started from: one of its channels."""
    channels = {one["ChannelName"]: one["DataSource"]["S3DataSource"]["S3Uri"] for one in job["InputDataConfig"]}
    return Entity("Artifact", "Model", channels["base"], "lookbook-base-model")


def _job(name: str) -> dict[str, Any]:
    job: dict[str, Any] = client("sagemaker").describe_training_job(TrainingJobName=name)
    return job
